//! From written to spoken words: numbers, signs and abbreviations of English spelled out.

mod numbers;

use numbers::readings;

/// A word as written, with what may be said for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// As written, with its punctuation.
    pub text: String,
    /// Ways to say it, the likeliest first; each is a list of lower-case words. Empty only in scripts that this
    /// module can't read aloud.
    pub spoken: Vec<Vec<String>>,
}

/// The words of a text, split at white space. Marks of scripts (`[pause 0.6]`, `{speaker}`) are left out; punctuation
/// that stands alone joins the word before. English signs and numbers are spelled out when `english`.
pub fn tokens(text: &str, english: bool) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for written in without_marks(text).split_whitespace() {
        let spoken = if english {
            spell(written)
        } else {
            vec![plain_words(written)]
        };
        if spoken.iter().all(Vec::is_empty) {
            if let Some(last) = tokens.last_mut() {
                last.text.push(' ');
                last.text.push_str(written);
            }
            continue;
        }
        tokens.push(Token {
            text: written.to_owned(),
            spoken,
        });
    }
    tokens
}

/// Replaces bracketed marks by blanks. A bracket without its partner stays.
fn without_marks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['[', '{']) {
        let (before, from) = rest.split_at(at);
        let close = if from.starts_with('[') { ']' } else { '}' };
        out.push_str(before);
        match from.find(close) {
            // A mark is short and lies in one line; anything else is text.
            Some(end) if end < 80 && !from.get(..end).unwrap_or("").contains('\n') => {
                out.push(' ');
                rest = from.get(end + 1..).unwrap_or("");
            }
            _ => {
                out.push(' ');
                rest = from.get(1..).unwrap_or("");
            }
        }
    }
    out.push_str(rest);
    out
}

/// Runs of letters, digits, marks and apostrophes.
fn plain_words(written: &str) -> Vec<String> {
    straight(written)
        .split(|c: char| !(c.is_alphanumeric() || c == '\'' || is_mark(c)))
        .map(|word| word.trim_matches('\'').to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Combining marks belong to their letter (Devanagari, Thai and others).
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036f | 0x0900..=0x0dff | 0x0e00..=0x0eff)
}

fn straight(text: &str) -> String {
    text.replace(['\u{2019}', '\u{2018}', '\u{02bc}'], "'")
}

/// English ways to say a written word.
fn spell(written: &str) -> Vec<Vec<String>> {
    let text = straight(written);
    let bare = text.trim_matches(|c: char| !c.is_alphanumeric() && !"$£€%&@#+=-".contains(c));
    if bare.chars().any(|c| c.is_ascii_digit()) {
        let ways = readings(bare);
        if !ways.is_empty() {
            return ways;
        }
    }
    let mut ways: Vec<Vec<String>> = vec![Vec::new()];
    let append = |ways: &mut Vec<Vec<String>>, choices: &[Vec<String>]| {
        let grown = ways
            .iter()
            .flat_map(|way| {
                choices.iter().map(move |choice| {
                    let mut way = way.clone();
                    way.extend(choice.iter().cloned());
                    way
                })
            })
            .take(6)
            .collect();
        *ways = grown;
    };
    for piece in pieces(bare) {
        let choices = match piece.as_str() {
            "&" => vec![vec!["and".to_owned()]],
            "%" => vec![vec!["percent".to_owned()]],
            "@" => vec![vec!["at".to_owned()]],
            "+" => vec![vec!["plus".to_owned()]],
            "=" => vec![vec!["equals".to_owned()]],
            "." => vec![vec!["dot".to_owned()], vec![]],
            digits if digits.chars().all(|c| c.is_ascii_digit()) => readings(digits),
            word => match abbreviation(word) {
                Some(full) => vec![vec![full.to_owned()]],
                None => vec![vec![word.to_lowercase()]],
            },
        };
        if !choices.is_empty() {
            append(&mut ways, &choices);
        }
    }
    ways.dedup();
    ways
}

/// Splits into words, numbers and signs that are said.
fn pieces(bare: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut current = String::new();
    let letters: Vec<char> = bare.chars().collect();
    let end = |current: &mut String, pieces: &mut Vec<String>| {
        let word = current.trim_matches('\'').to_owned();
        if !word.is_empty() {
            pieces.push(word);
        }
        current.clear();
    };
    for (n, &c) in letters.iter().enumerate() {
        let beside = |offset: isize| {
            n.checked_add_signed(offset)
                .and_then(|place| letters.get(place))
                .copied()
        };
        let digit_turn = beside(-1).is_some_and(|b| b.is_ascii_digit() != c.is_ascii_digit());
        if c.is_alphanumeric() || c == '\'' || is_mark(c) {
            if digit_turn && c != '\'' {
                end(&mut current, &mut pieces);
            }
            current.push(c);
        } else {
            let inside = beside(-1).is_some_and(char::is_alphanumeric)
                && beside(1).is_some_and(char::is_alphanumeric);
            end(&mut current, &mut pieces);
            if "&%@+=".contains(c) || (c == '.' && inside && letters.len() > 4) {
                pieces.push(c.to_string());
            }
        }
    }
    end(&mut current, &mut pieces);
    pieces
}

fn abbreviation(word: &str) -> Option<&'static str> {
    Some(match word {
        "Mr" => "mister",
        "Mrs" => "missus",
        "Ms" => "miz",
        "Dr" => "doctor",
        "Prof" => "professor",
        "vs" => "versus",
        "etc" => "etcetera",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first(written: &str) -> String {
        let tokens = tokens(written, true);
        tokens
            .iter()
            .filter_map(|t| t.spoken.first())
            .map(|way| way.join(" "))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn english_is_spelled_out() {
        for (written, spoken) in [
            ("Hello, world!", "hello world"),
            ("It\u{2019}s 3 o'clock", "it's three o'clock"),
            ("twenty-one", "twenty one"),
            ("R&D", "r and d"),
            ("50%", "fifty percent"),
            ("$5.20", "five dollars and twenty cents"),
            (
                "1,234,567",
                "one million two hundred thirty four thousand five hundred sixty seven",
            ),
            ("in 1999", "in nineteen ninety nine"),
            ("the 21st", "the twenty first"),
            ("3.14", "three point one four"),
            ("10:30", "ten thirty"),
            ("Dr. Who", "doctor who"),
            ("[pause 0.6] so {Ann} yes", "so yes"),
            ("www.marxists.org", "www dot marxists dot org"),
            ("the 1980s", "the nineteen eighties"),
            ("COVID19", "covid nineteen"),
        ] {
            assert_eq!(first(written), spoken, "{written}");
        }
    }

    #[test]
    fn lone_punctuation_joins_the_word_before() {
        let tokens = tokens("well \u{2014} yes", true);
        assert_eq!(tokens.len(), 2);
        assert_eq!(tokens[0].text, "well \u{2014}");
    }

    #[test]
    fn a_number_has_several_readings() {
        let tokens = tokens("105", true);
        let ways: Vec<String> = tokens[0].spoken.iter().map(|w| w.join(" ")).collect();
        assert!(ways.contains(&"one hundred five".to_owned()));
        assert!(ways.contains(&"one hundred and five".to_owned()));
        assert!(ways.contains(&"one oh five".to_owned()));
    }

    proptest! {
        #[test]
        fn every_written_word_is_kept_once(text in "[ -~\u{e0}-\u{ff}\u{4e00}-\u{4e10}]{0,80}") {
            let marks_free = without_marks(&text);
            let written: Vec<&str> = marks_free.split_whitespace().collect();
            let kept: Vec<String> = tokens(&text, true)
                .iter()
                .flat_map(|t| t.text.split(' ').map(str::to_owned).collect::<Vec<_>>())
                .collect();
            // Only punctuation before the first word is dropped.
            prop_assert!(written.len() >= kept.len());
            let tail: Vec<&str> = written.iter().copied().skip(written.len() - kept.len()).collect();
            prop_assert_eq!(kept, tail);
        }
    }
}
