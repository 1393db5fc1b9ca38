//! Groups of pictures that an edit leaves alone are copied, whatever the codec.

use crate::common::{clip, folder};
use crate::{H264, check, source, usual};
use media::render::{OutputSpan, SpanKind};

#[test]
fn h264_groups_are_copied_around_an_edit() {
    let folder = folder();
    let Some(path) = clip(folder.path(), "a.mp4", "320x240", 100, H264) else {
        return;
    };
    for name in ["out.mp4", "out.mov", "out.mkv"] {
        let report = check(&path, &folder.path().join(name), &usual(), true);
        let copied: u64 = report
            .spans
            .iter()
            .filter(|span| span.kind == SpanKind::Copied)
            .map(|span| span.output.end.0 - span.output.start.0)
            .sum();
        assert_eq!(copied, 40 + 40);
        assert_eq!(report.frames, 99);
    }
    // Start and end in the middle of groups; the same frames twice; a single frame.
    let spans = [
        source(7, 33),
        OutputSpan::Made { frames: 1 },
        source(20, 60),
        source(99, 100),
        source(10, 11),
    ];
    check(&path, &folder.path().join("mixed.mp4"), &spans, true);
    let nothing = check(
        &path,
        &folder.path().join("none.mp4"),
        &[source(3, 18)],
        false,
    );
    assert_eq!(nothing.spans.len(), 1);
}

#[test]
fn h264_of_other_kinds_is_mixed_too() {
    let folder = folder();
    for (name, options) in [
        (
            "base.mp4",
            vec![
                "-c:v",
                "libx264",
                "-profile:v",
                "baseline",
                "-g",
                "15",
                "-pix_fmt",
                "yuv420p",
            ],
        ),
        (
            "main.mkv",
            vec![
                "-c:v",
                "libx264",
                "-profile:v",
                "main",
                "-g",
                "15",
                "-bf",
                "2",
                "-pix_fmt",
                "yuv420p",
            ],
        ),
        (
            "ten.mp4",
            vec!["-c:v", "libx264", "-g", "15", "-pix_fmt", "yuv420p10le"],
        ),
        (
            "full.mp4",
            vec!["-c:v", "libx264", "-g", "15", "-pix_fmt", "yuvj420p"],
        ),
        (
            "wide.mp4",
            vec!["-c:v", "libx264", "-g", "15", "-pix_fmt", "yuv444p"],
        ),
        (
            "open.mp4",
            vec![
                "-c:v",
                "libx264",
                "-x264-params",
                "open-gop=1:keyint=15:bframes=3:scenecut=0",
                "-pix_fmt",
                "yuv420p",
            ],
        ),
    ] {
        let options: Vec<&str> = options.into_iter().chain(["-preset", "veryfast"]).collect();
        if let Some(path) = clip(folder.path(), name, "160x120", 60, &options) {
            println!("{name}");
            let copies = name != "open.mp4";
            let spans = [
                source(2, 28),
                OutputSpan::Made { frames: 2 },
                source(30, 60),
            ];
            check(&path, &folder.path().join("out.mp4"), &spans, copies);
        }
    }
}

#[test]
fn h265_groups_are_copied_around_an_edit() {
    let folder = folder();
    for (name, format, open) in [
        ("a.mp4", "yuv420p", 0),
        ("b.mkv", "yuv420p10le", 0),
        ("c.mp4", "yuv420p", 1),
    ] {
        let parameters =
            format!("log-level=none:keyint=15:min-keyint=15:scenecut=0:bframes=3:open-gop={open}");
        let options = [
            "-c:v",
            "libx265",
            "-preset",
            "superfast",
            "-pix_fmt",
            format,
            "-tag:v",
            "hvc1",
            "-x265-params",
            &parameters,
        ];
        let options = if name.ends_with("mkv") {
            [&options[..6], &options[8..]].concat()
        } else {
            options.to_vec()
        };
        if let Some(path) = clip(folder.path(), name, "192x128", 75, &options) {
            println!("{name}");
            let spans = [
                source(2, 48),
                OutputSpan::Made { frames: 3 },
                source(50, 75),
            ];
            for output in ["out.mp4", "out.mkv"] {
                check(&path, &folder.path().join(output), &spans, true);
            }
        }
    }
}

#[test]
fn vp9_and_prores_are_copied_around_an_edit() {
    let folder = folder();
    let vp9 = [
        "-c:v",
        "libvpx-vp9",
        "-deadline",
        "good",
        "-cpu-used",
        "5",
        "-g",
        "15",
        "-pix_fmt",
        "yuv420p",
        "-an",
    ];
    if let Some(path) = clip(folder.path(), "a.webm", "160x120", 60, &vp9) {
        let spans = [
            source(2, 28),
            OutputSpan::Made { frames: 2 },
            source(30, 60),
        ];
        check(&path, &folder.path().join("out.webm"), &spans, true);
        check(&path, &folder.path().join("out.mp4"), &spans, true);
    }
    let odd = [&vp9[..], &["-vf", "scale=131:97"]].concat();
    if let Some(path) = clip(folder.path(), "b.webm", "132x98", 20, &odd) {
        check(
            &path,
            &folder.path().join("odd.webm"),
            &[source(0, 18), source(3, 5)],
            true,
        );
    }
    let prores = [
        "-c:v",
        "prores_ks",
        "-profile:v",
        "3",
        "-pix_fmt",
        "yuv422p10le",
        "-an",
    ];
    if let Some(path) = clip(folder.path(), "c.mov", "160x120", 12, &prores) {
        let spans = [source(2, 8), OutputSpan::Made { frames: 2 }, source(9, 12)];
        check(&path, &folder.path().join("out.mov"), &spans, true);
    }
}

#[test]
fn other_codecs_become_h264() {
    let folder = folder();
    let mpeg = [
        "-c:v",
        "mpeg1video",
        "-g",
        "12",
        "-bf",
        "2",
        "-c:a",
        "mp2",
        "-q:v",
        "4",
    ];
    if let Some(path) = clip(folder.path(), "c.mpg", "160x120", 50, &mpeg) {
        let report = check(
            &path,
            &folder.path().join("out.mp4"),
            &[source(0, 20), source(30, 50)],
            false,
        );
        assert_eq!(report.video_codec, "h264");
        assert!(report.notes.iter().any(|note| note.contains("mpeg1video")));
    }
    let mpeg4 = ["-c:v", "mpeg4", "-g", "12", "-q:v", "4"];
    if let Some(path) = clip(folder.path(), "d.mp4", "160x120", 30, &mpeg4) {
        check(
            &path,
            &folder.path().join("out2.mp4"),
            &[source(0, 20)],
            false,
        );
    }
}
