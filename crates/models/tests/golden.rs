//! Golden values of the official code (Lightricks/LTX-Video, on the CPU in `f32`): transformer and
//! autoencoder with weights by formula.
#![allow(clippy::unreadable_literal, reason = "printed by the official code")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{Golden, by_formula, wave};
use models::ltx::rope::{grid_positions, latent_seconds};
use models::ltx::vae::Stage;
use models::ltx::{Inputs, Perturbation, SkipMode, Transformer, TransformerConfig, Vae, VaeConfig};

fn transformer() -> Transformer {
    let config = TransformerConfig {
        num_layers: 3,
        num_attention_heads: 2,
        attention_head_dim: 20,
        in_channels: 8,
        out_channels: 8,
        caption_channels: 24,
        cross_attention_dim: 40,
        causal_temporal_positioning: true,
        ..TransformerConfig::default()
    };
    let shapes = config.shapes();
    assert_eq!(shapes.len(), 90);
    Transformer::load(
        &by_formula(&shapes, 0.08),
        &config,
        DType::F32,
        &Device::Cpu,
    )
    .unwrap()
}

fn run(model: &Transformer, timestep: &Tensor, perturbation: Option<&Perturbation>) -> Tensor {
    let mask = Tensor::new(&[[1.0_f32, 1.0, 1.0, 0.0, 0.0]], &Device::Cpu).unwrap();
    let caption = model
        .caption(&wave(&[1, 5, 24], 0.7, 0.13, 0.4), Some(&mask))
        .unwrap();
    let seconds = [0, 1].map(|n| latent_seconds(n, 8, 25.0, true));
    let rope = model.rope(&grid_positions(&seconds, 2, 3, 32)).unwrap();
    model
        .forward(&Inputs {
            latents: &wave(&[1, 12, 8], 1.0, 0.11, 0.2),
            timestep,
            rope: &rope,
            caption: &caption,
            audio: None,
            context: None,
            perturbation,
            self_bias: None,
        })
        .unwrap()
}

#[test]
fn verify_transformer_parity() {
    let model = transformer();
    let whole = Tensor::new(&[0.6_f32], &Device::Cpu).unwrap();
    Golden {
        first: [
            0.698454, 0.153968, -0.664930, 0.833365, -0.268582, -0.500059, 0.797040, -0.645786,
        ],
        last: [-0.166073, -0.599922, 0.817433, -0.571021],
        mean: 0.0524705,
        deviation: 0.6136768,
    }
    .check("A", &run(&model, &whole, None), 5e-6);
    let mut timesteps = [0.0_f32; 12];
    timesteps[6..].fill(0.6);
    let tokens = Tensor::new(&[timesteps], &Device::Cpu).unwrap();
    Golden {
        first: [
            0.718260, 0.141232, -0.669061, 0.851185, -0.286383, -0.495972, 0.809811, -0.665591,
        ],
        last: [-0.166075, -0.599919, 0.817432, -0.571022],
        mean: 0.0523687,
        deviation: 0.6166911,
    }
    .check("B", &run(&model, &tokens, None), 5e-6);
    for (mode, golden) in [
        (
            SkipMode::AttentionValues,
            Golden {
                first: [
                    0.718190, 0.141357, -0.669143, 0.851163, -0.286272, -0.496086, 0.809840,
                    -0.665513,
                ],
                last: [-0.166028, -0.599958, 0.817431, -0.570983],
                mean: 0.0523690,
                deviation: 0.6166889,
            },
        ),
        (
            SkipMode::AttentionSkip,
            Golden {
                first: [
                    0.732500, 0.112538, -0.647987, 0.853944, -0.310852, -0.468617, 0.800613,
                    -0.681626,
                ],
                last: [-0.183867, -0.582415, 0.813682, -0.583911],
                mean: 0.0508860,
                deviation: 0.6141999,
            },
        ),
        (
            SkipMode::TransformerBlock,
            Golden {
                first: [
                    0.491060, 0.210453, -0.527050, 0.607192, -0.128109, -0.446766, 0.590980,
                    -0.445480,
                ],
                last: [0.011390, -0.561752, 0.592993, -0.332972],
                mean: 0.0467878,
                deviation: 0.4636389,
            },
        ),
    ] {
        let perturbation = Perturbation {
            mode,
            layers: vec![1],
        };
        golden.check(
            &format!("{mode:?}"),
            &run(&model, &tokens, Some(&perturbation)),
            5e-6,
        );
    }
}

fn vae() -> Vae {
    let compress = |factors, from, to| Stage::Compress {
        factors,
        from,
        to,
        residual: true,
    };
    let residual = Stage::Residual { layers: 1 };
    let config = VaeConfig {
        latent_channels: 4,
        encoder_base_channels: 8,
        decoder_base_channels: 8,
        encoder_blocks: vec![
            residual,
            compress([1, 2, 2], 8, 16),
            residual,
            compress([2, 1, 1], 16, 32),
            residual,
            compress([2, 2, 2], 32, 64),
            residual,
            compress([2, 2, 2], 64, 128),
            residual,
        ],
        decoder_blocks: vec![
            residual,
            compress([2, 2, 2], 64, 32),
            residual,
            compress([2, 2, 2], 32, 16),
            residual,
            compress([2, 2, 2], 16, 8),
            residual,
        ],
        ..VaeConfig::ltx()
    };
    let shapes = config.shapes();
    assert_eq!(shapes.len(), 84);
    Vae::load(
        &by_formula(&shapes, 0.05),
        &config,
        DType::F32,
        &Device::Cpu,
    )
    .unwrap()
}

#[test]
fn verify_vae_encoder_parity() {
    let mean = vae()
        .encode(&wave(&[1, 3, 9, 64, 96], 0.8, 0.017, 0.3))
        .unwrap();
    assert_eq!(mean.dims(), [1, 4, 2, 2, 3]);
    // The sheet's moments are the four means and the log variance four times; its first
    // values are means.
    let wanted = [
        -0.114088, -0.147067, -0.113667, -0.195851, -0.227100, -0.154025, -0.065173, -0.015363,
    ];
    for (found, wanted) in common::flat(&mean).into_iter().zip(wanted) {
        assert!((found - wanted).abs() < 3e-6, "{found}, wanted {wanted}");
    }
}

#[test]
fn verify_vae_decoder_parity() {
    let timestep = Tensor::new(&[0.05_f32], &Device::Cpu).unwrap();
    let video = vae()
        .decode(&wave(&[1, 4, 2, 2, 3], 1.0, 0.23, 0.5), &timestep)
        .unwrap();
    assert_eq!(video.dims(), [1, 3, 9, 64, 96]);
    Golden {
        first: [
            0.005342, -0.058630, -0.029141, 0.005358, 0.027479, -0.019579, 0.005200, 0.015975,
        ],
        last: [-0.003340, -0.014553, 0.032595, 0.028075],
        mean: -0.000597,
        deviation: 0.1324955,
    }
    .check("decode", &video, 3e-6);
}

/// Values of diffusers 0.42 (`get_timestep_embedding`, 256 wide, cosines first): its angles are rounded to `f32`, which
/// moves them by up to 5e-5 at a thousand.
#[test]
fn sinusoids_round_as_the_reference_does() {
    let places = [0, 1, 2, 5, 17, 40, 127, 128, 129, 131, 150, 255];
    let times = Tensor::new(&[987.6543_f32, 312.8371], &Device::Cpu).unwrap();
    let found = nn::layers::sinusoid(&times, 256).unwrap();
    let found = found.to_vec2::<f32>().unwrap();
    let wanted = [
        [
            0.3677541, -0.1668607, 0.7247157, -0.3562537, -0.0423763, 0.5328827, 0.9943731,
            0.9299231, 0.9859805, -0.8774655, 0.9830189, 0.1059349,
        ],
        [
            0.2460745, -0.4970031, 0.7459784, -0.0334017, -0.5790459, 0.3082582, 0.9994349,
            -0.9692509, 0.8677487, 0.6960694, 0.9871048, 0.0336114,
        ],
    ];
    for (row, wanted) in found.iter().zip(wanted) {
        for (place, wanted) in places.iter().zip(wanted) {
            let value: f32 = row[*place];
            assert!(
                (value - wanted).abs() < 1e-6,
                "{place}: {value}, wanted {wanted}"
            );
        }
    }
}
