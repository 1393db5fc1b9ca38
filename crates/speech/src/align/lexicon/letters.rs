//! A rough reading of English letters, for when espeak-ng is not installed: alignment forgives most of its errors.

/// The longest group that fits at a place is taken.
const GROUPS: [(&str, &[&str]); 68] = [
    ("tion", &["SH", "AH", "N"]),
    ("sion", &["ZH", "AH", "N"]),
    ("ough", &["AO"]),
    ("augh", &["AO"]),
    ("eigh", &["EY"]),
    ("igh", &["AY"]),
    ("tch", &["CH"]),
    ("dge", &["JH"]),
    ("sch", &["SH"]),
    ("air", &["EH", "R"]),
    ("ear", &["IH", "R"]),
    ("eer", &["IH", "R"]),
    ("ch", &["CH"]),
    ("sh", &["SH"]),
    ("th", &["TH"]),
    ("ph", &["F"]),
    ("gh", &["G"]),
    ("wh", &["W"]),
    ("ck", &["K"]),
    ("ng", &["NG"]),
    ("qu", &["K", "W"]),
    ("kn", &["N"]),
    ("wr", &["R"]),
    ("ee", &["IY"]),
    ("ea", &["IY"]),
    ("ie", &["IY"]),
    ("ei", &["AY"]),
    ("oo", &["UW"]),
    ("ou", &["AW"]),
    ("ow", &["OW"]),
    ("oi", &["OY"]),
    ("oy", &["OY"]),
    ("oa", &["OW"]),
    ("ai", &["EY"]),
    ("ay", &["EY"]),
    ("au", &["AO"]),
    ("aw", &["AO"]),
    ("ew", &["UW"]),
    ("ue", &["UW"]),
    ("ar", &["AA", "R"]),
    ("er", &["ER"]),
    ("ir", &["ER"]),
    ("ur", &["ER"]),
    ("or", &["AO", "R"]),
    ("a", &["AE"]),
    ("b", &["B"]),
    ("c", &["K"]),
    ("d", &["D"]),
    ("e", &["EH"]),
    ("f", &["F"]),
    ("g", &["G"]),
    ("h", &["HH"]),
    ("i", &["IH"]),
    ("j", &["JH"]),
    ("k", &["K"]),
    ("l", &["L"]),
    ("m", &["M"]),
    ("n", &["N"]),
    ("o", &["AA"]),
    ("p", &["P"]),
    ("r", &["R"]),
    ("s", &["S"]),
    ("t", &["T"]),
    ("u", &["AH"]),
    ("v", &["V"]),
    ("w", &["W"]),
    ("y", &["IY"]),
    ("z", &["Z"]),
];

/// `ARPAbet` names for a lower-case word. Doubled consonants sound once; a final `e` after a consonant is silent.
pub(super) fn read(word: &str) -> Vec<&'static str> {
    let plain: String = word.chars().map(without_accent).collect();
    let mut rest = plain.as_str();
    let mut names: Vec<&'static str> = Vec::new();
    while !rest.is_empty() {
        if rest == "e" && names.len() > 1 {
            break;
        }
        if let Some(after) = rest.strip_prefix('x') {
            names.extend(["K", "S"]);
            rest = after;
            continue;
        }
        if let Some((group, phones)) = GROUPS.iter().find(|(group, _)| rest.starts_with(group)) {
            let doubled = phones.len() == 1 && names.last() == phones.first();
            if !doubled {
                names.extend_from_slice(phones);
            }
            rest = rest.get(group.len()..).unwrap_or("");
        } else {
            let mut letters = rest.chars();
            letters.next();
            rest = letters.as_str();
        }
    }
    names
}

fn without_accent(letter: char) -> char {
    match letter {
        'à'..='å' | 'ā' => 'a',
        'ç' | 'č' => 'c',
        'è'..='ë' | 'ē' | 'ě' => 'e',
        'ì'..='ï' | 'ī' => 'i',
        'ñ' => 'n',
        'ò'..='ö' | 'ø' | 'ō' => 'o',
        'ù'..='ü' | 'ū' => 'u',
        'ý' | 'ÿ' => 'y',
        'š' => 's',
        'ž' => 'z',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn letters_are_read_in_groups() {
        assert_eq!(read("rough"), ["R", "AO"]);
        assert_eq!(read("yknow"), ["IY", "N", "OW"]);
        assert_eq!(read("grize"), ["G", "R", "IH", "Z"]);
        assert_eq!(read("zoé"), ["Z", "AA"]);
        assert_eq!(read("xerox"), ["K", "S", "ER", "AA", "K", "S"]);
        assert!(read("你好").is_empty());
    }
}
