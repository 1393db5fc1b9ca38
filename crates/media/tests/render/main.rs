//! Rendering: copied, encoded and made frames in one stream, and what comes with them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "helpers of tests are tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod copies;
mod kept;
mod sound;
mod written;

use crate::common::{psnr, raw};
use media::render::{
    BoxError, Extras, OutputSpan, RenderOptions, RenderReport, Sound, SpanKind, render,
};
use media::{AudioBlock, Clip, Frame, OpenOptions};
use std::path::Path;
use std::process::Command;
use units::{FrameIndex, SampleRate};

pub(crate) fn open(path: &Path) -> Clip {
    Clip::open(path, &OpenOptions::default()).unwrap()
}

pub(crate) fn source(start: u64, end: u64) -> OutputSpan {
    OutputSpan::Source {
        source: FrameIndex(start)..FrameIndex(end),
    }
}

/// Gives the source's first frame, which no copied or encoded frame equals.
pub(crate) fn maker(clip: &Clip) -> impl FnMut(FrameIndex) -> Result<Frame, BoxError> {
    let frame = clip
        .frames(FrameIndex(0)..FrameIndex(1))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    move |_| Ok(frame.clone())
}

pub(crate) fn frames(clip: &Clip) -> Vec<Frame> {
    clip.all_frames().unwrap().map(Result::unwrap).collect()
}

pub(crate) fn show(report: &RenderReport) {
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
pub(crate) fn check(
    input: &Path,
    output: &Path,
    spans: &[OutputSpan],
    copies: bool,
) -> RenderReport {
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
pub(crate) fn judged(path: &Path) {
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

pub(crate) const H264: &[&str] = &[
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

pub(crate) fn usual() -> [OutputSpan; 3] {
    [
        source(0, 47),
        OutputSpan::Made { frames: 5 },
        source(53, 100),
    ]
}

/// A tone of `samples` samples in blocks of odd sizes.
pub(crate) fn tone(
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

pub(crate) fn usual_short() -> [OutputSpan; 3] {
    [
        source(0, 27),
        OutputSpan::Made { frames: 4 },
        source(33, 60),
    ]
}
