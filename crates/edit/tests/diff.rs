//! Script against transcript, in many languages: the operations turn the one into the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

use edit::diff::{ScriptDiff, Verdict, WordOp, diff};
use edit::script::{Piece, Script};
use edit::text::parts;
use edit::{Transcript, Word};
use proptest::prelude::*;
use units::Seconds;

fn transcript<'a>(words: impl IntoIterator<Item = &'a str>) -> Transcript {
    let words = words.into_iter().enumerate().map(|(index, text)| {
        let start = index as f64 * 0.5;
        Word::new(text, Seconds(start), Seconds(start + 0.4))
    });
    Transcript::new(None, words.collect()).unwrap()
}

/// The parts that are spoken when the operations are applied.
fn applied(diff: &ScriptDiff, transcript: &Transcript) -> Vec<String> {
    let mut spoken = Vec::new();
    for op in &diff.ops {
        match op {
            WordOp::Keep { words, .. } => {
                for word in &transcript.words()[words.clone()] {
                    spoken.extend(parts(&word.text));
                }
            }
            WordOp::Insert { pieces, .. } | WordOp::Replace { pieces, .. } => {
                for piece in pieces {
                    if let Piece::Say { text, .. } = piece {
                        spoken.extend(parts(text));
                    }
                }
            }
            WordOp::Remove { .. } | WordOp::Pause { .. } => {}
        }
    }
    spoken
}

/// Checks that the operations cover both texts once, in order, and give the script.
fn check(diff: &ScriptDiff, transcript: &Transcript, script: &Script) -> Result<(), TestCaseError> {
    let (mut word, mut said) = (0, 0);
    for op in &diff.ops {
        match op {
            WordOp::Keep { words, script } | WordOp::Replace { words, script, .. } => {
                prop_assert_eq!((words.start, script.start), (word, said));
                (word, said) = (words.end, script.end);
            }
            WordOp::Remove { words } => {
                prop_assert_eq!(words.start, word);
                word = words.end;
            }
            WordOp::Insert { at, script, .. } => {
                prop_assert_eq!((*at, script.start), (word, said));
                said = script.end;
            }
            WordOp::Pause { at, .. } => prop_assert_eq!(*at, word),
        }
    }
    prop_assert_eq!((word, said), (transcript.len(), script.words().len()));
    let wanted: Vec<String> = script
        .words()
        .iter()
        .flat_map(|word| parts(&word.text))
        .collect();
    prop_assert_eq!(applied(diff, transcript), wanted);
    // Adjacent operations that change something are one.
    let changes = |op: &WordOp| !matches!(op, WordOp::Keep { .. } | WordOp::Pause { .. });
    prop_assert!(
        diff.ops
            .windows(2)
            .all(|pair| !(changes(&pair[0]) && changes(&pair[1])))
    );
    Ok(())
}

fn word() -> impl Strategy<Value = String> {
    let words = [
        "a",
        "the",
        "Well-known",
        "well",
        "known",
        "don’t",
        "Tuesday,",
        "x1",
        "—",
        "我们",
        "开会",
        "会",
        "我",
        "们开",
        "สวัสดี",
        "ครับ",
        "مرحبا",
        "Straße",
        "3.5",
        "…",
        "です",
        "か",
        "😀",
    ];
    prop::sample::select(words.map(str::to_owned).to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn applying_the_operations_gives_the_script(
        old in prop::collection::vec(word(), 0..25),
        new in prop::collection::vec(word(), 1..25),
        glue in prop::sample::select(vec![" ", "", "\n", " [pause 0.3] ", " {Ann} "]),
    ) {
        let transcript = transcript(old.iter().map(String::as_str));
        let Ok(script) = Script::parse(&new.join(glue)) else { return Ok(()) };
        let diff = diff(&transcript, &script);
        check(&diff, &transcript, &script)?;
        prop_assert!((0.0..=1.0).contains(&diff.similarity));
    }

    #[test]
    fn edits_of_a_text_are_found(
        words in prop::collection::vec("[a-z]{1,6}", 12..60),
        at in any::<prop::sample::Index>(),
        new in "[A-Z]{7,9}",
    ) {
        let transcript = transcript(words.iter().map(String::as_str));
        let at = at.index(words.len());
        let mut changed = words.clone();
        changed[at] = new.clone();
        let script = Script::parse(&changed.join(" ")).unwrap();
        let found = diff(&transcript, &script);
        check(&found, &transcript, &script)?;
        prop_assert_eq!(found.verdict, Verdict::Edited);
        let replaced: Vec<_> = found.ops.iter().filter(|op| !matches!(op, WordOp::Keep { .. })).collect();
        prop_assert_eq!(replaced.len(), 1);
        let WordOp::Replace { words, pieces, .. } = replaced[0] else { panic!("{replaced:?}") };
        prop_assert_eq!(words, &(at..at + 1));
        prop_assert_eq!(pieces, &vec![Piece::Say { text: new, speaker: None }]);
    }

    #[test]
    fn any_text_parses_or_says_why(text in "\\PC{0,80}") {
        if let Ok(script) = Script::parse(&text) {
            let transcript = transcript(script.words().iter().map(|word| word.text.as_str()));
            let found = diff(&transcript, &script);
            check(&found, &transcript, &script)?;
            prop_assert!(found.similarity > 1.0 - 1e-9);
        }
    }
}

fn same(words: &[&str], script: &str) {
    let transcript = transcript(words.iter().copied());
    let found = diff(&transcript, &Script::parse(script).unwrap());
    assert_eq!(
        found.verdict,
        Verdict::Same,
        "{words:?} against {script:?}: {:?}",
        found.ops
    );
    assert!((found.similarity - 1.0).abs() < 1e-9);
}

/// The one replacement: recorded words and new text.
fn replaced(words: &[&str], script: &str) -> (String, String) {
    let transcript = transcript(words.iter().copied());
    let found = diff(&transcript, &Script::parse(script).unwrap());
    let changes: Vec<_> = found
        .ops
        .iter()
        .filter(|op| !matches!(op, WordOp::Keep { .. }))
        .collect();
    let [WordOp::Replace { words, pieces, .. }] = changes.as_slice() else {
        panic!("{changes:?}");
    };
    let said = pieces.iter().map(|piece| match piece {
        Piece::Say { text, .. } => text.clone(),
        Piece::Pause(seconds) => format!("[{}]", seconds.0),
    });
    (
        transcript.text(words.clone()),
        said.collect::<Vec<_>>().join(" "),
    )
}

#[test]
fn spelling_and_segmentation_are_no_change() {
    same(&["Hello,", "world."], "hello WORLD");
    same(&["well", "known"], "Well-known!");
    same(&["well-known", "fact"], "well known fact");
    same(&["I", "don't"], "I don’t…");
    same(&["—", "so", "—"], "So.");
    // A recogniser that writes letters, a script cut by dictionary, and the other way round.
    same(&["我", "们", "昨", "天", "开", "会"], "我们昨天开会。");
    same(&["我们昨天", "开会"], "我们昨天开会");
    same(&["こん", "にち", "は"], "こんにちは。");
    same(&["สวัส", "ดี", "ครับ"], "สวัสดีครับ");
    same(&["مَرْحَبًا"], "مرحبا!");
    same(&["Straße"], "STRASSE");
    same(&["Yes", "😀", "No"], "Yes No");
}

#[test]
fn words_change_whole_in_every_script() {
    let pair = |old: &str, new: &str| (old.to_owned(), new.to_owned());
    assert_eq!(
        replaced(&["on", "Tuesday,", "we"], "on Wednesday, we"),
        pair("Tuesday,", "Wednesday,")
    );
    // Star-sign and day share letters; the word changes whole.
    assert_eq!(
        replaced(&["我", "星", "期", "二", "来"], "我星期三来"),
        pair("星期二", "星期三")
    );
    assert_eq!(
        replaced(&["我", "星期二", "来"], "我星期三来"),
        pair("星期二", "星期三")
    );
    assert_eq!(
        replaced(&["東京", "で", "会う"], "大阪で会う"),
        pair("東京", "大阪")
    );
    assert_eq!(
        replaced(&["ผม", "รัก", "แมว"], "ผมรักหมา"),
        pair("แมว", "หมา")
    );
    assert_eq!(
        replaced(&["أنا", "أحب", "القهوة"], "أنا أحب الشاي"),
        pair("القهوة", "الشاي")
    );
    assert_eq!(
        replaced(&["das", "Straßenfest"], "das Stadtfest"),
        pair("Straßenfest", "Stadtfest")
    );
    // Half of a recorded word can't be kept.
    assert_eq!(
        replaced(&["a", "well-known", "b"], "a well-loved b"),
        pair("well-known", "well-loved")
    );
    // A pause where words were.
    assert_eq!(
        replaced(&["a", "um", "b"], "a [pause 0.5] b"),
        pair("um", "[0.5]")
    );
    assert_eq!(
        replaced(&["a", "um", "b"], "a [pause 0.5] er [pause 1] b"),
        pair("um", "[0.5] er [1]")
    );
}

#[test]
fn pauses_between_kept_words_are_operations() {
    let transcript = transcript(["one", "two", "three"]);
    let script =
        Script::parse("[pause 1] one [pause 0.2] [pause 0.2] two three [pause 2]").unwrap();
    let found = diff(&transcript, &script);
    let pauses: Vec<_> = found
        .ops
        .iter()
        .filter_map(|op| match op {
            WordOp::Pause { at, seconds } => Some((*at, seconds.0)),
            _ => None,
        })
        .collect();
    assert_eq!(pauses, [(0, 1.0), (1, 0.4), (3, 2.0)]);
    assert_eq!(found.verdict, Verdict::Edited);
}

#[test]
fn texts_that_do_not_belong_together_are_told_apart() {
    let said = "we hold these truths to be self evident that all men are created equal and that they are endowed by their creator \
                with certain unalienable rights that among these are life liberty and the pursuit of happiness";
    let other = "the quick brown fox jumps over the lazy dog and then it runs to the river to drink all of the water that they \
                 have in the valley of the moon where we are told that men go to sleep by the sea";
    let verdict = |old: &str, new: &str| {
        diff(
            &transcript(old.split_whitespace()),
            &Script::parse(new).unwrap(),
        )
        .verdict
    };
    assert_eq!(verdict(said, other), Verdict::Unrelated);
    assert_eq!(verdict(said, said), Verdict::Same);
    // A script that keeps one sentence of many is an edit.
    assert_eq!(verdict(said, "all men are created equal"), Verdict::Edited);
    assert_eq!(
        verdict("bin blue at f two now", "bin red at f two now"),
        Verdict::Edited
    );
    assert_eq!(
        verdict(
            "bin blue at f two now",
            "completely other words here please"
        ),
        Verdict::Unrelated
    );
}
