//! Decoding in the confined child gives what decoding here gives, and nothing else gets through.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "helpers of tests are tests"
)]

mod common;

use common::{clip, folder, raw, rich_clip};
use libtest_mimic::{Arguments, Failed, Trial};
use media::render::{BoxError, ExtraSound, Extras, OutputSpan, RenderOptions, Sound, render};
use media::{Clip, Frame, MediaError, OpenOptions, Sandbox, TrackKind};
use std::path::Path;
use units::{FrameIndex, SampleIndex};

fn main() {
    if media::sandbox::run_child_if_asked() {
        return;
    }
    let arguments = Arguments::from_args();
    let trials = vec![
        Trial::test("the_child_decodes_the_same", || {
            wrapped(the_child_decodes_the_same)
        }),
        Trial::test("errors_cross_over", || wrapped(errors_cross_over)),
        Trial::test("a_dead_child_is_an_error", || {
            wrapped(a_dead_child_is_an_error)
        }),
        Trial::test("rendering_works_through_the_child", || {
            wrapped(rendering_works_through_the_child)
        }),
        Trial::test("what_comes_along_crosses_over", || {
            wrapped(what_comes_along_crosses_over)
        }),
        Trial::test("the_report_is_plain", || wrapped(the_report_is_plain)),
        Trial::test("the_child_is_confined", || wrapped(the_child_is_confined)),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

#[expect(clippy::unnecessary_wraps, reason = "what a trial returns")]
fn wrapped(test: fn()) -> Result<(), Failed> {
    test();
    Ok(())
}

fn open(path: &Path, sandbox: Sandbox) -> Clip {
    Clip::open(path, &OpenOptions { sandbox }).unwrap()
}

const OPTIONS: &[&str] = &[
    "-c:v", "libx264", "-preset", "veryfast", "-g", "10", "-pix_fmt", "yuv420p",
];

fn the_child_decodes_the_same() {
    let folder = folder();
    let ten = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "log-level=none",
        "-pix_fmt",
        "yuv420p10le",
        "-c:a",
        "flac",
    ];
    let vp9 = [
        "-c:v",
        "libvpx-vp9",
        "-deadline",
        "realtime",
        "-cpu-used",
        "8",
        "-c:a",
        "libopus",
    ];
    for (name, options) in [
        ("a.mp4", OPTIONS),
        ("b.mkv", &ten[..]),
        ("c.webm", &vp9[..]),
    ] {
        let Some(path) = clip(folder.path(), name, "130x98", 25, options) else {
            continue;
        };
        let (here, child) = (open(&path, Sandbox::InProcess), open(&path, Sandbox::Child));
        assert_eq!(here.info(), child.info());
        for range in [0..25, 7..12, 24..25] {
            let range = FrameIndex(range.start)..FrameIndex(range.end);
            let one: Vec<Frame> = here
                .frames(range.clone())
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let two: Vec<Frame> = child.frames(range).unwrap().map(Result::unwrap).collect();
            assert_eq!(one, two);
        }
        let range = SampleIndex(1000)..SampleIndex(20_000);
        let one = here.audio(range.clone()).unwrap().read_to_end().unwrap();
        let two = child.audio(range).unwrap().read_to_end().unwrap();
        assert_eq!(one, two);
        // A reader that is left early does not disturb the next one.
        let first = child.all_frames().unwrap().next().unwrap().unwrap();
        assert_eq!(
            raw(&first),
            raw(&child.all_frames().unwrap().next().unwrap().unwrap())
        );
    }
}

fn errors_cross_over() {
    let folder = folder();
    let text = folder.path().join("text.mp4");
    std::fs::write(&text, "words ".repeat(99)).unwrap();
    let open = |path: &Path| {
        Clip::open(
            path,
            &OpenOptions {
                sandbox: Sandbox::Child,
            },
        )
    };
    let error = open(&text).unwrap_err();
    assert!(matches!(error, MediaError::NotMedia { .. }), "{error}");
    assert!(error.to_string().contains("text.mp4"));
    assert!(matches!(
        open(Path::new("no/such.mp4")),
        Err(MediaError::NotFound { .. })
    ));
}

fn children() -> Vec<u32> {
    let own = std::process::id();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if status.lines().any(|line| line == format!("PPid:\t{own}")) {
            found.push(id);
        }
    }
    found
}

fn a_dead_child_is_an_error() {
    let folder = folder();
    let Some(path) = clip(folder.path(), "a.mp4", "320x240", 200, OPTIONS) else {
        return;
    };
    let child = open(&path, Sandbox::Child);
    let before = children();
    let mut reader = child.all_frames().unwrap();
    reader.next().unwrap().unwrap();
    // Other tests have children too: the one to end is the one that decodes this file.
    let target = std::fs::canonicalize(&path).unwrap();
    for id in children().into_iter().chain(before) {
        let input = std::fs::read_link(format!("/proc/{id}/fd/0"));
        if input.is_ok_and(|input| input == target) {
            let _ = std::process::Command::new("kill")
                .args(["-SEGV", &id.to_string()])
                .status();
        }
    }
    let error = reader.find_map(Result::err).unwrap();
    assert!(matches!(error, MediaError::Child { .. }), "{error}");
    assert!(error.to_string().contains("a.mp4"), "{error}");
    assert!(reader.next().is_none());
    // The clip itself goes on.
    assert_eq!(
        child
            .frames(FrameIndex(3)..FrameIndex(5))
            .unwrap()
            .flatten()
            .count(),
        2
    );
}

fn rendering_works_through_the_child() {
    let folder = folder();
    let Some(path) = clip(folder.path(), "a.mp4", "160x120", 50, OPTIONS) else {
        return;
    };
    let mut files = Vec::new();
    for sandbox in [Sandbox::InProcess, Sandbox::Child] {
        let clip = open(&path, sandbox);
        let output = folder.path().join("out.mp4");
        let mut maker = |_: FrameIndex| -> Result<Frame, BoxError> { Err("none are made".into()) };
        let spans = [
            OutputSpan::Source {
                source: FrameIndex(0)..FrameIndex(23),
            },
            OutputSpan::Source {
                source: FrameIndex(27)..FrameIndex(50),
            },
        ];
        render(
            &clip,
            &spans,
            &mut maker,
            Sound::Copy,
            Extras::default(),
            &output,
            &RenderOptions::default(),
            &mut |_| {},
        )
        .unwrap();
        files.push(std::fs::read(&output).unwrap());
    }
    assert!(files[0] == files[1]);
}

fn the_report_is_plain() {
    let report = media::sandbox::report();
    assert!(report.child);
    println!("{}", report.sentence());
    assert!(report.sentence().starts_with("Files are decoded"));
}

fn what_comes_along_crosses_over() {
    let folder = folder();
    let Some(input) = rich_clip(folder.path(), "clip.mp4", "mov_text") else {
        return;
    };
    let clips = [Sandbox::InProcess, Sandbox::Child].map(|sandbox| open(&input, sandbox));
    let outputs = clips.map(|clip| {
        assert_eq!(clip.info().chapters.len(), 3);
        let output = folder.path().join("out.mp4");
        let sounds: Vec<Clip> = clip
            .info()
            .others
            .iter()
            .filter(|track| track.kind == TrackKind::Sound)
            .map(|track| clip.with_sound(track.stream).unwrap())
            .collect();
        let extras = Extras {
            sounds: sounds
                .iter()
                .map(|clip| ExtraSound {
                    clip,
                    sound: Sound::Copy,
                })
                .collect(),
            ..Extras::unmoved(clip.info())
        };
        render(
            &clip,
            &[OutputSpan::Source {
                source: FrameIndex(0)..FrameIndex(150),
            }],
            &mut |_: FrameIndex| -> Result<Frame, BoxError> { Err("no frame is made".into()) },
            Sound::Copy,
            extras,
            &output,
            &RenderOptions::default(),
            &mut |_| {},
        )
        .unwrap();
        let written = open(&output, Sandbox::InProcess);
        assert_eq!(written.info().chapters, clip.info().chapters);
        assert_eq!(written.info().others.len(), clip.info().others.len());
        std::fs::read(output).unwrap()
    });
    assert!(outputs[0] == outputs[1]);
}

/// What the kernel says about a running child.
fn the_child_is_confined() {
    let folder = folder();
    let Some(path) = clip(folder.path(), "a.mp4", "640x480", 200, OPTIONS) else {
        return;
    };
    let report = media::sandbox::report();
    let clip = open(&path, Sandbox::Child);
    let mut reader = clip.all_frames().unwrap();
    reader.next().unwrap().unwrap();
    let target = std::fs::canonicalize(&path).unwrap();
    let mut seen = 0;
    for id in children() {
        if std::fs::read_link(format!("/proc/{id}/fd/0")).is_ok_and(|input| input == target) {
            seen += 1;
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
            let mode = if report.seccomp {
                "Seccomp:\t2"
            } else {
                "Seccomp:\t0"
            };
            assert!(status.lines().any(|line| line == mode), "{status}");
            assert!(!report.seccomp || status.lines().any(|line| line == "NoNewPrivs:\t1"));
        }
    }
    assert!(seen > 0);
}
