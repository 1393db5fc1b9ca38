//! The mel encoder in parts against the whole, and eq. 3's windows.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use candle_core::{Device, Tensor};
use common::{by_formula, flat, relative_error, wave};
use models::audio_projection::{needed_features, window_taps, windows};
use models::ltx::AudioConfig;
use models::mel_encoder::{MelEncoder, MelEncoderConfig};

fn encoder() -> MelEncoder {
    let config = MelEncoderConfig {
        channels: 6,
        dilations: vec![1, 2, 4],
        mel_bands: 5,
        mean_norm: false,
    };
    MelEncoder::load(&by_formula(&config.shapes(), 0.4), &config, &Device::Cpu).unwrap()
}

#[test]
fn a_stretch_of_sound_is_encoded_as_in_the_whole() {
    let encoder = encoder();
    for frames in [101, 100] {
        let mel = wave(&[1, frames, 5], 1.0, 0.37, 0.1);
        let whole = encoder.forward(&mel).unwrap().squeeze(0).unwrap();
        assert_eq!(whole.dims(), [50, 6]);
        let values = flat(&mel);
        for wanted in [0..50, 0..3, 20..31, 47..50, 49..50] {
            let range = encoder.mel_range(frames, &wanted).unwrap();
            let data = values[range.start * 5..range.end * 5].to_vec();
            let part = encoder.features(frames, &wanted, data).unwrap();
            let cut = whole
                .narrow(0, wanted.start, wanted.len())
                .unwrap()
                .contiguous()
                .unwrap();
            let error = relative_error(&part, &cut);
            assert!(error < 1e-5, "{frames} {wanted:?}: {error}");
        }
        assert!(encoder.mel_range(frames, &(40..51)).is_err());
    }
}

/// At 25 fps a frame's window lies between features, at both ends it is clamped.
#[test]
fn windows_follow_equation_3() {
    let taps = window_taps(10, 16, 50.0, 25.0, 1000).unwrap();
    assert_eq!((taps[0].low, taps[0].high), (12, 13));
    assert!((taps[0].weight - 0.5).abs() < 1e-12);
    assert_eq!((taps[15].low, taps[15].high), (27, 28));
    // 29.97 fps: 17 frames are 28.361695 features.
    let taps = window_taps(17, 16, 50.0, 30_000.0 / 1001.0, 1000).unwrap();
    assert_eq!(taps[7].low, 27);
    assert!(
        (taps[7].weight - 0.861_666_67).abs() < 1e-6,
        "{}",
        taps[7].weight
    );
    let taps = window_taps(0, 16, 50.0, 25.0, 5).unwrap();
    assert!(taps[..7].iter().all(|tap| tap.low == 0));
    assert!(taps[13..].iter().all(|tap| tap.high == 4));
    assert!(window_taps(0, 16, 50.0, 25.0, 0).is_err());
}

#[test]
fn windows_of_held_features_equal_those_of_all() {
    let config = AudioConfig {
        dim: 4,
        window: 8,
        hidden_states: 2,
        channels: 3,
        feature_rate: 50.0,
    };
    let features = wave(&[60, 2, 3], 1.0, 0.7, 0.0);
    let frames: Vec<u64> = (7..12).collect();
    let whole = windows(&features, (0, 60), &frames, &config, 24.0).unwrap();
    assert_eq!(whole.dims(), [5, 8, 2, 3]);
    let needed = needed_features((7, 11), &config, 24.0, 60).unwrap();
    let held: Tensor = features.narrow(0, needed.start, needed.len()).unwrap();
    let found = windows(&held, (needed.start, 60), &frames, &config, 24.0).unwrap();
    assert_eq!(flat(&found), flat(&whole));
    assert!(windows(&held, (needed.start + 1, 60), &frames, &config, 24.0).is_err());
}
