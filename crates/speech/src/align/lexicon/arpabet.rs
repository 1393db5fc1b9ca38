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

/// Phonemes of other languages and the English phones that sound most alike, where [`TABLE`] says nothing or, for
/// English, something else.
const FOREIGN: [(&str, &[&str]); 46] = [
    ("a:", &["AA"]),
    ("e:", &["EY"]),
    ("E:", &["EH"]),
    ("o", &["OW"]),
    ("o:", &["OW"]),
    ("y", &["UW"]),
    ("y:", &["UW"]),
    ("Y", &["UH"]),
    ("Y:", &["UH"]),
    ("W", &["EH"]),
    ("W:", &["ER"]),
    ("2", &["ER"]),
    ("2:", &["ER"]),
    ("9", &["ER"]),
    ("&", &["AE"]),
    ("i\"", &["IH"]),
    ("u\"", &["UH"]),
    ("A~", &["AA", "N"]),
    ("a~", &["AE", "N"]),
    ("E~", &["AE", "N"]),
    ("e~", &["EH", "N"]),
    ("O~", &["AO", "N"]),
    ("o~", &["OW", "N"]),
    ("W~", &["AH", "N"]),
    ("i~", &["IY", "N"]),
    ("u~", &["UW", "N"]),
    ("OY", &["OY"]),
    ("Oy", &["OY"]),
    ("C", &["SH"]),
    ("X", &["HH"]),
    ("x", &["HH"]),
    ("Q", &["G"]),
    ("R", &["R"]),
    ("g\"", &["G"]),
    ("r", &["R"]),
    ("**", &["R"]),
    ("*", &["R"]),
    ("n^", &["N", "Y"]),
    ("l^", &["L", "Y"]),
    ("B", &["V"]),
    ("P", &["F"]),
    ("H", &["HH"]),
    ("pF", &["P", "F"]),
    ("ts", &["T", "S"]),
    ("dz", &["D", "Z"]),
    ("q", &["K"]),
];

/// `ARPAbet` names for phonemes of any language: what is unknown is taken for what its first letters stand for.
pub(super) fn nearest(phonemes: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for phoneme in phonemes.split(['_', ' ', '|']) {
        let plain = phoneme.trim_matches(|c: char| "',%=;!0123456789\u{2c8}\u{2cc}".contains(c));
        let digits = phoneme.trim_matches(|c: char| "',%=;!".contains(c));
        let known = [digits, plain].into_iter().find_map(|name| {
            FOREIGN
                .iter()
                .chain(&TABLE)
                .find(|(known, _)| *known == name)
        });
        if let Some((_, phones)) = known {
            names.extend_from_slice(phones);
            continue;
        }
        let whole = from_espeak(plain);
        if !whole.is_empty() {
            names.extend(whole);
            continue;
        }
        // Longest known beginning: `t^`, `s;`, `aU~` and the like.
        let mut rest = plain;
        while let Some(last) = rest.char_indices().next_back() {
            rest = rest.get(..last.0).unwrap_or_default();
            let found = FOREIGN
                .iter()
                .chain(&TABLE)
                .find(|(known, _)| !rest.is_empty() && *known == rest)
                .map(|(_, phones)| phones.to_vec())
                .unwrap_or_else(|| from_espeak(rest));
            if !found.is_empty() {
                names.extend(found);
                break;
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{from_espeak, nearest};

    #[test]
    fn phonemes_of_other_languages_come_near() {
        assert_eq!(nearest("b_O~_Z_'u:_r"), ["B", "AO", "N", "ZH", "UW", "R"]);
        assert_eq!(nearest("S_'2:_n"), ["SH", "ER", "N"]);
        assert_eq!(nearest("n^_'a_t^"), ["N", "Y", "AE", "T"]);
    }

    #[test]
    fn phonemes_become_phones() {
        assert_eq!(from_espeak("h_@_l_'oU"), ["HH", "AH", "L", "OW"]);
        assert_eq!(from_espeak("tS_'e@"), ["CH", "EH", "R"]);
        assert_eq!(from_espeak("D_I2_;"), ["DH", "IH"]);
        assert!(from_espeak("").is_empty());
    }
}
