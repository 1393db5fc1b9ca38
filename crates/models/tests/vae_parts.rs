//! Regions, windows and streams of the autoencoder against the whole.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{flat, random, relative_error, wave};
use models::ltx::vae::{Halo, Region, Span, Stage, decode_in_windows};
use models::ltx::{Vae, VaeConfig};

fn vae() -> Vae {
    let residual = |layers| Stage::Residual { layers };
    let compress = |factors, from, to, residual| Stage::Compress {
        factors,
        from,
        to,
        residual,
    };
    let config = VaeConfig {
        latent_channels: 6,
        patch_size: 2,
        encoder_base_channels: 8,
        decoder_base_channels: 8,
        encoder_blocks: vec![
            compress([1, 2, 2], 8, 16, true),
            residual(1),
            compress([2, 1, 1], 16, 16, true),
            residual(1),
            compress([2, 2, 2], 16, 32, true),
            residual(1),
        ],
        decoder_blocks: vec![
            residual(1),
            compress([2, 2, 2], 32, 16, true),
            residual(2),
            compress([2, 1, 1], 16, 16, false),
            compress([1, 2, 2], 16, 8, true),
            residual(1),
        ],
        ..VaeConfig::ltx()
    };
    assert!(config.strides_agree());
    assert_eq!((config.temporal_stride(), config.spatial_stride()), (4, 8));
    Vae::load(&random(&config.shapes()), &config, DType::F32, &Device::Cpu).unwrap()
}

fn cut(video: &Tensor, region: Region) -> Tensor {
    let mut video = video.clone();
    for (axis, span) in [(2, region.frames), (3, region.rows), (4, region.columns)] {
        video = video
            .narrow(axis, span.start, span.end - span.start)
            .unwrap();
    }
    video.contiguous().unwrap()
}

fn timestep() -> Tensor {
    Tensor::new(&[0.05_f32], &Device::Cpu).unwrap()
}

#[test]
fn a_region_equals_that_part_of_the_whole() {
    let vae = vae();
    let latents = wave(&[1, 6, 5, 6, 7], 1.0, 0.23, 0.5);
    let whole = vae.decode(&latents, &timestep()).unwrap();
    assert_eq!(whole.dims(), [1, 3, 17, 48, 56]);
    let span = |start, end, total| Span { start, end, total };
    for (frames, rows, columns) in [
        ((0, 17), (0, 48), (0, 56)),
        ((0, 1), (0, 2), (0, 2)),
        ((3, 9), (10, 30), (20, 44)),
        ((16, 17), (40, 48), (54, 56)),
        ((5, 6), (0, 48), (6, 8)),
    ] {
        let region = Region {
            frames: span(frames.0, frames.1, 17),
            rows: span(rows.0, rows.1, 48),
            columns: span(columns.0, columns.1, 56),
        };
        let part = vae.decode_region(&latents, &timestep(), region).unwrap();
        let error = relative_error(&part, &cut(&whole, region));
        assert!(error < 1e-5, "{region:?}: {error}");
    }
    let outside = Region {
        frames: span(3, 18, 17),
        rows: span(0, 48, 48),
        columns: span(0, 56, 56),
    };
    assert!(vae.decode_region(&latents, &timestep(), outside).is_err());
}

fn in_windows(vae: &Vae, latents: &Tensor, window: usize, halo: Halo) -> Tensor {
    let mut parts = Vec::new();
    let mut next = 0;
    decode_in_windows(vae, latents, &timestep(), window, halo, |first, part| {
        assert_eq!(first, next);
        next += part.dim(2)?;
        parts.push(part);
        Ok(())
    })
    .unwrap();
    Tensor::cat(&parts, 2).unwrap()
}

#[test]
fn windows_with_the_exact_halo_equal_the_whole() {
    let vae = vae();
    let latents = wave(&[1, 6, 23, 2, 3], 1.0, 0.23, 0.5);
    let whole = vae.decode(&latents, &timestep()).unwrap();
    let exact = Halo::exact(&vae);
    assert!(exact.before > 3 && exact.after > 3, "{exact:?}");
    for window in [1, 4, 9] {
        let error = relative_error(&in_windows(&vae, &latents, window, exact), &whole);
        assert!(error < 1e-5, "{window}: {error}");
    }
    let errors: Vec<f64> = (0..4)
        .map(|n| {
            let halo = Halo {
                before: n,
                after: n,
            };
            relative_error(&in_windows(&vae, &latents, 4, halo), &whole)
        })
        .collect();
    assert!(
        errors[0] > 1e-3 && errors[3] < errors[0] / 2.0,
        "{errors:?}"
    );
}

#[test]
fn a_stream_equals_the_whole() {
    let vae = vae();
    let video = wave(&[1, 3, 25, 16, 24], 0.8, 0.017, 0.3);
    let whole = vae.encode(&video).unwrap();
    assert_eq!(whole.dim(2).unwrap(), 7);
    for pieces in [
        vec![25],
        vec![1, 4, 20],
        vec![5, 12, 4, 4],
        vec![1, 4, 4, 4, 4, 4, 4],
    ] {
        let mut stream = vae.encoder().stream();
        let mut start = 0;
        let mut parts = Vec::new();
        for piece in &pieces {
            parts.push(
                stream
                    .push(&video.narrow(2, start, *piece).unwrap())
                    .unwrap(),
            );
            // A stream can be put away and taken up again.
            stream = vae.encoder().stream_from(stream.state().to_vec());
            start += piece;
        }
        let found = Tensor::cat(&parts, 2).unwrap();
        let error = relative_error(&found, &whole);
        assert!(error < 1e-5, "{pieces:?}: {error}");
    }
    assert!(
        vae.encoder()
            .stream()
            .push(&video.narrow(2, 0, 4).unwrap())
            .is_err()
    );
    assert!(vae.encode(&video.narrow(2, 0, 7).unwrap()).is_err());
}

/// The encoder is strictly causal: a prefix of the video gives a prefix of the latents.
#[test]
fn latents_do_not_see_later_frames() {
    let vae = vae();
    let video = wave(&[1, 3, 13, 16, 16], 0.8, 0.017, 0.3);
    let whole = vae.encode(&video).unwrap().narrow(2, 0, 2).unwrap();
    let prefix = vae.encode(&video.narrow(2, 0, 5).unwrap()).unwrap();
    let largest = flat(&(whole - prefix).unwrap())
        .into_iter()
        .fold(0.0_f32, |a, b| a.max(b.abs()));
    assert!(largest < 1e-5, "{largest}");
}
