//! Frames of many codecs and pixel formats.

use crate::common::{clip, ffmpeg, folder};
use crate::{check_frames, check_sound, open};
use media::Chroma;
use units::FrameIndex;

#[test]
fn h264_with_b_frames_is_read_exactly() {
    let folder = folder();
    let options = [
        "-c:v", "libx264", "-preset", "medium", "-g", "20", "-bf", "3", "-pix_fmt", "yuv420p",
    ];
    let Some(path) = clip(folder.path(), "a.mp4", "160x120", 70, &options) else {
        return;
    };
    let opened = open(&path);
    let video = opened.video().unwrap();
    assert_eq!((video.width, video.height, video.frames), (160, 120, 70));
    assert_eq!(
        (
            video.rate.numerator(),
            video.rate.denominator(),
            video.variable
        ),
        (25, 1, false)
    );
    assert_eq!(video.codec, "h264");
    assert!((video.times.end().0 - 2.8).abs() < 1e-6);
    assert_eq!(video.times.start(FrameIndex(0)).0, 0.0);
    assert!(video.keyframes.contains(&FrameIndex(20)));
    let audio = opened.sound().unwrap();
    assert_eq!(
        (audio.rate.hertz(), audio.channels, audio.layout.as_str()),
        (44100, 1, "mono")
    );
    assert_eq!(audio.samples, 123_480);
    assert_eq!(audio.start.0, 0.0);
    check_frames(&path);
    check_sound(&path);
}

#[test]
fn open_groups_are_read_exactly() {
    let folder = folder();
    let h264 = [
        "-c:v",
        "libx264",
        "-preset",
        "medium",
        "-x264-params",
        "open-gop=1:keyint=12:bframes=3:scenecut=0",
        "-pix_fmt",
        "yuv420p",
    ];
    if let Some(path) = clip(folder.path(), "a.mp4", "128x96", 60, &h264) {
        check_frames(&path);
    }
    let hevc = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "open-gop=1:keyint=12:bframes=3:log-level=none",
        "-pix_fmt",
        "yuv420p",
    ];
    if let Some(path) = clip(folder.path(), "b.mkv", "128x96", 60, &hevc) {
        check_frames(&path);
    }
}

#[test]
fn ten_bit_h265_keeps_its_tags() {
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
        "-vf",
        "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc",
        "-color_primaries",
        "bt2020",
        "-color_trc",
        "smpte2084",
        "-colorspace",
        "bt2020nc",
        "-x265-params",
        "log-level=none:keyint=10:hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400",
    ];
    let Some(path) = clip(folder.path(), "a.mp4", "130x98", 30, &options) else {
        return;
    };
    let opened = open(&path);
    let video = opened.video().unwrap();
    assert_eq!((video.format.chroma, video.format.bits), (Chroma::C420, 10));
    assert_eq!(
        (
            video.colour.primaries,
            video.colour.transfer,
            video.colour.matrix
        ),
        (9, 16, 9)
    );
    let mastering = video.hdr.mastering.unwrap();
    assert!((mastering.primaries[0].0 - 0.68).abs() < 1e-4);
    assert!((mastering.luminance.1 - 1000.0).abs() < 1e-3);
    let light = video.hdr.light.unwrap();
    assert_eq!((light.max_content, light.max_frame_average), (1000, 400));
    check_frames(&path);
}

#[test]
fn vp9_prores_and_mpeg_are_read_exactly() {
    let folder = folder();
    let vp9 = [
        "-c:v",
        "libvpx-vp9",
        "-deadline",
        "realtime",
        "-cpu-used",
        "8",
        "-g",
        "15",
        "-c:a",
        "libopus",
        "-pix_fmt",
        "yuv420p",
    ];
    if let Some(path) = clip(folder.path(), "a.webm", "128x96", 40, &vp9) {
        check_frames(&path);
        let opened = open(&path);
        assert_eq!(opened.video().unwrap().rate.per_second(), 25.0);
    }
    let prores = [
        "-c:v",
        "prores_ks",
        "-profile:v",
        "3",
        "-c:a",
        "pcm_s16le",
        "-pix_fmt",
        "yuv422p10le",
    ];
    if let Some(path) = clip(folder.path(), "b.mov", "128x96", 12, &prores) {
        check_frames(&path);
        check_sound(&path);
        assert_eq!(open(&path).video().unwrap().keyframes.len(), 12);
    }
    let mpeg = ["-c:v", "mpeg1video", "-g", "12", "-bf", "2", "-c:a", "mp2"];
    if let Some(path) = clip(folder.path(), "c.mpg", "128x96", 60, &mpeg) {
        check_frames(&path);
    }
    let mpeg4 = ["-c:v", "mpeg4", "-g", "12", "-bf", "2"];
    if let Some(path) = clip(folder.path(), "d.avi", "128x96", 40, &mpeg4) {
        assert!(open(&path).video().unwrap().frames.abs_diff(40) <= 1);
    }
}

#[test]
fn odd_sizes_and_444_are_read_exactly() {
    let folder = folder();
    let options = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv444p",
        "-vf",
        "scale=131:97",
    ];
    if let Some(path) = clip(folder.path(), "a.mp4", "132x98", 20, &options) {
        assert_eq!(open(&path).video().unwrap().width, 131);
        check_frames(&path);
    }
    let vp9 = [
        "-c:v",
        "libvpx-vp9",
        "-deadline",
        "realtime",
        "-cpu-used",
        "8",
        "-an",
        "-pix_fmt",
        "yuv420p",
        "-vf",
        "scale=131:97",
    ];
    if let Some(path) = clip(folder.path(), "b.webm", "132x98", 20, &vp9) {
        let opened = open(&path);
        assert!(opened.sound().is_err());
        check_frames(&path);
    }
}

#[test]
fn red_green_and_blue_are_given_back() {
    let folder = folder();
    // Large enough to be taken for BT.709 where the tags say nothing; tagged as full range.
    let noise = "testsrc2=s=1280x720,noise=alls=30:allf=t,format=gbrp";
    let path = folder.path().join("rgb.mkv");
    let source = ["-f", "lavfi", "-i", noise, "-frames:v", "2", "-c:v", "ffv1"];
    if !ffmpeg(&[&source[..], &["-color_range", "pc"]].concat(), &path) {
        return;
    }
    let raw = folder.path().join("rgb.raw");
    let name = path.to_str().unwrap();
    assert!(ffmpeg(
        &["-i", name, "-pix_fmt", "rgb24", "-f", "rawvideo"],
        &raw
    ));
    let ours: Vec<u8> = open(&path)
        .all_frames()
        .unwrap()
        .flat_map(|frame| frame.unwrap().to_rgb8().data)
        .collect();
    let wanted = std::fs::read(&raw).unwrap();
    assert_eq!(ours.len(), wanted.len());
    let apart = |(a, b): (&u8, &u8)| a.abs_diff(*b);
    let most = ours.iter().zip(&wanted).map(apart).max();
    let other = ours.iter().zip(&wanted).filter(|(a, b)| a != b).count();
    // One blue in some hundreds lies between two levels.
    assert!(
        most <= Some(1) && other * 500 < ours.len(),
        "{other} values"
    );
}

#[test]
fn real_clips_are_read_exactly() {
    for path in crate::common::shared_clips() {
        let opened = open(&path);
        let video = opened.video().unwrap();
        println!(
            "{}: {} {}x{} {} frames, {}{}, {:?}",
            path.file_name().unwrap().to_string_lossy(),
            video.codec,
            video.width,
            video.height,
            video.frames,
            video.rate,
            if video.variable { " variable" } else { "" },
            opened.info().warnings,
        );
        if video.width * video.height > 600 * 600 || video.frames > 200 {
            continue;
        }
        check_frames(&path);
        check_sound(&path);
    }
}
