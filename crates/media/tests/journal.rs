//! A render that is killed goes on where it was, and gives what an undisturbed one gives.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests"
)]

mod common;

use common::{clip, folder};
use media::render::{BoxError, Extras, OutputSpan, RenderOptions, Sound, render};
use media::{Clip, Frame, OpenOptions};
use std::path::Path;
use units::FrameIndex;

/// Encodes frames 100 to 300, then makes 400 in which the first one gets brighter; fails at made frame `until`.
/// Gives the made frames that were asked for.
fn run(clip: &Clip, output: &Path, journal: &Path, until: u64) -> (bool, Vec<u64>) {
    let first = clip.frames(FrameIndex(0)..FrameIndex(1)).unwrap();
    let first: Frame = first.map(Result::unwrap).next().unwrap();
    let mut asked = Vec::new();
    let mut frames = |index: FrameIndex| -> Result<Frame, BoxError> {
        asked.push(index.0);
        if index.0 >= until {
            return Err("killed".into());
        }
        let mut image = first.to_rgb_f32();
        for value in &mut image.data {
            *value = (*value + index.0 as f32 / 2000.0).min(1.0);
        }
        let mut frame = first.clone();
        frame.put_region_rgb(0, 0, &image, &vec![1.0; image.width * image.height])?;
        Ok(frame)
    };
    let spans = [
        OutputSpan::Source {
            source: FrameIndex(100)..FrameIndex(300),
        },
        OutputSpan::Made { frames: 400 },
    ];
    let result = render(
        clip,
        &spans,
        &mut frames,
        Sound::Copy,
        Extras::unmoved(clip.info()),
        output,
        &RenderOptions {
            copy: false,
            journal: Some(journal.to_path_buf()),
            ..RenderOptions::default()
        },
        &mut |_| {},
    );
    (result.is_ok(), asked)
}

#[test]
fn a_killed_render_goes_on_and_gives_the_same_bytes() {
    let folder = folder();
    let mp4 = (
        "a.mp4",
        &["-c:v", "libx264", "-c:a", "aac"][..],
        &[230, 499, 599][..],
    );
    let webm = (
        "a.webm",
        &[
            "-c:v",
            "libvpx-vp9",
            "-deadline",
            "realtime",
            "-c:a",
            "libopus",
        ][..],
        &[520][..],
    );
    for (name, codec, moments) in [mp4, webm] {
        let Some(input) = clip(folder.path(), name, "64x48", 300, codec) else {
            return;
        };
        let clip = Clip::open(&input, &OpenOptions::default()).unwrap();
        let path = |what: &str| folder.path().join(format!("{what}.{name}"));
        let (done, asked) = run(&clip, &path("whole"), &path("j1"), u64::MAX);
        assert!(done && asked.len() == 400);
        for &until in moments {
            for old in ["j2", "out"] {
                let _ = std::fs::remove_file(path(old));
            }
            let (done, _) = run(&clip, &path("out"), &path("j2"), until);
            assert!(!done && !path("out").exists());
            let (done, asked) = run(&clip, &path("out"), &path("j2"), u64::MAX);
            assert!(done);
            let lost = until - asked[0];
            assert!(lost <= 250, "{lost} frames were made again");
            assert!(
                until < 250 || asked[0] >= 250,
                "the first group was made again"
            );
            assert!(
                std::fs::read(path("out")).unwrap() == std::fs::read(path("whole")).unwrap(),
                "{name} killed at {until}"
            );
        }
    }
}
