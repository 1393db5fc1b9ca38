//! Edit lists from one-line edits, and what can go wrong with them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

use edit::cuts::CutConfig;
use edit::diff::diff;
use edit::edits::{FillerConfig, NewSpeech, Request, Wish, fillers, from_diff, remove, replace};
use edit::script::Script;
use edit::{EditError, EditKind, EditList, Transcript, Word};
use units::Seconds;

/// Words of 0.4 s with pauses of 0.2 s, from 0.2 s on.
fn transcript(text: &str) -> Transcript {
    let words = text.split_whitespace().enumerate().map(|(index, text)| {
        let start = 0.2 + 0.6 * index as f64;
        Word::new(text, Seconds(start), Seconds(start + 0.4))
    });
    Transcript::new(Some("en".to_owned()), words.collect()).unwrap()
}

fn duration(transcript: &Transcript) -> Seconds {
    Seconds(0.2 + 0.6 * transcript.len() as f64)
}

fn build(transcript: &Transcript, requests: &[Request]) -> Result<EditList, EditError> {
    EditList::build(
        requests,
        transcript,
        duration(transcript),
        None,
        &CutConfig::default(),
    )
}

/// What changes: kind, words, seconds.
fn changes(list: &EditList) -> Vec<String> {
    list.edits()
        .iter()
        .filter(|edit| edit.kind != EditKind::Keep)
        .map(|edit| {
            format!(
                "{:?} words {}-{} {:.2}-{:.2}",
                edit.kind, edit.words.start, edit.words.end, edit.source.start.0, edit.source.end.0
            )
        })
        .collect()
}

#[test]
fn every_occurrence_of_a_word_goes() {
    let words = transcript("So um we um, Um meet");
    let list = build(&words, &remove("um", false, &words).unwrap()).unwrap();
    assert_eq!(
        changes(&list),
        ["Remove words 1-2 0.70-1.30", "Remove words 3-5 1.90-3.10"]
    );
    let list = build(&words, &remove("we um", false, &words).unwrap()).unwrap();
    assert_eq!(changes(&list), ["Remove words 2-4 1.30-2.50"]);
}

#[test]
fn the_clip_s_first_and_last_words_go_with_their_silence() {
    let words = transcript("um we meet um");
    let list = build(&words, &remove("um", false, &words).unwrap()).unwrap();
    assert_eq!(
        changes(&list),
        ["Remove words 0-1 0.00-0.70", "Remove words 3-4 1.90-2.60"]
    );
}

#[test]
fn a_span_moves_to_good_cuts_unless_exact() {
    let words = transcript("one two three four");
    let span = |value: &str, exact| {
        let list = build(&words, &remove(value, exact, &words).unwrap()).unwrap();
        assert!(list.moved().is_empty());
        changes(&list)
    };
    // 0.85 and 1.7 lie inside words; the pauses are 0.6-0.8, 1.2-1.4 and 1.8-2.0.
    assert_eq!(span("0.85-1.70", false), ["Remove words 1-3 0.80-1.80"]);
    assert_eq!(span("0.85-1.70", true), ["Remove words 1-3 0.85-1.70"]);
    assert_eq!(span("0.7 - 1.3", false), ["Remove words 1-2 0.70-1.30"]);
    // The end of the clip may be rounded up.
    assert_eq!(span("2.0-2.62", false), ["Remove words 3-4 2.00-2.60"]);
}

#[test]
fn a_cut_in_a_long_word_moves_beyond_reach_and_says_so() {
    let words = Transcript::new(
        None,
        vec![
            Word::new("looong", Seconds(1.0), Seconds(3.0)),
            Word::new("b", Seconds(3.0), Seconds(3.5)),
        ],
    )
    .unwrap();
    let requests = remove("1.8-3.5", false, &words).unwrap();
    let list =
        EditList::build(&requests, &words, Seconds(5.0), None, &CutConfig::default()).unwrap();
    assert_eq!(changes(&list), ["Remove words 0-2 1.00-3.50"]);
    assert_eq!(list.moved().len(), 1);
    assert_eq!(
        (list.moved()[0].from, list.moved()[0].to),
        (Seconds(1.8), Seconds(1.0))
    );
}

#[test]
fn replacing_gives_back_the_pauses_that_it_cuts_away() {
    let words = transcript("on Tuesday we");
    let list = build(
        &words,
        &replace("tuesday = Wednesday morning", &words).unwrap(),
    )
    .unwrap();
    assert_eq!(changes(&list), ["Replace words 1-2 0.78-1.22"]);
    let (_, speech) = list.insertions().next().unwrap();
    assert_eq!(speech.text(), "Wednesday morning");
    assert!((speech.lead.0 - 0.02).abs() < 1e-9 && (speech.tail.0 - 0.02).abs() < 1e-9);
}

#[test]
fn insertions_stay_with_their_sentence() {
    let long = |texts: [&str; 2]| {
        let words = vec![
            Word::new(texts[0], Seconds(0.0), Seconds(1.0)),
            Word::new(texts[1], Seconds(3.0), Seconds(4.0)),
        ];
        Transcript::new(None, words).unwrap()
    };
    let at = |transcript: &Transcript, index| {
        let request = Request::new("insertion", Wish::Insert(index, NewSpeech::say("new")));
        let list = EditList::build(
            &[request],
            transcript,
            Seconds(5.0),
            None,
            &CutConfig::default(),
        )
        .unwrap();
        list.insertions().next().unwrap().0.source.start.0
    };
    assert!((at(&long(["on", "we"]), 1) - 1.15).abs() < 1e-9);
    assert!((at(&long(["on.”", "We"]), 1) - 2.85).abs() < 1e-9);
    assert!((at(&long(["on.", "We"]), 2) - 4.15).abs() < 1e-9);
}

#[test]
fn fillers_and_long_pauses_go() {
    let mut words = transcript("So um, uh we meet erm today").into_words();
    for word in &mut words[4..] {
        word.start += Seconds(2.0);
        word.end += Seconds(2.0);
    }
    let words = Transcript::new(Some("en-GB".to_owned()), words).unwrap();
    let requests = fillers(&words, &FillerConfig::default()).unwrap();
    let list =
        EditList::build(&requests, &words, Seconds(7.0), None, &CutConfig::default()).unwrap();
    assert_eq!(
        changes(&list),
        [
            "Remove words 1-3 0.70-1.90",
            "Remove words 4-4 2.65-4.35",
            "Remove words 5-6 5.10-5.70"
        ]
    );
    // An edit of the same word by name goes first.
    let mut both = requests;
    both.extend(replace("erm=surely", &words).unwrap());
    let list = EditList::build(&both, &words, Seconds(7.0), None, &CutConfig::default()).unwrap();
    assert_eq!(changes(&list)[2], "Replace words 5-6 5.18-5.62");
}

#[test]
fn fillers_of_other_languages() {
    let words = ["我们", "嗯", "开会"]
        .iter()
        .enumerate()
        .map(|(index, text)| Word::new(*text, Seconds(index as f64), Seconds(index as f64 + 0.5)));
    let words = Transcript::new(Some("zh-Hans".to_owned()), words.collect()).unwrap();
    let requests = fillers(&words, &FillerConfig::default()).unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].wish, Wish::Remove(1..2));
}

#[test]
fn edits_that_can_t_be_made_say_why() {
    let words = transcript("one two three two");
    let failed = |requests: Result<Vec<Request>, EditError>| {
        requests
            .and_then(|requests| build(&words, &requests))
            .unwrap_err()
            .to_string()
    };
    let all = |values: &[&str]| {
        let mut requests = Vec::new();
        for value in values {
            requests.extend(if value.contains('=') {
                replace(value, &words)?
            } else {
                remove(value, false, &words)?
            });
        }
        Ok(requests)
    };
    let scripted = |script: &str| Ok(from_diff(&diff(&words, &Script::parse(script).unwrap())));
    insta::assert_snapshot!(
        [
            failed(all(&["two", "two three"])),
            failed(all(&["two", "two=four"])),
            failed(all(&["one", "0.1-0.5"])),
            failed(all(&["0.1-0.5", "0.4-1.0"])),
            failed(all(&["one", "two", "three"])),
            failed(all(&["0-2.6"])),
            failed(all(&["three", "2.0-1.0"])),
            failed(all(&["1.0-1.0"])),
            failed(all(&["2.0-9.0"])),
            failed(all(&["9-10"])),
            failed(all(&["five"])),
            failed(all(&[""])),
            failed(all(&["…"])),
            failed(all(&["two="])),
            failed(all(&["=two"])),
            failed(all(&["two=Two!"])),
            failed(replace("two", &words)),
            failed(
                scripted("one two three two").map(|mut requests: Vec<Request>| {
                    requests.push(Request::new(
                        "a pause",
                        Wish::Insert(9, NewSpeech::say("x")),
                    ));
                    requests
                })
            ),
            failed(fillers(
                &Transcript::new(Some("xx".to_owned()), Vec::new()).unwrap(),
                &FillerConfig::default()
            )),
            EditList::build(&[], &words, Seconds(0.0), None, &CutConfig::default())
                .unwrap_err()
                .to_string(),
        ]
        .join("\n")
    );
}
