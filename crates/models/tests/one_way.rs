//! One-way attention: context computed once against a dense pass with a mask.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{random, relative_error, wave};
use models::ltx::rope::grid_positions;
use models::ltx::{
    AudioConfig, AudioQueries, ContextGroup, Inputs, Transformer, TransformerConfig,
};

const CONTEXT: usize = 5;
const MASKED: usize = 3;

fn model(context_window: usize) -> Transformer {
    let config = TransformerConfig {
        num_layers: 3,
        num_attention_heads: 2,
        attention_head_dim: 20,
        in_channels: 8,
        out_channels: 8,
        caption_channels: 24,
        cross_attention_dim: 40,
        audio: Some(AudioConfig {
            dim: 12,
            window: 8,
            hidden_states: 1,
            channels: 6,
            feature_rate: 50.0,
        }),
        one_way_attention: true,
        context_window,
        ..TransformerConfig::default()
    };
    let weights = random(&config.shapes());
    Transformer::load(&weights, &config, DType::F32, &Device::Cpu).unwrap()
}

/// Relative error of the sparse pass against the dense one; and of the dense pass with a
/// mask against the one without, to see that the mask matters.
fn compare(latents: usize, context_window: usize, batch: usize) -> (f64, f64) {
    let device = Device::Cpu;
    let model = model(context_window);
    let references = 4;
    let seconds: Vec<f64> = (0..latents).map(|n| n as f64 * 0.16).collect();
    let cells = grid_positions(&seconds, 1, CONTEXT + MASKED, 32);
    let (masked, outside): (Vec<_>, Vec<_>) = cells
        .iter()
        .enumerate()
        .partition(|(index, _)| index % (CONTEXT + MASKED) >= CONTEXT);
    let mut context_places = grid_positions(&[-0.3], 1, references, 32);
    context_places.extend(outside.iter().map(|(_, place)| **place));
    let masked_places: Vec<_> = masked.iter().map(|(_, place)| **place).collect();
    let (front, own) = (context_places.len(), masked_places.len());

    let context = wave(&[batch, front, 8], 1.0, 0.11, 0.2);
    let tokens = wave(&[batch, own, 8], 1.0, 0.17, 0.9);
    let sound = wave(&[batch, latents, 6, 12], 0.8, 0.19, 0.1);
    let caption = model
        .caption(&wave(&[batch, 5, 24], 0.7, 0.13, 0.4), None)
        .unwrap();
    let audio = model.audio(&sound).unwrap();

    let mut groups = vec![ContextGroup {
        tokens: references,
        latent: None,
    }];
    groups.extend((0..latents as i64).map(|n| ContextGroup {
        tokens: CONTEXT,
        latent: Some(n),
    }));
    let memory = model
        .context(
            &context,
            &model.rope(&context_places).unwrap(),
            &caption,
            &groups,
        )
        .unwrap();
    let sparse = model
        .forward(&Inputs {
            latents: &tokens,
            timestep: &Tensor::full(0.7_f32, batch, &device).unwrap(),
            rope: &model.rope(&masked_places).unwrap(),
            caption: &caption,
            audio: Some((&audio, &AudioQueries::Folded { latents })),
            context: Some(&memory),
            perturbation: None,
            self_bias: None,
        })
        .unwrap();

    // Dense: one sequence, a timestep for every token, a bias for every pair.
    let latent_of = |token: usize| {
        token
            .checked_sub(references)
            .map(|place| (place / CONTEXT) as i64)
    };
    let mut bias = vec![0.0_f32; (front + own) * (front + own)];
    for query in 0..front {
        for key in 0..front + own {
            let far = match (latent_of(query), latent_of(key)) {
                (Some(a), Some(b)) => a.abs_diff(b) > context_window as u64 / 2,
                _ => false,
            };
            if key >= front || far {
                bias[query * (front + own) + key] = f32::NEG_INFINITY;
            }
        }
    }
    let bias = Tensor::from_vec(bias, (front + own, front + own), &device).unwrap();
    let timestep = Tensor::cat(
        &[
            Tensor::zeros((batch, front), DType::F32, &device).unwrap(),
            Tensor::full(0.7_f32, (batch, own), &device).unwrap(),
        ],
        1,
    )
    .unwrap();
    let hearing = (0..latents)
        .map(|n| {
            (0..MASKED)
                .map(|i| (front + n * MASKED + i) as u32)
                .collect()
        })
        .collect();
    let mut places = context_places;
    places.extend(masked_places);
    let dense = |bias: Option<&Tensor>| {
        model
            .forward(&Inputs {
                latents: &Tensor::cat(&[&context, &tokens], 1).unwrap(),
                timestep: &timestep,
                rope: &model.rope(&places).unwrap(),
                caption: &caption,
                audio: Some((&audio, &AudioQueries::Masked(Vec::clone(&hearing)))),
                context: None,
                perturbation: None,
                self_bias: bias,
            })
            .unwrap()
            .narrow(1, front, own)
            .unwrap()
    };
    let with_mask = dense(Some(&bias));
    (
        relative_error(&sparse, &with_mask),
        relative_error(&dense(None), &with_mask),
    )
}

#[test]
fn one_way_equals_dense_with_a_mask() {
    for (latents, window, batch) in [(4, 17, 1), (4, 17, 2), (9, 17, 1), (7, 5, 2)] {
        let (error, without) = compare(latents, window, batch);
        assert!(error < 1e-5, "{latents} latents, window {window}: {error}");
        assert!(
            without > 1e-3,
            "{latents} latents, window {window}: the mask changes {without}"
        );
    }
}
