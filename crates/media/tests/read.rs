//! Reading: what is in a clip, exact frames, exact samples.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "helpers of tests are tests"
)]

mod common;

use common::{clip, ffmpeg, folder, raw, reference_frames, reference_sound};
use media::{Chroma, Clip, MediaError, OpenOptions, Rotation};
use std::path::Path;
use units::{FrameIndex, SampleIndex};

const X264: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
];

fn open(path: &Path) -> Clip {
    Clip::open(path, &OpenOptions::default()).unwrap()
}

/// Every frame read in one go, and single frames and short runs read by seeking, equal what the
/// `ffmpeg` program decodes.
fn check_frames(path: &Path) {
    let clip = open(path);
    let video = clip.video().unwrap().clone();
    let all: Vec<Vec<u8>> = clip
        .all_frames()
        .unwrap()
        .map(|frame| raw(&frame.unwrap()))
        .collect();
    assert_eq!(all.len() as u64, video.frames, "{}", path.display());
    let expected = reference_frames(path, all[0].len()).unwrap();
    assert_eq!(all.len(), expected.len(), "{}", path.display());
    for (index, (one, two)) in all.iter().zip(&expected).enumerate() {
        assert!(one == two, "{}: frame {index} differs", path.display());
    }
    let count = all.len() as u64;
    for start in [1, count / 3, count / 2, count * 2 / 3 + 1, count - 1] {
        let start = start.min(count - 1);
        let end = (start + 3).min(count);
        let mut reader = clip.frames(FrameIndex(start)..FrameIndex(end)).unwrap();
        for (index, frame) in (start..end).zip(&mut reader) {
            let frame = frame.unwrap();
            assert_eq!(frame.time, video.times.start(FrameIndex(index)));
            assert!(
                raw(&frame) == expected[index as usize],
                "{}: frame {index} after a seek",
                path.display()
            );
        }
        assert_eq!(reader.repaired(), 0);
    }
}

/// All samples, and a stretch from the middle, equal what the `ffmpeg` program decodes.
fn check_sound(path: &Path) {
    let clip = open(path);
    let audio = clip.sound().unwrap().clone();
    let channels = usize::from(audio.channels);
    let block = clip.all_audio().unwrap().read_to_end().unwrap();
    assert_eq!(block.len() as u64, audio.samples);
    let expected = reference_sound(path).unwrap();
    let length = expected.len() / channels;
    // ffmpeg pads or keeps the codec's last block differently; the track itself must agree.
    assert!(
        length.abs_diff(block.len()) <= 2048,
        "{length} {}",
        block.len()
    );
    for (index, frame) in expected
        .chunks_exact(channels)
        .take(block.len())
        .enumerate()
    {
        for (channel, value) in frame.iter().enumerate() {
            let ours = block.channels[channel][index];
            assert!(
                (ours - value).abs() < 1e-4,
                "{}: sample {index}: {ours} {value}",
                path.display()
            );
        }
    }
    let middle = audio.samples / 2;
    let range = SampleIndex(middle)..SampleIndex((middle + 5000).min(audio.samples));
    let part = clip.audio(range.clone()).unwrap().read_to_end().unwrap();
    for channel in 0..channels {
        assert_eq!(
            part.channels[channel],
            block.channels[channel][range.start.as_usize()..range.end.as_usize()]
        );
    }
}

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
fn sound_of_many_kinds_is_read_exactly() {
    let folder = folder();
    for (name, layout, rate, codec) in [
        ("a.m4a", "mono", "16000", "aac"),
        ("b.m4a", "5.1", "48000", "aac"),
        ("c.wav", "stereo", "22050", "pcm_s16le"),
        ("d.flac", "stereo", "96000", "flac"),
        ("e.mka", "stereo", "48000", "libopus"),
        ("f.mp3", "stereo", "32000", "libmp3lame"),
        ("g.mka", "mono", "11025", "pcm_f32le"),
    ] {
        let path = folder.path().join(name);
        let source =
            format!("anoisesrc=r={rate}:d=1.7:a=0.3:seed=3,aformat=channel_layouts={layout}");
        if ffmpeg(&["-f", "lavfi", "-i", &source, "-c:a", codec], &path) {
            let opened = open(&path);
            assert_eq!(opened.sound().unwrap().layout, layout, "{name}");
            assert!(opened.video().is_err());
            check_sound(&path);
        }
    }
}

#[test]
fn sound_far_into_a_track_is_where_it_should_be() {
    let folder = folder();
    for (name, codec) in [
        ("a.m4a", "aac"),
        ("b.mka", "aac"),
        ("c.mka", "libopus"),
        ("d.mp3", "libmp3lame"),
    ] {
        let path = folder.path().join(name);
        let source = "anoisesrc=r=48000:d=50:a=0.3:seed=5";
        if !ffmpeg(&["-f", "lavfi", "-i", source, "-c:a", codec], &path) {
            continue;
        }
        let opened = open(&path);
        let all = opened.all_audio().unwrap().read_to_end().unwrap();
        let range = SampleIndex(40 * 48000 + 17)..SampleIndex(41 * 48000);
        let part = opened.audio(range.clone()).unwrap().read_to_end().unwrap();
        let expected = &all.channels[0][range.start.as_usize()..range.end.as_usize()];
        assert_eq!(part.len(), expected.len());
        let error: f32 = part.channels[0]
            .iter()
            .zip(expected)
            .map(|(a, b)| (a - b).powi(2))
            .sum();
        let power: f32 = expected.iter().map(|value| value * value).sum();
        assert!(error < power * 0.01, "{name}: {error} of {power}");
    }
}

#[test]
fn mono_at_16_khz_is_aligned_and_complete() {
    let folder = folder();
    let path = folder.path().join("tone.wav");
    if !ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=440:sample_rate=44100:duration=2",
            "-ac",
            "2",
        ],
        &path,
    ) {
        return;
    }
    let samples = media::sound::read_all_mono_16k(&path).unwrap();
    assert_eq!(samples.len(), 32_000);
    // ffmpeg keeps the power when it makes two channels of one.
    let amplitude = 0.125 / f64::sqrt(2.0);
    for (index, &sample) in samples.iter().enumerate().skip(200).take(31_000) {
        let expected =
            amplitude * (2.0 * std::f64::consts::PI * 440.0 * index as f64 / 16_000.0).sin();
        assert!(
            (f64::from(sample) - expected).abs() < 0.01,
            "sample {index}: {sample} {expected}"
        );
    }
}

#[test]
fn bad_files_have_clear_errors() {
    let folder = folder();
    let open = |path: &Path| Clip::open(path, &OpenOptions::default());
    let missing = folder.path().join("missing \"clip\" ü.mp4");
    assert!(matches!(open(&missing), Err(MediaError::NotFound { .. })));
    assert!(matches!(
        open(folder.path()),
        Err(MediaError::Folder { .. })
    ));
    let empty = folder.path().join("empty.mp4");
    std::fs::write(&empty, b"").unwrap();
    assert!(matches!(open(&empty), Err(MediaError::Empty { .. })));
    let text = folder.path().join("text.mp4");
    std::fs::write(&text, "This is a script, not a clip.\n".repeat(50)).unwrap();
    let error = open(&text).unwrap_err();
    assert!(error.to_string().contains("it holds text"), "{error}");
    let zeros = folder.path().join("zeros.mp4");
    std::fs::write(&zeros, [0; 5000]).unwrap();
    assert!(matches!(open(&zeros), Err(MediaError::NotMedia { .. })));
    // Playlists must not make us open other files.
    let list = folder.path().join("list.mp4");
    std::fs::write(&list, "ffconcat version 1.0\nfile empty.mp4\n").unwrap();
    assert!(matches!(open(&list), Err(MediaError::NotMedia { .. })));

    let Some(path) = clip(
        folder.path(),
        "ok \u{43a}\u{43b}\u{438}\u{43f} 'x'.mp4",
        "96x96",
        30,
        X264,
    ) else {
        return;
    };
    assert!(open(&path).is_ok());
    let bytes = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.mp4");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let error = open(&cut).unwrap_err();
    assert!(matches!(error, MediaError::Truncated { .. }), "{error}");
    let sound = folder.path().join("sound.m4a");
    assert!(ffmpeg(&["-f", "lavfi", "-i", "sine=d=1"], &sound));
    assert!(matches!(
        open(&sound).unwrap().all_frames().err(),
        Some(MediaError::NoVideo { .. })
    ));
    let range = open(&path)
        .unwrap()
        .frames(FrameIndex(10)..FrameIndex(31))
        .err();
    assert!(matches!(
        range,
        Some(MediaError::FrameRange { frames: 30, .. })
    ));
}

#[test]
fn a_clip_whose_end_is_missing_gives_what_there_is() {
    let folder = folder();
    let options = [X264, &["-g", "10", "-movflags", "+faststart"]].concat();
    let Some(path) = clip(folder.path(), "a.mp4", "160x120", 50, &options) else {
        return;
    };
    let bytes = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.mp4");
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
    let opened = open(&cut);
    let frames = opened.video().unwrap().frames;
    assert!(frames > 5 && frames < 50, "{frames}");
    let missing = opened.video().unwrap().missing;
    assert!(
        missing > 5 && missing + frames <= 50,
        "{missing} of 50 are missing, {frames} are there"
    );
    assert_eq!(open(&path).video().unwrap().missing, 0);
    assert_eq!(
        opened.all_frames().unwrap().flatten().count() as u64,
        frames
    );
}

#[test]
fn one_frame_is_a_clip() {
    let folder = folder();
    let Some(path) = clip(folder.path(), "a.mp4", "96x96", 1, X264) else {
        return;
    };
    let opened = open(&path);
    let video = opened.video().unwrap();
    assert_eq!(video.frames, 1);
    assert!((video.times.end().0 - 0.04).abs() < 1e-6);
    assert_eq!(opened.all_frames().unwrap().count(), 1);
}

#[test]
fn damaged_bytes_never_panic() {
    let folder = folder();
    let options = [X264, &["-g", "8", "-movflags", "+faststart"]].concat();
    let Some(path) = clip(folder.path(), "a.mp4", "64x64", 16, &options) else {
        return;
    };
    let bytes = std::fs::read(&path).unwrap();
    let mut state = 0x1234_5678_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for round in 0..60 {
        let mut damaged = bytes.clone();
        for _ in 0..=(round % 12) {
            // Half of the damage hits the index at the front.
            let limit = if random() % 2 == 0 {
                3000.min(damaged.len())
            } else {
                damaged.len()
            };
            let at = random() % limit;
            damaged[at] = random() as u8;
        }
        if round % 7 == 0 {
            damaged.truncate(random() % damaged.len());
        }
        let path = folder.path().join("damaged.mp4");
        std::fs::write(&path, &damaged).unwrap();
        let Ok(clip) = Clip::open(&path, &OpenOptions::default()) else {
            continue;
        };
        if let Ok(reader) = clip.all_frames() {
            for frame in reader.take(40).flatten() {
                let _ = frame.to_rgb8_scaled(16, 16);
            }
        }
        if let Ok(mut reader) = clip.all_audio() {
            while let Ok(Some(block)) = reader.next_block() {
                if block.is_empty() || reader.position().0 > 1_000_000 {
                    break;
                }
            }
        }
    }
}

#[test]
fn real_clips_are_read_exactly() {
    for path in common::shared_clips() {
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
