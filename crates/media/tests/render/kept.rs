//! Times, tags and bytes that stay.

use crate::common::{clip, ffmpeg, folder, psnr};
use crate::{H264, check, frames, judged, maker, open, show, source, tone, usual_short};
use media::render::{Extras, RenderOptions, Sound, render};
use units::FrameIndex;

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

#[test]
fn real_clips_survive_an_edit() {
    let folder = folder();
    for path in crate::common::shared_clips() {
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
