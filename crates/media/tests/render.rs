//! Rendering: copied, encoded and made frames in one stream, and what comes with them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "helpers of tests are tests"
)]

mod common;

use common::{clip, ffmpeg, folder, psnr, raw};
use media::render::{
    BoxError, Extras, NewClip, OutputSpan, RenderError, RenderOptions, RenderReport, Sound,
    SpanKind, render, write_clip,
};
use media::{AudioBlock, Clip, Frame, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use units::{FrameIndex, FrameRate, SampleIndex, SampleRate};

fn open(path: &Path) -> Clip {
    Clip::open(path, &OpenOptions::default()).unwrap()
}

fn source(start: u64, end: u64) -> OutputSpan {
    OutputSpan::Source {
        source: FrameIndex(start)..FrameIndex(end),
    }
}

/// Gives the source's first frame, which no copied or encoded frame equals.
fn maker(clip: &Clip) -> impl FnMut(FrameIndex) -> Result<Frame, BoxError> {
    let frame = clip
        .frames(FrameIndex(0)..FrameIndex(1))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    move |_| Ok(frame.clone())
}

fn frames(clip: &Clip) -> Vec<Frame> {
    clip.all_frames().unwrap().map(Result::unwrap).collect()
}

fn show(report: &RenderReport) {
    let spans: Vec<String> = report
        .spans
        .iter()
        .map(|span| {
            format!(
                "{:?} {}..{}",
                span.kind, span.output.start.0, span.output.end.0
            )
        })
        .collect();
    println!(
        "{} [{}] {:?}",
        report.video_codec,
        spans.join(", "),
        report.notes
    );
}

/// Renders spans and checks every frame of the result against the source: copied ones bit by
/// bit, encoded ones by quality, also with the `ffmpeg` program as the judge of the stream.
fn check(input: &Path, output: &Path, spans: &[OutputSpan], copies: bool) -> RenderReport {
    let clip = open(input);
    let mut make = maker(&clip);
    let mut progress = 0;
    let report = render(
        &clip,
        spans,
        &mut make,
        Sound::Silent,
        Extras::default(),
        output,
        &RenderOptions::default(),
        &mut |written| progress = written,
    )
    .unwrap();
    show(&report);
    assert_eq!(progress, report.frames);
    let result = open(output);
    let (before, after) = (frames(&clip), frames(&result));
    assert_eq!(after.len() as u64, report.frames);
    assert_eq!(
        report
            .spans
            .iter()
            .any(|span| span.kind == SpanKind::Copied),
        copies,
        "{:?}",
        report.notes
    );
    let mut next = FrameIndex(0);
    let mut worst = f64::INFINITY;
    for span in &report.spans {
        assert_eq!(span.output.start, next);
        next = span.output.end;
        for (offset, frame) in after[span.output.start.as_usize()..next.as_usize()]
            .iter()
            .enumerate()
        {
            let original = match &span.source {
                Some(source) => &before[source.start.as_usize() + offset],
                None => &before[0],
            };
            let at = span.output.start.0 + offset as u64;
            if span.kind == SpanKind::Copied {
                assert!(raw(frame) == raw(original), "copied frame {at} differs");
            } else if frame.format() == original.format() {
                worst = worst.min(psnr(frame, original));
            }
        }
    }
    println!("worst encoded frame {worst:.1} dB");
    assert!(worst >= 45.0, "{worst}");
    judged(output);
    // Single frames found by seeking are the same, across every join.
    for span in &report.spans {
        let at = span.output.start;
        let frame = result
            .frames(at..at.next())
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        assert!(raw(&frame) == raw(&after[at.as_usize()]));
    }
    report
}

/// The `ffmpeg` program finds nothing wrong and decodes the same number of frames.
fn judged(path: &Path) {
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-nostdin", "-err_detect", "explode", "-i"])
        .arg(path)
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{}: {said}",
        path.display()
    );
}

const H264: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "fast",
    "-g",
    "20",
    "-bf",
    "3",
    "-pix_fmt",
    "yuv420p",
    "-sc_threshold",
    "0",
];

fn usual() -> [OutputSpan; 3] {
    [
        source(0, 47),
        OutputSpan::Made { frames: 5 },
        source(53, 100),
    ]
}

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

#[test]
fn variable_rates_rotation_and_the_last_duration_are_kept() {
    let folder = folder();
    let first = folder.path().join("v.mp4");
    let made = ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=128x96:rate=30",
            "-frames:v",
            "60",
            "-vf",
            "setpts='(N+floor(N/5)*2+mod(N,3)*0.25)/30/TB'",
            "-vsync",
            "vfr",
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-g",
            "12",
            "-bf",
            "2",
            "-video_track_timescale",
            "90000",
        ],
        &first,
    );
    if !made {
        return;
    }
    let path = folder.path().join("turned.mp4");
    assert!(ffmpeg(
        &[
            "-i",
            first.to_str().unwrap(),
            "-c",
            "copy",
            "-metadata:s:v:0",
            "rotate=90"
        ],
        &path
    ));
    let output = folder.path().join("out.mp4");
    check(&path, &output, &[source(0, 30), source(35, 60)], true);
    let (before, after) = (open(&path), open(&output));
    let (before, after) = (before.video().unwrap(), after.video().unwrap());
    assert_eq!(after.rotation, before.rotation);
    assert_eq!(after.display_matrix, before.display_matrix);
    assert!(after.variable);
    for frame in 0..55 {
        let original = if frame < 30 { frame } else { frame + 5 };
        let a = before.times.duration(FrameIndex(original));
        let b = after.times.duration(FrameIndex(frame));
        assert!((a.0 - b.0).abs() < 1e-6, "frame {frame}: {a:?} {b:?}");
    }
}

#[test]
fn hdr_and_colour_tags_are_kept_where_pictures_are_encoded() {
    let folder = folder();
    let options = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv420p10le",
        "-tag:v",
        "hvc1",
        "-color_primaries",
        "bt2020",
        "-color_trc",
        "smpte2084",
        "-colorspace",
        "bt2020nc",
        "-x265-params",
        "log-level=none:keyint=60:hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400",
    ];
    let Some(path) = clip(folder.path(), "a.mp4", "128x96", 30, &options) else {
        return;
    };
    for (name, spans) in [
        ("all.mp4", vec![source(1, 29)]),
        ("mixed.mp4", vec![source(5, 10), source(0, 30)]),
    ] {
        let output = folder.path().join(name);
        check(&path, &output, &spans, name == "mixed.mp4");
        let (before, after) = (open(&path), open(&output));
        let (before, after) = (before.video().unwrap(), after.video().unwrap());
        assert_eq!(after.colour, before.colour);
        assert_eq!(after.hdr, before.hdr);
        assert_eq!(after.format, before.format);
    }
}

/// A tone of `samples` samples in blocks of odd sizes.
fn tone(
    rate: u32,
    channels: usize,
    samples: usize,
) -> impl FnMut() -> Result<Option<AudioBlock>, BoxError> {
    let mut at = 0;
    move || {
        let count = 997.min(samples - at);
        if count == 0 {
            return Ok(None);
        }
        let channels = (0..channels)
            .map(|channel| {
                (at..at + count)
                    .map(|n| ((n as f32) * 0.05 * (channel as f32 + 1.0)).sin() * 0.4)
                    .collect()
            })
            .collect();
        at += count;
        Ok(Some(AudioBlock {
            rate: SampleRate::new(rate).unwrap(),
            channels,
        }))
    }
}

#[test]
fn new_sound_ends_with_the_picture_and_keeps_its_place() {
    let folder = folder();
    for (name, output, audio, rate, channels, exact) in [
        ("a.mp4", "o.mp4", "aac", 44100, 2, false),
        ("b.mov", "o.mov", "pcm_s16le", 22050, 1, true),
        ("c.mkv", "o.mkv", "flac", 96000, 6, true),
        ("d.mp4", "o2.mkv", "aac", 16000, 1, false),
        ("e.mkv", "o3.webm", "libopus", 48000, 2, false),
        ("f.mov", "o4.mp4", "pcm_s16le", 44100, 2, false),
        // Blocks of 64 ms, longer than a frame.
        ("g.mp4", "o5.mp4", "aac", 16000, 1, false),
    ] {
        let options = [
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-g",
            "20",
            "-c:a",
            audio,
            "-pix_fmt",
            "yuv420p",
        ];
        let Some(path) = clip(folder.path(), name, "96x96", 50, &options) else {
            continue;
        };
        let source_clip = open(&path);
        let output = folder.path().join(output);
        // 1.6 s of picture; sound too long or too short by half a second.
        for length in [1.1, 2.1] {
            let samples = (f64::from(rate) * length) as usize;
            let mut sound = tone(rate, channels, samples);
            let report = render(
                &source_clip,
                &[source(0, 40)],
                &mut maker(&source_clip),
                Sound::Made(&mut sound),
                Extras::default(),
                &output,
                &RenderOptions::default(),
                &mut |_| {},
            )
            .unwrap();
            show(&report);
            let result = open(&output);
            let (video, sound) = (result.video().unwrap(), result.sound().unwrap());
            assert_eq!(usize::from(sound.channels), channels);
            assert!(
                ((video.times.end() - video.times.start(FrameIndex(0))).0 - 1.6).abs() < 2e-3,
                "{:?}",
                video.times.end()
            );
            assert!(
                (sound.end().0 - video.times.end().0).abs() < 0.04,
                "{name}: {} {}",
                sound.end(),
                video.times.end()
            );
            assert!(sound.start.0.abs() < 1e-3);
            let block = result.all_audio().unwrap().read_to_end().unwrap();
            if output
                .extension()
                .is_some_and(|extension| extension == "mp4")
            {
                // Every decoded sample, not only what the file says.
                let decoded = common::reference_sound(&output).unwrap().len() / channels;
                let seconds = decoded as f64 / f64::from(sound.rate.hertz());
                assert!(
                    (seconds - 1.6).abs() < 1e-3,
                    "{name}: {seconds} s are decoded"
                );
            }
            if sound.rate.hertz() == rate {
                let mut expected = tone(rate, channels, samples);
                let mut all = vec![Vec::new(); channels];
                while let Some(block) = expected().unwrap() {
                    for (all, channel) in all.iter_mut().zip(block.channels) {
                        all.extend(channel);
                    }
                }
                let compared = (f64::from(rate) * 1.0) as usize;
                let error: f64 = block.channels[0][..compared]
                    .iter()
                    .zip(&all[0])
                    .map(|(a, b)| f64::from((a - b).powi(2)))
                    .sum();
                let power: f64 = all[0][..compared].iter().map(|v| f64::from(v * v)).sum();
                let limit = if exact { 1e-7 } else { 0.02 };
                assert!(error < power * limit, "{name}: {error} of {power}");
            }
            judged(&output);
        }
    }
}

#[test]
fn copied_sound_is_the_sources_own() {
    let folder = folder();
    let Some(path) = clip(folder.path(), "a.mp4", "96x96", 50, H264) else {
        return;
    };
    let source_clip = open(&path);
    let output = folder.path().join("o.mp4");
    let report = render(
        &source_clip,
        &[source(0, 50)],
        &mut maker(&source_clip),
        Sound::Copy,
        Extras::default(),
        &output,
        &RenderOptions::default(),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(report.spans.len(), 1);
    assert_eq!(report.spans[0].kind, SpanKind::Copied);
    let result = open(&output);
    let before = source_clip.all_audio().unwrap().read_to_end().unwrap();
    let after = result.all_audio().unwrap().read_to_end().unwrap();
    assert!(after.len().abs_diff(before.len()) <= 1024);
    let common = before.len().min(after.len());
    assert_eq!(before.channels[0][..common], after.channels[0][..common]);
    let (video, sound) = (result.video().unwrap(), result.sound().unwrap());
    assert!((video.times.end() - sound.end()).abs().0 < 0.04);
    judged(&output);
    // A container that does not take the codec gets it encoded.
    let webm = folder.path().join("o.webm");
    let report = render(
        &source_clip,
        &[source(0, 10)],
        &mut maker(&source_clip),
        Sound::Copy,
        Extras::default(),
        &webm,
        &RenderOptions::default(),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(report.audio_codec.as_deref(), Some("opus"));
    judged(&webm);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = folder();
    let Some(path) = clip(folder.path(), "a.mp4", "160x120", 60, H264) else {
        return;
    };
    let clip = open(&path);
    let mut files = Vec::new();
    for name in ["one.mp4", "two.mp4"] {
        let output = folder.path().join(name);
        let mut sound = tone(44100, 1, 80_000);
        render(
            &clip,
            &usual_short(),
            &mut maker(&clip),
            Sound::Made(&mut sound),
            Extras::default(),
            &output,
            &RenderOptions::default(),
            &mut |_| {},
        )
        .unwrap();
        files.push(std::fs::read(output).unwrap());
    }
    assert!(files[0] == files[1]);
}

fn usual_short() -> [OutputSpan; 3] {
    [
        source(0, 27),
        OutputSpan::Made { frames: 4 },
        source(33, 60),
    ]
}

#[test]
fn a_clip_can_be_written_from_nothing() {
    let folder = folder();
    let output = folder.path().join("new 'name' ü.mp4");
    let new = NewClip {
        width: 64,
        height: 48,
        rate: FrameRate::new(30000, 1001).unwrap(),
        format: media::PixelFormat::YUV420,
        colour: media::ColourTags::default(),
    };
    let mut make = |frame: FrameIndex| -> Result<Frame, BoxError> {
        let shade = frame.0 as f32 / 20.0;
        let image = media::image::RgbF32::filled(64, 48, [shade, 0.5, 1.0 - shade]);
        Ok(Frame::from_rgb(
            &image,
            media::PixelFormat::YUV420,
            media::ColourTags::default(),
            media::Rotation::None,
        )?)
    };
    let mut sound = tone(16000, 1, 10_000);
    write_clip(
        &new,
        20,
        &mut make,
        Sound::Made(&mut sound),
        &output,
        &mut |_| {},
    )
    .unwrap();
    let clip = open(&output);
    let video = clip.video().unwrap();
    assert_eq!(
        (
            video.frames,
            video.rate.numerator(),
            video.rate.denominator()
        ),
        (20, 30000, 1001)
    );
    for (index, frame) in frames(&clip).iter().enumerate() {
        let shade = frame.to_rgb_f32().pixel(30, 20)[0];
        assert!((shade - index as f32 / 20.0).abs() < 0.02);
    }
    assert!(clip.audio(SampleIndex(0)..SampleIndex(1000)).is_ok());
    judged(&output);
}

#[test]
fn failures_leave_nothing_behind() {
    let folder = folder();
    let Some(path) = clip(folder.path(), "a.mp4", "96x96", 30, H264) else {
        return;
    };
    let clip = open(&path);
    let run = |output: &Path, spans: &[OutputSpan]| {
        render(
            &clip,
            spans,
            &mut maker(&clip),
            Sound::Copy,
            Extras::default(),
            output,
            &RenderOptions::default(),
            &mut |_| {},
        )
    };
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    assert!(matches!(
        run(&out.join("a.txt"), &[source(0, 5)]),
        Err(RenderError::Container { .. })
    ));
    assert!(matches!(
        run(&out.join("a.mp4"), &[]),
        Err(RenderError::NoFrames)
    ));
    assert!(matches!(
        run(&out.join("a.mp4"), &[source(4, 4)]),
        Err(RenderError::NoFrames)
    ));
    assert!(matches!(
        run(&out.join("a.mp4"), &[source(0, 31)]),
        Err(RenderError::Media(_))
    ));
    assert!(matches!(
        run(&out.join("no/such/a.mp4"), &[source(0, 5)]),
        Err(RenderError::Unwritable { .. })
    ));
    std::fs::create_dir(out.join("folder.mp4")).unwrap();
    assert!(matches!(
        run(&out.join("folder.mp4"), &[source(0, 5)]),
        Err(RenderError::Unwritable { .. })
    ));
    std::fs::remove_dir(out.join("folder.mp4")).unwrap();
    let mut fails =
        |frame: FrameIndex| -> Result<Frame, BoxError> { Err(format!("no {frame}").into()) };
    let made = [source(0, 5), OutputSpan::Made { frames: 3 }];
    let error = render(
        &clip,
        &made,
        &mut fails,
        Sound::Copy,
        Extras::default(),
        &out.join("a.mp4"),
        &RenderOptions::default(),
        &mut |_| {},
    )
    .unwrap_err();
    assert!(matches!(
        error,
        RenderError::Frame {
            output: FrameIndex(5),
            ..
        }
    ));
    let left: Vec<PathBuf> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // A full disk, where a test can have one.
    let full = folder.path().join("full.mp4");
    if Path::new("/dev/full").exists() && std::os::unix::fs::symlink("/dev/full", &full).is_ok() {
        // Replacing a link by the finished file never touches what it points to.
        run(&full, &[source(0, 5)]).unwrap();
        assert!(std::fs::symlink_metadata(&full).unwrap().is_file());
    }
}

#[test]
fn real_clips_survive_an_edit() {
    let folder = folder();
    for path in common::shared_clips() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if ![
            "vox_00010",
            "grid_bbaf2n",
            "retalk_1",
            "lrs3_0Fi",
            "vexpress_RD",
        ]
        .iter()
        .any(|known| name.starts_with(known))
        {
            continue;
        }
        println!("{name}");
        let clip = open(&path);
        let count = clip.video().unwrap().frames;
        let output = folder.path().join("out.mp4");
        let cut = [source(0, count / 3), source(count / 3 + 7, count)];
        let rendered = render(
            &clip,
            &cut,
            &mut maker(&clip),
            Sound::Copy,
            Extras::default(),
            &output,
            &RenderOptions::default(),
            &mut |_| {},
        )
        .unwrap();
        show(&rendered);
        let result = open(&output);
        assert_eq!(result.video().unwrap().frames, count - 7);
        let (video, sound) = (result.video().unwrap(), result.sound().unwrap());
        assert!(
            (video.times.end() - sound.end()).abs().0 < 0.05,
            "{} {}",
            video.times.end(),
            sound.end()
        );
        let (before, after) = (frames(&clip), frames(&result));
        let mut worst = f64::INFINITY;
        for (index, frame) in after.iter().enumerate() {
            let original = if (index as u64) < count / 3 {
                index
            } else {
                index + 7
            };
            worst = worst.min(psnr(frame, &before[original]));
        }
        println!("worst frame {worst:.1} dB");
        assert!(worst >= 45.0);
        judged(&output);
    }
}
