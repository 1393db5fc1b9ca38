//! New sound and copied sound.

use crate::common::{clip, folder};
use crate::{H264, judged, maker, open, show, source, tone};
use media::render::{Extras, RenderOptions, Sound, SpanKind, render};
use units::FrameIndex;

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
                let decoded = crate::common::reference_sound(&output).unwrap().len() / channels;
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
