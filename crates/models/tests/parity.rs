//! diffusers' and transformers' networks with small random weights (`tools/parity/ltx.py`,
//! `tools/parity/text_and_sound.py`), in their own layout, through the same entry points as
//! `reword forward`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use common::relative_error;
use models::forward::{Call, Tensors, find};
use models::{ModelFile, TensorShapes};
use nn::weights::KeyMap;

/// The file's weights, inputs and wanted outputs.
fn open(name: &str) -> (ModelFile, Tensors, Tensors) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    let file = ModelFile::open(path).unwrap();
    let part = |prefix: &str| -> Tensors {
        let part = file.renamed(&KeyMap::new().prefix(prefix, "")).unwrap();
        let view = part.view(DType::F32, &Device::Cpu).unwrap();
        let shapes: TensorShapes = part.shapes();
        shapes
            .into_keys()
            .map(|name| (name.clone(), view.get_any(&name).unwrap()))
            .collect()
    };
    let (inputs, outputs) = (part("in."), part("out."));
    let weights = file
        .shapes()
        .into_keys()
        .filter(|n| !n.starts_with("in.") && !n.starts_with("out."));
    let keys = weights.fold(KeyMap::new(), |keys, name| keys.prefix(&name, &name));
    (file.renamed(&keys).unwrap(), inputs, outputs)
}

/// Runs a network; gives the relative error of each of its outputs.
fn check(network: &str, fixture: &str, dtype: DType, bound: f64) {
    let (weights, inputs, wanted) = open(fixture);
    let config = weights.config().unwrap();
    let found = find(network)
        .unwrap()
        .run(&Call {
            weights: &weights,
            config: Some(&config),
            preset: None,
            inputs: &inputs,
            dtype,
            device: &Device::Cpu,
        })
        .unwrap();
    assert!(!found.is_empty());
    for (name, tensor) in found {
        let error = relative_error(&tensor, &wanted[&name]);
        println!("{network} {fixture} {dtype:?} {name}: {error:.2e}");
        assert!(
            error < bound,
            "{network} {fixture} {dtype:?} {name}: {error}"
        );
    }
}

#[test]
fn verify_transformer_parity_with_diffusers() {
    for fixture in ["transformer_a.safetensors", "transformer_b.safetensors"] {
        check("ltx-transformer", fixture, DType::F32, 1e-4);
        check("ltx-transformer", fixture, DType::BF16, 2e-2);
    }
}

#[test]
fn verify_vae_parity_with_diffusers() {
    for fixture in ["vae_a.safetensors", "vae_b.safetensors"] {
        for network in ["ltx-vae-encode", "ltx-vae-decode"] {
            check(network, fixture, DType::F32, 1e-4);
            check(network, fixture, DType::BF16, 2e-2);
        }
    }
}

#[test]
fn verify_t5_parity_with_transformers() {
    for fixture in [
        "t5_gated.safetensors",
        "t5_relu.safetensors",
        "t5_umt5.safetensors",
    ] {
        check("t5-encoder", fixture, DType::F32, 1e-5);
        check("t5-encoder", fixture, DType::BF16, 2e-2);
    }
}

#[test]
fn verify_whisper_parity_with_transformers() {
    for fixture in ["whisper_a.safetensors", "whisper_b.safetensors"] {
        check("whisper-encoder", fixture, DType::F32, 1e-5);
        check("whisper-encoder", fixture, DType::BF16, 2e-2);
    }
}

#[test]
fn verify_upsampler_parity_with_diffusers() {
    for fixture in [
        "upsampler_space.safetensors",
        "upsampler_time.safetensors",
        "upsampler_both.safetensors",
    ] {
        check("ltx-upsampler", fixture, DType::F32, 1e-5);
        check("ltx-upsampler", fixture, DType::BF16, 2e-2);
    }
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let (weights, inputs, _) = open("transformer_a.safetensors");
    let mut config = weights.config().unwrap();
    config["num_layers"] = 3.into();
    config["in_channels"] = 7.into();
    let error = find("ltx-transformer")
        .unwrap()
        .run(&Call {
            weights: &weights,
            config: Some(&config),
            preset: None,
            inputs: &inputs,
            dtype: DType::F32,
            device: &Device::Cpu,
        })
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("'patchify_proj.weight' is [30, 6], wanted [30, 7]"),
        "{error}"
    );
    assert!(error.contains("transformer_blocks.2"), "{error}");
    assert!(error.ends_with("more"), "{error}");
}

/// The weights of a fixture with `change` applied to their names.
fn renamed(fixture: &str, change: impl Fn(&str) -> Option<String>) -> (ModelFile, Tensors) {
    let (weights, _, _) = open(fixture);
    let view = weights.view(DType::F32, &Device::Cpu).unwrap();
    let tensors: Tensors = weights
        .shapes()
        .into_keys()
        .filter_map(|name| Some((change(&name)?, view.get_any(&name).unwrap())))
        .collect();
    let file = ModelFile::from_tensors("renamed", tensors.clone(), BTreeMap::new());
    (file, tensors)
}

/// Runs a network without a config, so that the shapes must tell it.
fn check_detected(network: &str, fixture: &str, weights: &ModelFile, bound: f64) {
    let (_, inputs, wanted) = open(fixture);
    let found = find(network)
        .unwrap()
        .run(&Call {
            weights,
            config: None,
            preset: None,
            inputs: &inputs,
            dtype: DType::F32,
            device: &Device::Cpu,
        })
        .unwrap();
    for (name, tensor) in found {
        let error = relative_error(&tensor, &wanted[&name]);
        assert!(error < bound, "{network} {fixture} {name}: {error}");
    }
}

#[test]
fn names_of_other_layouts_are_read() {
    // An encoder saved alone, and one inside of a pipeline with both copies of its table.
    let (alone, _) = renamed("t5_gated.safetensors", |name| {
        Some(
            name.strip_prefix("encoder.")
                .unwrap_or(name)
                .replace("shared", "embed_tokens"),
        )
    });
    check_detected("t5-encoder", "t5_gated.safetensors", &alone, 1e-5);
    let (inside, tensors) = renamed("t5_gated.safetensors", |name| {
        Some(format!("text_encoder.{name}"))
    });
    check_detected("t5-encoder", "t5_gated.safetensors", &inside, 1e-5);
    let mut both = tensors;
    both.insert(
        "text_encoder.encoder.embed_tokens.weight".to_owned(),
        both["text_encoder.shared.weight"].clone(),
    );
    let both = ModelFile::from_tensors("both", both, BTreeMap::new());
    check_detected("t5-encoder", "t5_gated.safetensors", &both, 1e-5);
}

/// llama.cpp's names for transformers'.
fn llama_name(name: &str) -> String {
    [
        ("encoder.block.", "enc.blk."),
        (
            "layer.0.SelfAttention.relative_attention_bias",
            "attn_rel_b",
        ),
        ("layer.0.SelfAttention.", "attn_"),
        ("layer.0.layer_norm", "attn_norm"),
        ("layer.1.layer_norm", "ffn_norm"),
        ("layer.1.DenseReluDense.wi_0", "ffn_gate"),
        ("layer.1.DenseReluDense.wi_1", "ffn_up"),
        ("layer.1.DenseReluDense.wo", "ffn_down"),
        ("encoder.final_layer_norm", "enc.output_norm"),
        ("shared", "token_embd"),
    ]
    .iter()
    .fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

/// Quantised files give what their tensors give after being made floats by hand.
#[test]
fn verify_t5_gguf_parity() {
    use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
    let json = serde_json::json!({
        "vocab_size": 40, "d_model": 32, "d_kv": 16, "num_heads": 4, "d_ff": 96, "num_layers": 2,
        "feed_forward_proj": "gated-gelu",
    });
    let shapes = models::t5::T5Config::from_json(&json).unwrap().shapes();
    let weights = common::random(&shapes);
    let view = weights.view(DType::F32, &Device::Cpu).unwrap();
    let ids = Tensor::from_vec(
        (0..14_u32).map(|i| i * 7 % 40).collect(),
        (2, 7),
        &Device::Cpu,
    );
    let inputs = Tensors::from([("input_ids".to_owned(), ids.unwrap())]);
    let run = |weights: &ModelFile| {
        let call = Call {
            weights,
            config: None,
            preset: None,
            inputs: &inputs,
            dtype: DType::F32,
            device: &Device::Cpu,
        };
        find("t5-encoder").unwrap().run(&call).unwrap()["hidden"].clone()
    };
    let folder = tempfile::tempdir().unwrap();
    for (dtype, bound) in [
        (GgmlDType::Q8_0, 0.05),
        (GgmlDType::Q5_0, 0.5),
        (GgmlDType::Q5_1, 0.5),
        (GgmlDType::BF16, 0.02),
    ] {
        let (mut stored, mut floats) = (Vec::new(), Tensors::new());
        for (name, shape) in &shapes {
            // Norms and the table of distances stay floats, as in the published files.
            let dtype = if shape.len() < 2 || name.contains("bias") {
                GgmlDType::F32
            } else {
                dtype
            };
            let tensor = QTensor::quantize(&view.get_any(name).unwrap(), dtype).unwrap();
            floats.insert(name.clone(), tensor.dequantize(&Device::Cpu).unwrap());
            stored.push((llama_name(name), tensor));
        }
        let path = folder.path().join(format!("{dtype:?}.gguf"));
        let listed: Vec<_> = stored.iter().map(|(name, t)| (name.as_str(), t)).collect();
        gguf_file::write(&mut std::fs::File::create(&path).unwrap(), &[], &listed).unwrap();
        let file = ModelFile::open(path).unwrap();
        assert_eq!(file.stored("token_embd.weight"), Some(format!("{dtype:?}")));
        let twin = ModelFile::from_tensors("floats", floats, BTreeMap::new());
        assert_eq!(
            common::flat(&run(&file)),
            common::flat(&run(&twin)),
            "{dtype:?}"
        );
        let error = relative_error(&run(&file), &run(&weights));
        assert!(error < bound, "{dtype:?}: {error}");
    }
    let cut = folder.path().join("cut.gguf");
    std::fs::write(&cut, b"GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f").unwrap();
    let error = ModelFile::open(cut).unwrap_err().to_string();
    assert!(error.contains("cut.gguf: bad GGUF file"), "{error}");
}
