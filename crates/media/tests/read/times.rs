//! Variable rates and rotation.

use crate::common::{clip, ffmpeg, folder};
use crate::{X264, check_frames, open};
use media::Rotation;
use units::FrameIndex;

#[test]
fn variable_rates_keep_every_time() {
    let folder = folder();
    let path = folder.path().join("v.mp4");
    let made = ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=96x96:rate=30",
            "-frames:v",
            "40",
            "-vf",
            "setpts='(N+floor(N/5)*2+mod(N,3)*0.25)/30/TB'",
            "-vsync",
            "vfr",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-bf",
            "2",
            "-video_track_timescale",
            "90000",
        ],
        &path,
    );
    if !made {
        return;
    }
    let opened = open(&path);
    let video = opened.video().unwrap();
    assert!(video.variable);
    for frame in 0..video.frames {
        let n = frame as f64;
        let expected = (n + (n / 5.0).floor() * 2.0 + (n % 3.0) * 0.25) / 30.0;
        let found = video.times.start(FrameIndex(frame)).0;
        assert!(
            (found - expected).abs() < 0.02,
            "frame {frame}: {found} {expected}"
        );
    }
    check_frames(&path);
}

#[test]
fn rotation_turns_what_is_shown() {
    let folder = folder();
    let Some(flat) = clip(folder.path(), "flat.mp4", "160x96", 10, X264) else {
        return;
    };
    let path = folder.path().join("turned.mp4");
    let input = flat.to_str().unwrap().to_owned();
    // The first is how FFmpeg 6 and later are told, the second how those before are.
    let turned = ffmpeg(
        &["-display_rotation", "90", "-i", &input, "-c", "copy"],
        &path,
    ) || ffmpeg(
        &["-i", &input, "-c", "copy", "-metadata:s:v:0", "rotate=90"],
        &path,
    );
    assert!(turned);
    let opened = open(&path);
    let video = opened.video().unwrap();
    assert_eq!((video.width, video.height), (96, 160));
    assert_eq!((video.coded_width, video.coded_height), (160, 96));
    assert!(video.rotation == Rotation::Quarter || video.rotation == Rotation::ThreeQuarters);
    let frame = opened.all_frames().unwrap().next().unwrap().unwrap();
    // What ffmpeg shows when it turns the picture itself.
    let shown = folder.path().join("shown.png.rgb");
    assert!(ffmpeg(
        &[
            "-i",
            path.to_str().unwrap(),
            "-frames:v",
            "1",
            "-pix_fmt",
            "rgb24",
            "-f",
            "rawvideo"
        ],
        &shown
    ));
    let expected = std::fs::read(&shown).unwrap();
    let ours = frame.to_rgb8();
    assert_eq!(ours.data.len(), expected.len());
    let far = ours
        .data
        .iter()
        .zip(&expected)
        .filter(|(a, b)| a.abs_diff(**b) > 40)
        .count();
    assert!(
        far * 20 < expected.len(),
        "{far} of {} differ",
        expected.len()
    );
    check_frames(&path);
}
