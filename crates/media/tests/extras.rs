//! Tags, chapters, subtitles and further sound tracks: kept, and moved with the picture.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "helpers of tests are tests"
)]

mod common;

use common::{folder, rich_clip};
use media::render::{
    BoxError, ExtraSound, Extras, Move, OutputSpan, RenderOptions, RenderReport, Sound, render,
};
use media::{Clip, Frame, OpenOptions, TrackKind};
use std::path::Path;
use std::process::Command;
use units::{FrameIndex, Seconds};

fn open(path: &Path) -> Clip {
    Clip::open(path, &OpenOptions::default()).unwrap()
}

/// Without seconds two to three.
fn cut(clip: &Clip, output: &Path) -> RenderReport {
    let source = |start, end| OutputSpan::Source {
        source: FrameIndex(start)..FrameIndex(end),
    };
    let range = |a, b| Seconds(a)..Seconds(b);
    let moves = vec![
        Move {
            source: range(0.0, 2.0),
            output: range(0.0, 2.0),
        },
        Move {
            source: range(3.0, 6.0),
            output: range(2.0, 5.0),
        },
    ];
    let italian = clip
        .info()
        .others
        .iter()
        .find(|track| track.kind == TrackKind::Sound)
        .unwrap();
    let italian = clip.with_sound(italian.stream).unwrap();
    let mut main = clip.all_audio().unwrap();
    let mut second = italian.all_audio().unwrap();
    let mut main = || Ok(main.next_block()?);
    let mut second = || Ok(second.next_block()?);
    let sounds = vec![ExtraSound {
        clip: &italian,
        sound: Sound::Made(&mut second),
    }];
    render(
        clip,
        &[source(0, 50), source(75, 150)],
        &mut |_: FrameIndex| -> Result<Frame, BoxError> { Err("no frame is made".into()) },
        Sound::Made(&mut main),
        Extras { moves, sounds },
        output,
        &RenderOptions::default(),
        &mut |_| {},
    )
    .unwrap()
}

fn tag<'a>(tags: &'a [media::Tag], key: &str) -> Option<&'a str> {
    let found = tags.iter().find(|tag| tag.key.eq_ignore_ascii_case(key));
    found.map(|tag| tag.value.as_str())
}

/// Start, end and text of every caption, as the `ffmpeg` program reads them.
fn captions(path: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        .args(["-map", "0:s:0", "-f", "srt", "-"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

#[test]
fn what_belongs_to_a_clip_goes_with_it() {
    let folder = folder();
    for (name, codec) in [
        ("clip.mp4", "mov_text"),
        ("clip.mov", "mov_text"),
        ("clip.mkv", "srt"),
    ] {
        let Some(input) = rich_clip(folder.path(), name, codec) else {
            return;
        };
        let clip = open(&input);
        assert_eq!(clip.info().chapters.len(), 3);
        let output = folder.path().join(format!("out.{name}"));
        let report = cut(&clip, &output);
        println!("{name}: {:?}", report.notes);
        assert_eq!(report.frames, 125);
        let result = open(&output);
        let info = result.info();
        assert_eq!(tag(&info.tags, "title"), Some("Board meeting"), "{name}");
        assert_eq!(tag(&info.tags, "artist"), Some("Ada"), "{name}");
        let chapters: Vec<(String, f64, f64)> = info
            .chapters
            .iter()
            .map(|chapter| {
                let title = tag(&chapter.tags, "title").unwrap_or_default().to_owned();
                let round = |time: Seconds| (time.0 * 100.0).round() / 100.0;
                (title, round(chapter.time.start), round(chapter.time.end))
            })
            .collect();
        let expected = [("Hello", 0.0, 2.0), ("Goodbye", 2.0, 5.0)];
        assert_eq!(
            chapters,
            expected.map(|(title, start, end)| (title.to_owned(), start, end)),
            "{name}"
        );
        // The second caption was said in what was cut out, the third comes a second earlier.
        let said = captions(&output);
        assert!(
            said.contains("00:00:00,500 --> 00:00:01,500\nGood morning."),
            "{said}"
        );
        assert!(
            said.contains("00:00:03,000 --> 00:00:04,000\nThank you."),
            "{said}"
        );
        assert!(!said.contains("numbers"), "{said}");
        assert_eq!(
            tag(&info.audio.as_ref().unwrap().tags, "language"),
            Some("eng")
        );
        let second = info
            .others
            .iter()
            .find(|track| track.kind == TrackKind::Sound)
            .unwrap();
        assert_eq!(
            tag(&second.tags, "language"),
            Some("ita"),
            "{name}: {second:?}"
        );
        let second = result.with_sound(second.stream).unwrap();
        let sound = second.sound().unwrap();
        assert_eq!(sound.rate.hertz(), 48_000);
        assert!(
            (sound.end().0 - 5.0).abs() < 0.05,
            "{name}: {}",
            sound.end()
        );
    }
}

#[test]
fn captions_take_the_form_of_their_container() {
    let folder = folder();
    for (name, codec, output) in [
        ("clip.mkv", "srt", "out.mp4"),
        ("clip.mp4", "mov_text", "out.mkv"),
        ("clip.mkv", "ass", "out.mov"),
        ("clip.mov", "mov_text", "out.webm"),
    ] {
        let Some(input) = rich_clip(folder.path(), name, codec) else {
            return;
        };
        let output = folder.path().join(output);
        let report = cut(&open(&input), &output);
        let told = report.notes.join(" ");
        assert!(told.contains("(eng) is written as"), "{told}");
        let said = captions(&output);
        let words: Vec<&str> = said
            .lines()
            .filter(|line| line.contains(['.', '?']))
            .collect();
        assert_eq!(
            words,
            ["Good morning.", "Thank you."],
            "{}",
            output.display()
        );
        // Matroska puts everything later by what AAC needs for its first block.
        let starts: Vec<f64> = said.lines().filter_map(start).collect();
        for (start, expected) in starts.iter().zip([0.5, 3.0]) {
            assert!(
                (start - expected).abs() < 0.03,
                "{}: {said}",
                output.display()
            );
        }
        assert_eq!(starts.len(), 2);
    }
}

/// Seconds at which a caption starts, by the line with its times.
fn start(line: &str) -> Option<f64> {
    let (start, _) = line.split_once(" --> ")?;
    let mut parts = start.split([':', ',']).map(str::parse::<f64>);
    let mut next = || parts.next()?.ok();
    Some(next()? * 3600.0 + next()? * 60.0 + next()? + next()? / 1000.0)
}

#[test]
fn the_index_of_an_mp4_comes_first() {
    let folder = folder();
    let Some(input) = rich_clip(folder.path(), "clip.mp4", "mov_text") else {
        return;
    };
    let output = folder.path().join("out.mp4");
    cut(&open(&input), &output);
    let bytes = std::fs::read(&output).unwrap();
    let place = |kind: &[u8]| bytes.windows(4).position(|four| four == kind).unwrap();
    assert!(place(b"moov") < place(b"mdat"));
    let decoded = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(&output)
        .args(["-map", "0:v", "-map", "0:a", "-f", "null", "-"])
        .output()
        .unwrap();
    assert!(decoded.status.success() && decoded.stderr.is_empty());
}
