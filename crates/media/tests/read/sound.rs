//! Samples of many codecs, and where they stand.

use crate::common::{ffmpeg, folder};
use crate::{check_sound, open};
use units::SampleIndex;

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
