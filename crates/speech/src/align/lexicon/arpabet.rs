//! From espeak-ng's phoneme names (Kirshenbaum's ASCII with additions, as `espeak-ng -x` writes them) to `ARPAbet`.

/// `ARPAbet` of one espeak-ng phoneme; two phones for some of its vowels.
const TABLE: [(&str, &[&str]); 66] = [
    ("a", &["AE"]),
    ("aa", &["AE"]),
    ("A", &["AA"]),
    ("A:", &["AA"]),
    ("A@", &["AA", "R"]),
    ("0", &["AA"]),
    ("O", &["AO"]),
    ("O:", &["AO"]),
    ("O@", &["AO", "R"]),
    ("o@", &["AO", "R"]),
    ("V", &["AH"]),
    ("@", &["AH"]),
    ("@2", &["AH"]),
    ("@5", &["AH"]),
    ("a#", &["AH"]),
    ("I2", &["IH"]),
    ("I", &["IH"]),
    ("I#", &["IH"]),
    ("i", &["IY"]),
    ("i:", &["IY"]),
    ("i@", &["IY", "AH"]),
    ("i@3", &["IH", "R"]),
    ("E", &["EH"]),
    ("E#", &["EH"]),
    ("e", &["EH"]),
    ("e@", &["EH", "R"]),
    ("eI", &["EY"]),
    ("aI", &["AY"]),
    ("aI@", &["AY", "AH"]),
    ("aI3", &["AY", "ER"]),
    ("aU", &["AW"]),
    ("aU@", &["AW", "ER"]),
    ("oU", &["OW"]),
    ("oU#", &["OW"]),
    ("OI", &["OY"]),
    ("U", &["UH"]),
    ("U@", &["UH", "R"]),
    ("u", &["UW"]),
    ("u:", &["UW"]),
    ("3", &["ER"]),
    ("3:", &["ER"]),
    ("@L", &["AH", "L"]),
    ("@l", &["AH", "L"]),
    ("n-", &["AH", "N"]),
    ("m-", &["AH", "M"]),
    ("l-", &["AH", "L"]),
    ("r-", &["R"]),
    ("r", &["R"]),
    ("R", &["R"]),
    ("t#", &["T"]),
    ("t2", &["T"]),
    ("?", &["T"]),
    ("tS", &["CH"]),
    ("dZ", &["JH"]),
    ("T", &["TH"]),
    ("D", &["DH"]),
    ("S", &["SH"]),
    ("Z", &["ZH"]),
    ("N", &["NG"]),
    ("h", &["HH"]),
    ("j", &["Y"]),
    ("x", &["K"]),
    ("l#", &["L"]),
    ("w#", &["W"]),
    ("z#", &["Z"]),
    ("d#", &["D"]),
];

/// `ARPAbet` names for phonemes separated by `_` or blanks; unknown ones are left out.
pub(super) fn from_espeak(phonemes: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for phoneme in phonemes.split(['_', ' ', '|']) {
        let plain = phoneme.trim_matches(|c: char| "',%=;~\"!".contains(c));
        if let Some((_, phones)) = TABLE.iter().find(|(name, _)| *name == plain) {
            names.extend_from_slice(phones);
            continue;
        }
        let same = match plain {
            "b" => "B",
            "d" => "D",
            "f" => "F",
            "g" => "G",
            "k" => "K",
            "l" => "L",
            "m" => "M",
            "n" => "N",
            "p" => "P",
            "s" => "S",
            "t" => "T",
            "v" => "V",
            "w" => "W",
            "z" => "Z",
            _ => continue,
        };
        names.push(same);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::from_espeak;

    #[test]
    fn phonemes_become_phones() {
        assert_eq!(from_espeak("h_@_l_'oU"), ["HH", "AH", "L", "OW"]);
        assert_eq!(from_espeak("tS_'e@"), ["CH", "EH", "R"]);
        assert_eq!(from_espeak("D_I2_;"), ["DH", "IH"]);
        assert!(from_espeak("").is_empty());
    }
}
