//! Filler words by language: sounds of hesitation only. Words that also mean something ("like",
//! "also", "donc") are left to the user's `--remove`.

/// Language subtag and its filler words.
pub const FILLERS: &[(&str, &[&str])] = &[
    ("ar", &["اه", "اهه", "امم", "ايه اه"]),
    ("cs", &["ehm", "hmm", "eee", "ééé", "ehh"]),
    ("da", &["øh", "øhm", "æh", "hm", "hmm"]),
    (
        "de",
        &[
            "äh", "ähm", "ähh", "äähm", "eh", "ehm", "öh", "öhm", "hm", "hmm", "mhm",
        ],
    ),
    ("el", &["εε", "εμ", "χμ"]),
    (
        "en",
        &[
            "um", "umm", "uhm", "uh", "uhh", "er", "erm", "ehm", "hm", "hmm", "mm", "mmm", "mhm",
        ],
    ),
    ("es", &["eh", "ehh", "em", "ehm", "mmm", "hum"]),
    ("fi", &["öö", "ööh", "öm", "hmm", "ääh"]),
    ("fr", &["euh", "euhh", "heu", "hum", "hmm", "mmh"]),
    ("he", &["אה", "אמ", "אממ", "אהה"]),
    ("hi", &["उम", "उह", "अं", "हम्म"]),
    ("id", &["eh", "em", "hmm", "eeh"]),
    ("it", &["ehm", "eh", "mmh", "uhm", "ehh", "mm"]),
    (
        "ja",
        &[
            "えー",
            "ええと",
            "えーと",
            "えっと",
            "えーっと",
            "あのー",
            "うーん",
            "んー",
            "あー",
        ],
    ),
    ("ko", &["음", "으음", "어", "어어", "에"]),
    ("nl", &["eh", "ehm", "uh", "uhm", "euh", "hm", "hmm"]),
    ("no", &["eh", "øh", "øhm", "ehm", "hmm"]),
    ("pl", &["yyy", "eee", "mmm", "hmm", "yy", "ee"]),
    ("pt", &["hum", "hã", "ãh", "ahn", "hmm", "eh", "éé"]),
    ("ru", &["э", "ээ", "эээ", "эм", "мм", "ммм", "хм", "гм"]),
    ("sv", &["öh", "öhm", "äh", "eh", "ehm", "hmm"]),
    ("th", &["เอ่อ", "เออ", "อืม", "เอิ่ม"]),
    ("tr", &["ıı", "ııı", "eee", "hmm", "şey ıı"]),
    ("uk", &["е", "ее", "еее", "ем", "мм", "ммм", "гм"]),
    ("vi", &["ờ", "ừm", "ờm"]),
    ("zh", &["呃", "嗯", "额", "唔", "嗯嗯"]),
];

/// The filler words of a language by its BCP 47 tag; the region is ignored.
pub fn filler_words(language: &str) -> Option<&'static [&'static str]> {
    let subtag = language.split(['-', '_']).next()?.to_ascii_lowercase();
    FILLERS
        .iter()
        .find(|(known, _)| *known == subtag)
        .map(|&(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_spoken() {
        assert!(FILLERS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (language, words) in FILLERS {
            for word in *words {
                assert!(crate::text::is_spoken(word), "{language}: {word}");
            }
        }
        assert!(filler_words("pt-BR").is_some_and(|words| words.contains(&"hum")));
        assert_eq!(filler_words("xx"), None);
    }
}
