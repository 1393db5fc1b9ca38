use super::*;
use proptest::prelude::*;
use serde::Deserialize;

/// Written by `tools/parity/mel.py` with `transformers` and numpy.
#[derive(Deserialize)]
struct Fixture {
    samples: usize,
    seed: u32,
    gain: f32,
    filter_rows: Vec<(usize, Vec<f32>)>,
    embedded: Vec<(usize, Vec<f32>)>,
    embedded_frames: usize,
    whisper: Vec<(usize, Vec<f32>)>,
    whisper_frames: usize,
}

/// The generator that the fixture's script uses too: a linear congruential noise under a swept tone.
fn test_signal(samples: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..samples)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state >> 8) / f64::from(1 << 24) - 0.5;
            let t = n as f64 / 16_000.0;
            let envelope = 0.5 + 0.5 * (std::f64::consts::TAU * 1.7 * t).sin();
            let tone = (std::f64::consts::TAU * (120.0 * t + 700.0 * t * t)).sin();
            (envelope * (0.05 * tone + 0.004 * noise)) as f32
        })
        .collect()
}

fn assert_close(ours: &[f32], theirs: &[f32], tolerance: f32, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (band, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!(
            (a - b).abs() <= tolerance,
            "{what} band {band}: {a} against {b}"
        );
    }
}

#[test]
fn agrees_with_transformers_and_numpy() {
    let text = include_str!("../../tests/fixtures/mel.json");
    let fixture: Fixture = serde_json::from_str(text).unwrap();
    let samples = test_signal(fixture.samples, fixture.seed);
    assert!((speech_gain(&samples) - fixture.gain).abs() < 1e-4 * fixture.gain);
    let bank = filter_bank();
    for (band, row) in &fixture.filter_rows {
        assert_close(&bank[*band], row, 1e-7, "filter");
    }
    let ours = log_mel(&samples);
    assert_eq!(ours.len(), fixture.embedded_frames);
    for (frame, row) in &fixture.embedded {
        assert_close(&ours[*frame], row, 1e-4, &format!("frame {frame}"));
    }
    let ours = MelConfig::WHISPER.compute(&samples);
    assert_eq!(ours.len(), fixture.whisper_frames);
    for (frame, row) in &fixture.whisper {
        assert_close(&ours[*frame], row, 1e-4, &format!("whisper frame {frame}"));
    }
}

#[test]
fn a_tone_lights_its_own_band() {
    let tone: Vec<f32> = (0..16_000)
        .map(|n| (std::f32::consts::TAU * 1000.0 * n as f32 / 16_000.0).sin() * 0.1)
        .collect();
    let frames = log_mel(&tone);
    assert_eq!(frames.len(), 100);
    let middle = frames[50];
    let loudest = (0..MEL_BANDS)
        .max_by(|&a, &b| middle[a].total_cmp(&middle[b]))
        .unwrap();
    let bank = filter_bank();
    let expected = (0..MEL_BANDS)
        .max_by(|&a, &b| bank[a][25].total_cmp(&bank[b][25]))
        .unwrap();
    assert_eq!(loudest, expected);
}

#[test]
fn short_and_empty_input_is_padded() {
    assert!(log_mel(&[]).is_empty());
    assert_eq!(log_mel(&[0.1; 7]).len(), 2);
    assert_eq!(log_mel(&[0.1; 400]).len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn pieces_give_the_same_bits_as_the_whole(
        length in 1_usize..9000,
        cuts in prop::collection::vec(1_usize..700, 1..40),
    ) {
        let samples = test_signal(length, 7);
        let gain = speech_gain(&samples);
        let mut stream = MelStream::new(Compression::Local, gain);
        let mut pieces = Vec::new();
        let mut rest = samples.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            pieces.extend(stream.push(now));
            rest = later;
        }
        pieces.extend(stream.finish());
        prop_assert_eq!(pieces, log_mel(&samples));
    }
}
