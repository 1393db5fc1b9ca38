//! Text into words: by white space where the script writes it, by dictionary where it doesn't.

use crate::text::{is_spoken, writes_no_spaces};
use icu_segmenter::WordSegmenter;
use icu_segmenter::options::WordBreakInvariantOptions;
use std::ops::Range;

/// The words of a text, each with the punctuation that belongs to it.
///
/// A chunk between spaces is one word ("well-known", "don’t", "3:30"), except that dashes, commas
/// and the like between letters end a word, and that scripts without spaces are segmented by
/// dictionary.
pub fn words_of(text: &str) -> Vec<String> {
    ranges(text)
        .into_iter()
        .filter_map(|range| text.get(range))
        .map(|word| word.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// Where the words stand, in bytes, ascending; what lies between them is white space. Text
/// without anything spoken gives none.
pub(super) fn ranges(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    // Opening punctuation waits for its word.
    let mut waiting: Option<usize> = None;
    let mut joined = false;
    for segment in segments(text) {
        let piece = text.get(segment.clone()).unwrap_or_default();
        if piece.chars().all(|c| c.is_whitespace() || c == '\u{FEFF}') {
            joined = false;
            continue;
        }
        if is_spoken(piece) {
            let start = waiting.take().unwrap_or(segment.start);
            let spaced = !piece.chars().any(writes_no_spaces);
            match words.last_mut() {
                Some(last) if joined && spaced && last.end >= start => last.end = segment.end,
                _ => words.push(start..segment.end),
            }
            joined = spaced;
            continue;
        }
        let touches = words.last().is_some_and(|last| last.end == segment.start);
        let opens = piece.chars().all(is_opening);
        match words.last_mut() {
            Some(last) if waiting.is_none() && !(opens && !(touches && joined)) => {
                last.end = segment.end;
                joined = joined && touches && piece.chars().all(joins);
            }
            _ => {
                waiting.get_or_insert(segment.start);
                joined = false;
            }
        }
    }
    if let (Some(_), Some(last)) = (waiting, words.last_mut()) {
        last.end = text.trim_end().len();
    }
    words
}

/// The text cut at white space and at the word boundaries of UAX 29 and the dictionaries.
fn segments(text: &str) -> Vec<Range<usize>> {
    let segmenter = WordSegmenter::new_dictionary(WordBreakInvariantOptions::default());
    let mut result = Vec::new();
    let mut start = 0;
    for chunk in text.split_inclusive(char::is_whitespace) {
        // Plain words need no segmenter, and most are plain.
        let word = chunk.trim_end();
        if word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            result.push(start..start + word.len());
        } else {
            let mut before = 0;
            // The first boundary is the chunk's start.
            for boundary in segmenter.segment_str(word).skip(1) {
                result.push(start + before..start + boundary);
                before = boundary;
            }
        }
        result.push(start + word.len()..start + chunk.len());
        start += chunk.len();
    }
    result.retain(|range| !range.is_empty());
    result
}

/// Punctuation that opens something, and so belongs to the word after it.
fn is_opening(character: char) -> bool {
    matches!(
        character,
        '(' | '['
            | '{'
            | '<'
            | '«'
            | '‹'
            | '“'
            | '‘'
            | '„'
            | '‚'
            | '¿'
            | '¡'
            | '「'
            | '『'
            | '（'
            | '【'
            | '《'
            | '〈'
            | '"'
            | '\''
            | '［'
            | '〔'
    )
}

/// Punctuation inside one word.
fn joins(character: char) -> bool {
    matches!(
        character,
        '-' | '\u{2010}'
            | '\u{2011}'
            | '\''
            | '’'
            | '.'
            | '/'
            | '_'
            | ':'
            | '·'
            | '\u{AD}'
            | '\u{200D}'
            | '\u{200C}'
            | '\u{200B}'
            | '\u{2060}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_keep_their_punctuation() {
        assert_eq!(
            words_of("“Don’t,” she said—well-known… at 3:30 (and/or) $5 100% e.g. it's"),
            [
                "“Don’t,”",
                "she",
                "said—",
                "well-known…",
                "at",
                "3:30",
                "(and/or)",
                "$5",
                "100%",
                "e.g.",
                "it's"
            ]
        );
        assert_eq!(words_of("one - two, three"), ["one -", "two,", "three"]);
        assert_eq!(words_of("... and \"so\" on"), ["... and", "\"so\"", "on"]);
        assert_eq!(words_of("Yes!😀 No 👩🏽‍🚀."), ["Yes!😀", "No 👩🏽‍🚀."]);
        assert_eq!(words_of("a (b"), ["a", "(b"]);
        assert_eq!(words_of("a ("), ["a ("]);
    }

    #[test]
    fn scripts_without_spaces_are_cut_by_dictionary() {
        assert_eq!(
            words_of("我们昨天在北京大学开会。"),
            ["我们", "昨天", "在", "北京", "大学", "开会。"]
        );
        assert_eq!(
            words_of("こんにちは世界。「元気」ですか"),
            ["こんにちは", "世界。", "「元気」", "です", "か"]
        );
        assert_eq!(words_of("สวัสดีครับ ทุกคน"), ["สวัสดี", "ครับ", "ทุก", "คน"]);
        assert_eq!(words_of("用AI技术"), ["用", "AI", "技术"]);
    }

    #[test]
    fn other_scripts_are_cut_at_spaces() {
        assert_eq!(words_of("مرحبا، كيف حالك؟"), ["مرحبا،", "كيف", "حالك؟"]);
        assert_eq!(
            words_of("Grüße aus Köln, Straße"),
            ["Grüße", "aus", "Köln,", "Straße"]
        );
        assert_eq!(words_of("안녕하세요 여러분"), ["안녕하세요", "여러분"]);
        assert_eq!(words_of("नमस्ते दुनिया।"), ["नमस्ते", "दुनिया।"]);
    }

    proptest! {
        #[test]
        fn every_spoken_part_is_in_exactly_one_word(text in "\\PC{0,60}") {
            let ranges = ranges(&text);
            let mut end = 0;
            let mut parts = Vec::new();
            for range in &ranges {
                prop_assert!(range.start >= end && range.end > range.start);
                prop_assert!(!is_spoken(&text[end..range.start]));
                prop_assert!(is_spoken(&text[range.clone()]), "{:?}", &text[range.clone()]);
                parts.extend(crate::text::parts(&text[range.clone()]));
                end = range.end;
            }
            prop_assert!(!is_spoken(&text[end..]));
        }
    }
}
