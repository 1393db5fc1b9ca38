//! The metrics without networks against scikit-image, scipy, `python_speech_features` and PyTorch
//! (`tools/parity/metrics.py`).
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use measure::frechet::{Moments, frechet_distance};
use measure::picture::{psnr, squared_error, ssim_luma, ssim_rgb};
use measure::sync::mfcc::Mfcc;
use measure::sync::sync_scores;
use media::image::Rgb8;
use safetensors::SafeTensors;
use std::path::Path;

fn fixture<T>(read: impl FnOnce(&SafeTensors) -> T) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/metrics.safetensors");
    let bytes = std::fs::read(path).unwrap();
    read(&SafeTensors::deserialize(&bytes).unwrap())
}

fn f32s(file: &SafeTensors, name: &str) -> Vec<f32> {
    let data = file
        .tensor(name)
        .unwrap()
        .data()
        .as_chunks::<4>()
        .0
        .to_vec();
    data.into_iter().map(f32::from_le_bytes).collect()
}

fn f64s(file: &SafeTensors, name: &str) -> Vec<f64> {
    let data = file
        .tensor(name)
        .unwrap()
        .data()
        .as_chunks::<8>()
        .0
        .to_vec();
    data.into_iter().map(f64::from_le_bytes).collect()
}

#[test]
fn verify_psnr_and_ssim_parity() {
    let (pictures, wanted) = fixture(|file| {
        let tensor = file.tensor("pictures").unwrap();
        let [_, height, width, _] = *tensor.shape() else {
            panic!("{:?}", tensor.shape());
        };
        let pictures: Vec<Rgb8> = tensor
            .data()
            .chunks_exact(width * height * 3)
            .map(|data| Rgb8::from_vec(width, height, data.to_vec()).unwrap())
            .collect();
        (pictures, f64s(file, "picture_scores"))
    });
    for (other, wanted) in pictures[1..].iter().zip(wanted.chunks_exact(3)) {
        let first = &pictures[0];
        let error = squared_error(&first.data, &other.data);
        let found = [
            psnr(error, first.data.len() as u64).unwrap(),
            ssim_luma(first, other).unwrap(),
            ssim_rgb(first, other).unwrap(),
        ];
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
        }
    }
}

#[test]
fn verify_frechet_parity() {
    let (one, two, wanted) = fixture(|file| {
        (
            f32s(file, "features_one"),
            f32s(file, "features_two"),
            f64s(file, "frechet")[0],
        )
    });
    let gather = |values: &[f32]| {
        let mut moments = Moments::new(24);
        for features in values.chunks_exact(24) {
            moments.push(features).unwrap();
        }
        moments
    };
    let found = frechet_distance(&gather(&one), &gather(&two)).unwrap();
    assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
}

/// The script's signal.
fn signal() -> Vec<f32> {
    let mut state = 12_345_u64;
    (0..16_123_u32)
        .map(|n| {
            state = (state * 1_664_525 + 1_013_904_223) % (1 << 32);
            let noise = (state >> 8) as f64 / f64::from(1 << 24) - 0.5;
            let t = f64::from(n) / 16_000.0;
            let tau = 2.0 * std::f64::consts::PI;
            let envelope = 0.5 + 0.5 * (tau * 1.7 * t).sin();
            let tone = (tau * (120.0 * t + 700.0 * t * t)).sin();
            (envelope * (0.3 * tone + 0.05 * noise)) as f32
        })
        .collect()
}

#[test]
fn verify_mfcc_parity() {
    let wanted = fixture(|file| f32s(file, "mfcc"));
    let samples = signal();
    let mut mfcc = Mfcc::new();
    // In uneven blocks, as a reader gives them.
    for block in samples.chunks(777) {
        mfcc.push(block).unwrap();
    }
    let found = mfcc.finish().unwrap();
    assert_eq!(found.len() * 13, wanted.len());
    for (found, wanted) in found.iter().flatten().zip(&wanted) {
        assert!((found - wanted).abs() < 1e-4, "{found} {wanted}");
    }
}

#[test]
fn verify_offset_search_parity() {
    let (lips, sound, scores, frames) = fixture(|file| {
        let rows = |name| -> Vec<Vec<f32>> {
            f32s(file, name)
                .chunks_exact(32)
                .map(<[f32]>::to_vec)
                .collect()
        };
        (
            rows("lips"),
            rows("sound"),
            f64s(file, "sync"),
            f32s(file, "sync_frames"),
        )
    });
    let found = sync_scores(&lips, &sound).unwrap();
    assert!(
        (found.confidence - scores[0]).abs() < 1e-5,
        "{} {}",
        found.confidence,
        scores[0]
    );
    assert!((found.distance - scores[1]).abs() < 1e-5);
    assert_eq!(found.offset, scores[2] as i64);
    for (found, wanted) in found.frames.iter().zip(&frames) {
        assert!((found - wanted).abs() < 1e-5);
    }
}
