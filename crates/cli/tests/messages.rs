//! Every message that a person can meet, whole: exit code, standard output, standard error.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what went wrong by failing"
)]

mod support;

use support::Bench;

macro_rules! says {
    ($bench:expr, $arguments:expr, @$snapshot:literal) => {
        insta::assert_snapshot!($bench.transcript($arguments), @$snapshot)
    };
}

#[test]
fn help_names_every_command() {
    let bench = Bench::new();
    let text = bench.transcript(&["--help"]);
    for command in [
        "edit",
        "dub",
        "sync",
        "rerender",
        "transcribe",
        "align",
        "plan",
        "models",
        "data",
        "forward",
        "bench",
        "doctor",
    ] {
        assert!(
            text.contains(&format!("\n  {command}")),
            "{command} is missing in\n{text}"
        );
    }
}

#[test]
fn rerender_tells_what_it_takes() {
    let bench = Bench::new();
    let text = bench.transcript(&["rerender", "-h"]);
    let (own, common) = text.split_once("Common flags:").unwrap();
    insta::assert_snapshot!(own);
    assert!(common.contains("--region <NAME|X,Y,W,H>"), "{common}");
}

#[test]
fn a_clip_that_is_not_there() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.transcript(&["edit", "none.mp4", "--remove", "1-2"]));
}

#[test]
fn an_empty_clip() {
    let bench = Bench::new();
    bench.file("empty.mp4", "");
    insta::assert_snapshot!(bench.transcript(&["edit", "empty.mp4", "--remove", "1-2"]));
    assert_eq!(bench.names(), ["empty.mp4"]);
}

#[test]
fn a_text_that_calls_itself_a_clip() {
    let bench = Bench::new();
    bench.file(
        "notes.mp4",
        "This is a shopping list.\nMilk, eggs, bread.\n".repeat(50),
    );
    insta::assert_snapshot!(bench.transcript(&["sync", "notes.mp4", "--speech", "notes.mp4"]));
    assert_eq!(bench.names(), ["notes.mp4"]);
}

#[test]
fn a_folder_that_calls_itself_a_clip() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path().join("folder.mp4")).unwrap();
    insta::assert_snapshot!(bench.transcript(&["edit", "folder.mp4", "--remove", "1-2"]));
}

#[test]
fn a_truncated_clip() {
    let bench = Bench::new();
    let whole = std::fs::read(support::sample().join("sample.mp4")).unwrap();
    bench.file("short.mp4", &whole[..whole.len() / 3]);
    let text = bench.transcript(&["edit", "short.mp4", "--remove", "1-2"]);
    assert!(
        text.starts_with("exit code: 3\n") && text.contains("error: short.mp4"),
        "{text}"
    );
    assert_eq!(bench.names(), ["short.mp4"]);
}

#[test]
fn nothing_to_change() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    insta::assert_snapshot!(bench.transcript(&["edit", "a.mp4"]));
}

#[test]
fn a_script_that_says_what_the_clip_says() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    bench.file(
        "same.txt",
        std::fs::read(support::sample().join("spoken.txt")).unwrap(),
    );
    insta::assert_snapshot!(bench.transcript(&["edit", "a.mp4", "--script", "same.txt"]));
}

#[test]
fn an_empty_script() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    bench.file("empty.txt", " \n\n");
    insta::assert_snapshot!(bench.transcript(&["edit", "a.mp4", "--script", "empty.txt"]));
}

#[test]
fn a_script_of_another_clip() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    bench.file("other.txt", "Four score and seven years ago our fathers brought forth upon this continent a new nation.");
    insta::assert_snapshot!(bench.transcript(&["edit", "a.mp4", "--script", "other.txt"]));
}

#[test]
fn a_script_that_is_not_text() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    bench.file("latin1.txt", b"Gr\xfc\xdfe");
    insta::assert_snapshot!(bench.transcript(&["edit", "a.mp4", "--script", "latin1.txt"]));
}

#[test]
fn a_word_that_nobody_says() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    insta::assert_snapshot!(bench.transcript(&["edit", "a.mp4", "--remove", "elephant"]));
}

#[test]
fn edits_that_overlap() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    insta::assert_snapshot!(bench.transcript(&[
        "edit", "a.mp4", "--exact", "--remove", "1.0-2.0", "--remove", "1.5-2.5"
    ]));
}

#[test]
fn an_edit_of_no_length() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    insta::assert_snapshot!(bench.transcript(&["edit", "a.mp4", "--remove", "1.5-1.5"]));
}

#[test]
fn a_transcript_that_is_not_there() {
    let bench = Bench::new();
    std::fs::copy(
        support::sample().join("sample.mp4"),
        bench.path().join("bare.mp4"),
    )
    .unwrap();
    insta::assert_snapshot!(bench.transcript(&["edit", "bare.mp4", "--remove", "um"]));
}

#[test]
fn an_output_in_a_folder_that_is_not_there() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    insta::assert_snapshot!(bench.transcript(&[
        "edit",
        "a.mp4",
        "--remove",
        "um",
        "-o",
        "nowhere/out.mp4"
    ]));
}

#[test]
fn an_output_over_the_clip_itself() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    insta::assert_snapshot!(bench.transcript(&["edit", "a.mp4", "--remove", "um", "-o", "a.mp4"]));
}

#[test]
fn a_model_that_nobody_knows() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    insta::assert_snapshot!(
        bench.transcript(&["edit", "a.mp4", "--remove", "um", "--model", "huge"])
    );
}

#[test]
fn transcribing_names_what_is_missing() {
    let bench = Bench::new();
    bench.clip("it's mine.mp4");
    says!(bench, &["transcribe", "it's mine.mp4"], @r"
    exit code: 4
    ----- stdout -----
    ----- stderr -----
    error: transcribing needs the speech recogniser whisper-small, whose weights are not here

    hint: write down what is said and run `reword align 'it'\''s mine.mp4' --script FILE`; transcripts of Whisper, WhisperX, Deepgram and others are read as they are
    ");
}

#[test]
fn errors_for_programs_are_json() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.transcript(&["--json", "edit", "none.mp4", "--remove", "1-2"]));
}

#[test]
fn unknown_settings_are_named() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    bench.file("reword.toml", "steps = 8\nsteeps = 9\n");
    insta::assert_snapshot!(bench.transcript(&["edit", "a.mp4", "--remove", "um"]));
}

/// A grey clip with a tone.
fn faceless(path: &std::path::Path) {
    use media::render::{NewClip, Sound, write_clip};
    use media::{AudioBlock, ColourTags, Frame, PixelFormat};
    use units::{FrameIndex, FrameRate, SampleRate};

    let new = NewClip {
        width: 160,
        height: 120,
        rate: FrameRate::new(25, 1).unwrap(),
        format: PixelFormat::YUV420,
        colour: ColourTags::default(),
    };
    let mut frames = |_: FrameIndex| {
        Ok(Frame::black(
            160,
            120,
            PixelFormat::YUV420,
            ColourTags::default(),
        )?)
    };
    let samples = (0..88_200).map(|n| (n as f32 * 0.05).sin() * 0.1).collect();
    let mut block = Some(AudioBlock {
        rate: SampleRate::new(44_100).unwrap(),
        channels: vec![samples],
    });
    let mut sound = || Ok(block.take());
    write_clip(
        &new,
        50,
        &mut frames,
        Sound::Made(&mut sound),
        path,
        &mut |_| {},
    )
    .unwrap();
}

#[test]
fn a_clip_without_a_face_can_be_cut_but_not_synced() {
    let bench = Bench::new();
    faceless(&bench.path().join("wall.mp4"));
    insta::assert_snapshot!(
        bench.transcript(&["sync", "wall.mp4", "--speech", "wall.mp4", "-o", "out.mp4"])
    );
    assert_eq!(
        bench.names(),
        ["wall.mp4"],
        "a failure leaves nothing behind"
    );
    insta::assert_snapshot!(
        bench.transcript(&["edit", "wall.mp4", "--remove", "0.5-1.0", "-o", "out.mp4"])
    );
    assert_eq!(bench.names(), ["out.mp4", "wall.mp4"]);
}

#[test]
fn a_region_that_the_model_cannot_make() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    insta::assert_snapshot!(
        bench.transcript(&["edit", "a.mp4", "--remove", "um", "--region", "head"])
    );
    assert_eq!(bench.names(), ["a.mp4", "a.words.json"]);
}
