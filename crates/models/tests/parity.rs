//! diffusers' networks with small random weights (`tools/parity/ltx.py`), in their own
//! layout, through the same entry points as `reword forward`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::path::Path;

use candle_core::{DType, Device};
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
        let view = part.view(DType::F32, &Device::Cpu);
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
