//! A small LTX-Video with random weights in the official layout: one file with transformer and autoencoder, its configs
//! in the header, with `text_encoder` and `tokenizer` beside it; and a clip to try it on.
#![allow(dead_code, reason = "every test file uses its own part")]

use super::support::{self, Bench};
use diffusion::{ChaChaNoise, NoiseKey, NoiseSource, Purpose};
use media::{Clip, OpenOptions};
use models::TensorShapes;
use models::ltx::{TransformerConfig, UpsamplerConfig, VaeConfig};
use models::mel_encoder::MelEncoderConfig;
use models::t5::T5Config;
use models::whisper::WhisperConfig;
use nn::{Device, Tensor};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use units::FrameIndex;

/// Both networks' configs as the official header has them.
fn config() -> Value {
    json!({
        "transformer": {
            "num_layers": 2, "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 8, "out_channels": 8,
            "cross_attention_dim": 24, "caption_channels": 16, "causal_temporal_positioning": true,
        },
        "vae": {
            "in_channels": 3, "out_channels": 3, "latent_channels": 8, "patch_size": 4,
            "encoder_base_channels": 8, "decoder_base_channels": 8, "timestep_conditioning": true,
            "causal_decoder": false, "norm_layer": "pixel_norm", "latent_log_var": "uniform", "dims": 3,
            "encoder_blocks": [
                ["compress_space_res", {"multiplier": 2}], ["compress_time_res", {"multiplier": 2}],
                ["compress_all_res", {"multiplier": 2}], ["compress_all_res", {"multiplier": 2}],
                ["res_x", {"num_layers": 1}],
            ],
            "decoder_blocks": [
                ["res_x", {"num_layers": 1}], ["compress_all", {"residual": true, "multiplier": 2}],
                ["compress_all", {"residual": true, "multiplier": 2}],
                ["compress_all", {"residual": true, "multiplier": 2}], ["res_x", {"num_layers": 1}],
            ],
        },
        "scheduler": {"_class_name": "RectifiedFlowScheduler", "sampler": "LinearQuadratic"},
    })
}

/// Random values of a shape, small enough to keep every layer's output near its input's size.
fn values(name: &str, index: u64, shape: &[usize]) -> Tensor {
    let inputs: usize = shape.iter().skip(1).product::<usize>().max(1);
    let key = NoiseKey {
        purpose: Purpose::Start,
        index,
    };
    let noise = ChaChaNoise::new(5)
        .normal(key, shape, &Device::Cpu)
        .unwrap();
    if name.ends_with("norm.weight") {
        return noise.affine(0.1, 1.0).unwrap();
    }
    (noise * (0.7 / inputs as f64).sqrt()).unwrap()
}

fn filled(shapes: &TensorShapes, prefix: &str) -> BTreeMap<String, Tensor> {
    (0..)
        .zip(shapes)
        .map(|(index, (name, shape))| (format!("{prefix}{name}"), values(name, index, shape)))
        .collect()
}

/// A folder with the model, and a part of the sample clip that is small enough for a short test.
pub(crate) fn bench() -> Bench {
    let bench = Bench::new();
    write(&bench.path().join("model"));
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(support::sample().join("sample.mp4"))
        .args(["-t", "4.8", "-vf", "scale=192:192", "-pix_fmt", "yuv420p"])
        .arg(bench.path().join("a.mp4"))
        .status()
        .unwrap();
    assert!(made.success());
    let words = std::fs::read(support::sample().join("sample.words.json")).unwrap();
    let mut words: Value = serde_json::from_slice(&words).unwrap();
    let list = words["words"].as_array_mut().unwrap();
    list.retain(|word| word["end"].as_f64().unwrap() < 4.7);
    bench.file("a.words.json", words.to_string());
    bench
}

pub(crate) fn open(bench: &Bench, name: &str) -> Clip {
    Clip::open(bench.path().join(name), &OpenOptions::default()).unwrap()
}

/// A frame's pixels, row by row.
pub(crate) fn picture(clip: &Clip, frame: u64) -> Vec<u8> {
    let mut frames = clip
        .frames(FrameIndex(frame)..FrameIndex(frame + 1))
        .unwrap();
    frames.next().unwrap().unwrap().to_rgb8().data
}

/// The mean difference of two pictures' values.
pub(crate) fn difference(a: &[u8], b: &[u8]) -> f64 {
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

/// Writes the folder.
pub(crate) fn write(folder: &Path) {
    write_official(folder, &config());
    write_text(folder);
}

fn write_official(folder: &Path, config: &Value) {
    let tensors = networks(config);
    std::fs::create_dir_all(folder).unwrap();
    let metadata = BTreeMap::from([("config".to_owned(), config.to_string())]);
    nn::weights::save(folder.join("small.safetensors"), &tensors, &metadata).unwrap();
}

/// Both networks' tensors under the official names.
fn networks(config: &Value) -> BTreeMap<String, Tensor> {
    let transformer = TransformerConfig::from_json(config).unwrap();
    let vae = VaeConfig::from_json(config).unwrap();
    let mut tensors = filled(&transformer.shapes(), "model.diffusion_model.");
    tensors.extend(filled(&vae.shapes(), "vae."));
    let channels = vae.latent_channels;
    for (name, value) in [("mean-of-means", 0.1), ("std-of-means", 0.8)] {
        tensors.insert(
            format!("vae.per_channel_statistics.{name}"),
            (Tensor::ones(channels, nn::DType::F32, &Device::Cpu).unwrap() * value).unwrap(),
        );
    }
    tensors
}

/// The same weights twice: in `official` as one file, in `diffusers` as folders. Diffusers has a stage of residual blocks
/// after every change of size, so the autoencoder is a little larger than [`write`]'s.
pub(crate) fn write_both(official: &Path, diffusers: &Path) {
    let mut config = config();
    let rest = json!(["res_x", {"num_layers": 1}]);
    let mut encoder = vec![rest.clone()];
    for kind in ["space", "time", "all", "all"] {
        encoder.push(json!([format!("compress_{kind}_res"), {"multiplier": 2}]));
        encoder.push(rest.clone());
    }
    let mut decoder = vec![rest.clone()];
    for _ in 0..3 {
        decoder.push(json!(["compress_all", {"residual": true, "multiplier": 2}]));
        decoder.push(rest.clone());
    }
    config["vae"]["encoder_blocks"] = encoder.into();
    config["vae"]["decoder_blocks"] = decoder.into();
    write_official(official, &config);
    write_text(official);
    let mut transformer = BTreeMap::new();
    let mut vae = BTreeMap::new();
    for (name, tensor) in networks(&config) {
        if let Some(name) = name.strip_prefix("model.diffusion_model.") {
            transformer.insert(renamed_transformer(name), tensor);
        } else if let Some(name) = name.strip_prefix("vae.") {
            vae.insert(renamed_vae(name), tensor);
        }
    }
    let configs = [
        json!({
            "_class_name": "LTXVideoTransformer3DModel", "num_layers": 2, "num_attention_heads": 2,
            "attention_head_dim": 12, "in_channels": 8, "out_channels": 8, "cross_attention_dim": 24,
            "caption_channels": 16, "patch_size": 1, "patch_size_t": 1, "qk_norm": "rms_norm_across_heads",
        }),
        json!({
            "_class_name": "AutoencoderKLLTXVideo", "in_channels": 3, "out_channels": 3, "latent_channels": 8,
            "patch_size": 4, "patch_size_t": 1, "block_out_channels": [8, 16, 32, 64, 128],
            "down_block_types": vec!["LTXVideo095DownBlock3D"; 4], "spatio_temporal_scaling": [true, true, true, true],
            "layers_per_block": [1, 1, 1, 1, 1],
            "downsample_type": ["spatial", "temporal", "spatiotemporal", "spatiotemporal"],
            "decoder_block_out_channels": [16, 32, 64], "decoder_layers_per_block": [1, 1, 1, 1],
            "decoder_spatio_temporal_scaling": [true, true, true],
            "decoder_inject_noise": [false, false, false, false], "upsample_residual": [true, true, true],
            "upsample_factor": [2, 2, 2], "timestep_conditioning": true, "encoder_causal": true,
            "decoder_causal": false,
        }),
    ];
    for ((part, tensors), config) in [("transformer", transformer), ("vae", vae)]
        .into_iter()
        .zip(configs)
    {
        let folder = diffusers.join(part);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("diffusion_pytorch_model.safetensors");
        nn::weights::save(path, &tensors, &BTreeMap::new()).unwrap();
        std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    }
    write_text(diffusers);
}

/// diffusers' name (`scripts/convert_ltx_to_diffusers.py`).
fn renamed_transformer(name: &str) -> String {
    name.replace("patchify_proj", "proj_in")
        .replace("adaln_single", "time_embed")
        .replace("q_norm", "norm_q")
        .replace("k_norm", "norm_k")
}

/// The same for the autoencoder of [`write_both`].
fn renamed_vae(name: &str) -> String {
    let name = match name {
        "per_channel_statistics.mean-of-means" => "latents_mean",
        "per_channel_statistics.std-of-means" => "latents_std",
        "decoder.last_scale_shift_table" => "decoder.scale_shift_table",
        other => other,
    };
    let mut name = name
        .replace("last_time_embedder", "time_embedder")
        .replace("res_blocks", "resnets");
    for index in 0..9 {
        let (from, half) = (format!("encoder.down_blocks.{index}."), index / 2);
        let to = match index {
            8 => "encoder.mid_block.".to_owned(),
            _ if index % 2 == 0 => format!("encoder.DOWN.{half}."),
            _ => format!("encoder.DOWN.{half}.downsamplers.0."),
        };
        name = name.replace(&from, &to);
    }
    for index in 0..7 {
        let from = format!("decoder.up_blocks.{index}.");
        let to = match index {
            0 => "decoder.mid_block.".to_owned(),
            _ if index % 2 == 1 => format!("decoder.UP.{}.upsamplers.0.", index / 2),
            _ => format!("decoder.UP.{}.", index / 2 - 1),
        };
        name = name.replace(&from, &to);
    }
    name.replace("DOWN", "down_blocks")
        .replace("UP", "up_blocks")
}

fn write_text(folder: &Path) {
    let t5 = json!({
        "model_type": "t5", "vocab_size": 256, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2,
        "feed_forward_proj": "gated-gelu",
    });
    let shapes = T5Config::from_json(&t5).unwrap().shapes();
    let encoder = folder.join("text_encoder");
    std::fs::create_dir_all(&encoder).unwrap();
    nn::weights::save(
        encoder.join("model.safetensors"),
        &filled(&shapes, ""),
        &BTreeMap::new(),
    )
    .unwrap();
    std::fs::write(encoder.join("config.json"), t5.to_string()).unwrap();

    let tokenizer = folder.join("tokenizer");
    std::fs::create_dir_all(&tokenizer).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models/tests/fixtures/tokenizer/spiece.model");
    std::fs::copy(fixture, tokenizer.join("spiece.model")).unwrap();
}

/// `EditYourself`'s parts for the small model, with low-rank additions in the same file.
pub(crate) fn write_parts(path: &Path) {
    let own = json!({
        "transformer": {"audio": {"dim": 12, "window": 8, "hidden_states": 1, "channels": 6, "feature_rate": 50.0}},
        "audio_encoder": {"channels": 6, "dilations": [1, 2], "mel_bands": 80},
        "edit_yourself": {
            "crop": 256, "mask_cells": {"rows": [4, 8], "columns": [1, 7]}, "context_fill": 0.0, "references": 1,
            "block_latents": 5, "decode_timestep": 0.05, "decode_noise_scale": 0.0, "spatial_stride": 32,
            "temporal_stride": 8,
        },
        "scheduler": {"sampler": "Uniform", "steps": 1},
    });
    let mut whole = config();
    whole["transformer"]["audio"] = own["transformer"]["audio"].clone();
    let config = TransformerConfig::from_json(&whole).unwrap();
    let mut shapes = config.shapes();
    shapes.retain(|name, _| name.contains("audio_attn."));
    shapes.insert("empty_caption".to_owned(), vec![1, config.caption_channels]);
    for (name, shape) in models::audio_projection::shapes(config.audio.as_ref().unwrap()) {
        shapes.insert(format!("audio_projection.{name}"), shape);
    }
    let mut tensors = filled(&shapes, "model.diffusion_model.");
    let encoder: MelEncoderConfig = serde_json::from_value(own["audio_encoder"].clone()).unwrap();
    tensors.extend(filled(&encoder.shapes(), "audio_encoder."));
    tensors.extend(low_rank(24));
    let metadata = BTreeMap::from([("config".to_owned(), own.to_string())]);
    nn::weights::save(path, &tensors, &metadata).unwrap();
}

/// The parts of [`write_parts`] for whole pictures, hearing by a small Whisper.
pub(crate) fn write_whole_parts(path: &Path) {
    write_whole_parts_for(path, 2, 12);
}

/// The same for a transformer with so many blocks and a width of twice `head`.
pub(crate) fn write_whole_parts_for(path: &Path, blocks: usize, head: usize) {
    let own = json!({
        "transformer": {"audio": {"dim": 12, "window": 8, "hidden_states": 2, "channels": 8, "feature_rate": 50.0}},
        "audio_encoder": {
            "d_model": 8, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 12, "num_mel_bins": 80,
            "max_source_positions": 100,
        },
        "edit_yourself": {"picture": "whole", "references": 2},
        "scheduler": {"sampler": "Uniform", "steps": 2},
    });
    let mut whole = config();
    whole["transformer"]["audio"] = own["transformer"]["audio"].clone();
    whole["transformer"]["num_layers"] = blocks.into();
    whole["transformer"]["attention_head_dim"] = head.into();
    whole["transformer"]["cross_attention_dim"] = (2 * head).into();
    let config = TransformerConfig::from_json(&whole).unwrap();
    let mut shapes = config.shapes();
    shapes.retain(|name, _| name.contains("audio_attn."));
    for (name, shape) in models::audio_projection::shapes(config.audio.as_ref().unwrap()) {
        shapes.insert(format!("audio_projection.{name}"), shape);
    }
    let mut tensors = filled(&shapes, "model.diffusion_model.");
    let encoder = WhisperConfig::from_json(&own["audio_encoder"]).unwrap();
    tensors.extend(filled(&encoder.shapes(), "audio_encoder."));
    tensors.extend(low_rank(2 * head));
    let metadata = BTreeMap::from([("config".to_owned(), own.to_string())]);
    nn::weights::save(path, &tensors, &metadata).unwrap();
}

/// A latent upsampler beside the small model.
pub(crate) fn write_upsampler(folder: &Path) {
    let config = UpsamplerConfig {
        in_channels: 8,
        mid_channels: 32,
        num_blocks_per_stage: 1,
        ..UpsamplerConfig::default()
    };
    let folder = folder.join("latent_upsampler");
    std::fs::create_dir_all(&folder).unwrap();
    let text = serde_json::to_string(&config).unwrap();
    std::fs::write(folder.join("config.json"), text).unwrap();
    let path = folder.join("model.safetensors");
    nn::weights::save(path, &filled(&config.shapes(), ""), &BTreeMap::new()).unwrap();
}

/// An adapter for the small model's queries, in PEFT's keys.
pub(crate) fn write_adapter(path: &Path, width: usize) {
    nn::weights::save(path, &low_rank(width), &BTreeMap::new()).unwrap();
}

fn low_rank(width: usize) -> BTreeMap<String, Tensor> {
    let mut tensors = BTreeMap::new();
    for (index, part) in (0..).zip(["lora_A", "lora_B"]) {
        let shape = if part == "lora_A" {
            [4, width]
        } else {
            [width, 4]
        };
        for block in 0..2 {
            tensors.insert(
                format!("transformer.transformer_blocks.{block}.attn1.to_q.{part}.weight"),
                values("", 900 + 2 * index + block, &shape),
            );
        }
    }
    tensors
}
