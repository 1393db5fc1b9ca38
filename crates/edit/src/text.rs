//! How text is compared: the normal form of a word, and its parts.
//!
//! Two spellings of the same spoken word must compare equal ("Don’t," and "dont", "well-known" and
//! "well known", full-width and plain digits), and scripts without spaces must compare however
//! their words were segmented. So a word is compared by its *parts*: pieces between hyphens for
//! scripts with spaces, single letters with their marks for Chinese, Japanese, Thai, Lao, Khmer and
//! Burmese.

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;
use icu_properties::props::{GeneralCategory, Script};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};

/// What happens to a character when words are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Part of the word.
    Letter,
    /// A mark that belongs to the letter before it.
    Mark,
    /// A letter of a script that writes no spaces.
    Unspaced,
    /// Not heard: dropped.
    Silent,
    /// Not heard, and the word is two parts there.
    Divider,
}

/// Splits text into comparing parts: Unicode NFKC, full case folding, no punctuation.
///
/// Text without anything spoken (punctuation, an emoji) gives none.
pub fn parts(text: &str) -> Vec<String> {
    // Most words of most languages' transcripts end here, ten times faster.
    if text.is_ascii() {
        return split(&text.to_ascii_lowercase());
    }
    let folded = CaseMapper::new().fold_string(text);
    let normal = ComposingNormalizer::new_nfkc().normalize(&folded);
    // Folding and composing can each undo the other (U+0345): fold once more, as the Unicode
    // standard's caseless matching does (definition D146).
    split(&CaseMapper::new().fold_string(&normal))
}

/// Splits text in normal form into parts.
fn split(normal: &str) -> Vec<String> {
    let mut result = Vec::new();
    let mut part = String::new();
    let mut unspaced = false;
    let mut characters = normal.chars().peekable();
    while let Some(character) = characters.next() {
        match role(
            character,
            part.chars().next_back(),
            characters.peek().copied(),
        ) {
            Role::Silent => {}
            Role::Divider => flush(&mut part, &mut result),
            Role::Mark => {
                if !part.is_empty() {
                    part.push(character);
                }
            }
            Role::Unspaced => {
                flush(&mut part, &mut result);
                part.push(character);
                unspaced = true;
            }
            Role::Letter => {
                if unspaced {
                    flush(&mut part, &mut result);
                    unspaced = false;
                }
                part.push(character);
            }
        }
    }
    flush(&mut part, &mut result);
    result
}

/// True when anything in the text is spoken.
pub fn is_spoken(text: &str) -> bool {
    !parts(text).is_empty()
}

fn flush(part: &mut String, into: &mut Vec<String>) {
    if !part.is_empty() {
        into.push(std::mem::take(part));
    }
}

fn role(character: char, before: Option<char>, next: Option<char>) -> Role {
    use GeneralCategory as G;
    const CATEGORIES: CodePointMapDataBorrowed<'static, GeneralCategory> = CodePointMapData::new();
    if character.is_ascii_alphanumeric() {
        return Role::Letter;
    }
    let digits_around =
        || before.is_some_and(char::is_numeric) && next.is_some_and(char::is_numeric);
    match character {
        // Signs that are read aloud.
        '%' | '&' | '@' | '#' | '°' | '§' | '$' | '+' | '=' | '<' | '>' => return Role::Letter,
        '.' if digits_around() => return Role::Letter,
        // An ellipsis, which normalising writes as dots.
        '.' if next == Some('.') => return Role::Divider,
        ',' if digits_around() => return Role::Silent,
        // Inside a word: don't, U.S.
        '\'' | '’' | '‘' | 'ʼ' | '`' | '´' | '.' | '·' => return Role::Silent,
        _ if character.is_ascii() => return Role::Divider,
        // The Arabic tatweel is a letter to Unicode, and only stretches the line.
        '\u{640}' => return Role::Silent,
        // Arabic and Hebrew vowel points: most writers leave them out.
        '\u{64B}'..='\u{65F}' | '\u{670}' | '\u{591}'..='\u{5C7}' => return Role::Silent,
        // Variation selectors of emoji.
        '\u{FE00}'..='\u{FE0F}' => return Role::Silent,
        // Signs that stand for a letter of the scripts without spaces.
        'ー' | '々' => return Role::Unspaced,
        _ => {}
    }
    match CATEGORIES.get(character) {
        G::UppercaseLetter
        | G::LowercaseLetter
        | G::TitlecaseLetter
        | G::ModifierLetter
        | G::OtherLetter
        | G::DecimalNumber
        | G::LetterNumber
        | G::OtherNumber => {
            if writes_no_spaces(character) {
                Role::Unspaced
            } else {
                Role::Letter
            }
        }
        G::NonspacingMark | G::SpacingMark => Role::Mark,
        G::MathSymbol | G::CurrencySymbol => Role::Letter,
        // Zero-width joiners, direction marks, soft hyphens; keycaps.
        G::Format | G::EnclosingMark => Role::Silent,
        _ => Role::Divider,
    }
}

/// True for letters of scripts that don't put spaces between words.
pub fn writes_no_spaces(character: char) -> bool {
    const SCRIPTS: CodePointMapDataBorrowed<'static, Script> = CodePointMapData::new();
    !character.is_ascii()
        && matches!(
            SCRIPTS.get(character),
            Script::Han
                | Script::Hiragana
                | Script::Katakana
                | Script::Bopomofo
                | Script::Thai
                | Script::Lao
                | Script::Khmer
                | Script::Myanmar
        )
}

/// Joins words with a space, except between two words of scripts that write none.
pub fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for word in words {
        let word = word.trim();
        if needs_space(&text, word) {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

fn needs_space(before: &str, after: &str) -> bool {
    let (Some(last), Some(first)) = (before.chars().next_back(), after.chars().next()) else {
        return false;
    };
    let wide = |character| writes_no_spaces(character) || is_wide_punctuation(character);
    !(wide(last) && wide(first) || is_wide_punctuation(last) || is_wide_punctuation(first))
}

/// CJK punctuation and full-width forms, which bring their own space.
fn is_wide_punctuation(character: char) -> bool {
    matches!(character, '\u{3000}'..='\u{303F}' | '\u{FF01}'..='\u{FF0F}' | '\u{FF1A}'..='\u{FF20}' | '\u{FF3B}'..='\u{FF40}' | '\u{FF5B}'..='\u{FF65}' | 'ー')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) {
        assert_eq!(parts(a), parts(b), "{a:?} against {b:?}");
        assert!(!parts(a).is_empty(), "{a:?} is spoken");
    }

    #[test]
    fn spellings_of_one_word_compare_equal() {
        same("Don’t,", "don't");
        same("“Straße!”", "STRASSE");
        same("well-known", "Well known");
        same("well\u{2011}known", "well-known");
        same("cafe\u{301}", "Café");
        same("１２３", "123");
        same("1,000", "1000");
        same("ﾃﾚﾋﾞ", "テレビ");
        same("مَرْحَبًا", "مرحبا");
        same("co\u{AD}operate", "cooperate");
        same("100 %", "100 %.");
        same("Ελλάς", "ΕΛΛΆΣ");
    }

    #[test]
    fn different_words_stay_different() {
        for (a, b) in [
            ("ข้าว", "ขาว"),
            ("3.5", "35"),
            ("100%", "100"),
            ("のみ", "ノミ"),
            ("resume", "résumé"),
        ] {
            assert_ne!(parts(a), parts(b), "{a:?} against {b:?}");
        }
    }

    #[test]
    fn scripts_without_spaces_compare_letter_by_letter() {
        assert_eq!(parts("我们开会。"), ["我", "们", "开", "会"]);
        assert_eq!(parts("コーヒー"), ["コ", "ー", "ヒ", "ー"]);
        assert_eq!(parts("น้ำ").len(), 2);
        assert_eq!(parts("AI技术3月"), ["ai", "技", "术", "3", "月"]);
    }

    #[test]
    fn what_is_not_heard_has_no_parts() {
        for text in ["", "—", "…", "😀", "👩🏽‍🚀", "。", "“”", "\u{200B}"] {
            assert!(!is_spoken(text), "{text:?}");
        }
    }

    #[test]
    fn words_join_as_the_script_writes_them() {
        assert_eq!(join(["Hello,", "world"].into_iter()), "Hello, world");
        assert_eq!(join(["我们", "开会。", "好"].into_iter()), "我们开会。好");
        assert_eq!(join(["สวัสดี", "ครับ"].into_iter()), "สวัสดีครับ");
        assert_eq!(join(["AI", "技术"].into_iter()), "AI 技术");
    }
}
