//! Clips from nothing, and what failures leave.

use crate::common::{clip, folder};
use crate::{H264, frames, judged, maker, open, source, tone};
use media::Frame;
use media::render::{
    BoxError, Extras, NewClip, OutputSpan, RenderError, RenderOptions, Sound, render, write_clip,
};
use std::path::{Path, PathBuf};
use units::{FrameIndex, FrameRate, SampleIndex};

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
