//! Results and gradients against those of PyTorch (`tools/parity/nn_ops.py`).

#![allow(clippy::unwrap_used, reason = "a test may stop at the first fault")]

use std::path::Path;

use candle_core::{DType, Device, Result, Tensor, Var};
use nn::ops::{self, Activation, AttentionOptions, Conv1dOptions, Conv2dOptions, Conv3dOptions};
use nn::weights::Checkpoint;

fn assert_close(what: &str, got: &Tensor, wanted: &Tensor) {
    assert_eq!(got.dims(), wanted.dims(), "{what}");
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (got, wanted) = (values(got), values(wanted));
    let size = wanted.iter().fold(1e-3_f32, |m, x| m.max(x.abs()));
    for (i, (a, b)) in got.iter().zip(&wanted).enumerate() {
        assert!(
            (a - b).abs() <= 2e-5 * size,
            "{what}: element {i} is {a}, PyTorch has {b}"
        );
    }
}

/// Runs `f` on the fixture's inputs in the order of `names`.
fn check(fixture: &str, names: &[&str], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(format!("{fixture}.safetensors"));
    let file = Checkpoint::open(path).unwrap();
    let read = |name: &str| file.tensor(name, DType::F32, &Device::Cpu).unwrap();
    let vars: Vec<Var> = names
        .iter()
        .map(|name| Var::from_tensor(&read(&format!("in.{name}"))).unwrap())
        .collect();
    let inputs: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let out = f(&inputs).unwrap();
    assert_close(fixture, &out, &read("out"));
    let untracked: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
    assert_close(
        &format!("{fixture} without gradients"),
        &f(&untracked).unwrap(),
        &read("out"),
    );
    let grads = (out * read("direction"))
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    for (name, input) in names.iter().zip(&inputs) {
        assert_close(
            &format!("{fixture}, gradient of {name}"),
            grads.get(input).unwrap(),
            &read(&format!("grad.{name}")),
        );
    }
}

#[test]
fn linear_layers() {
    let names = ["x", "w", "b"];
    for (fixture, activation) in [
        ("linear_gelu_tanh", Activation::GeluTanh),
        ("linear_gelu_erf", Activation::GeluErf),
        ("linear_silu", Activation::Silu),
    ] {
        check(fixture, &names, |t| {
            ops::linear(&t[0], &t[1], Some(&t[2]), activation)
        });
    }
}

#[test]
fn attention() {
    check("attention", &["q", "k", "v"], |t| {
        ops::attention(&t[0], &t[1], &t[2], &AttentionOptions::heads(3))
    });
}

#[test]
fn norms() {
    check("rms_norm", &["x", "w"], |t| {
        ops::rms_norm(&t[0], Some(&t[1]), 1e-5)
    });
    check("rms_norm_modulate", &["x", "scale", "shift"], |t| {
        ops::rms_norm_modulate(&t[0], &t[1], &t[2], 1e-6)
    });
    check("layer_norm", &["x", "w", "b"], |t| {
        ops::layer_norm(&t[0], Some(&t[1]), Some(&t[2]), 1e-5)
    });
    check("group_norm", &["x", "w", "b"], |t| {
        ops::group_norm(&t[0], 3, Some(&t[1]), Some(&t[2]), 1e-5)
    });
    check("pixel_norm_modulate_silu", &["x", "scale", "shift"], |t| {
        ops::pixel_norm_modulate_silu(&t[0], &t[1], &t[2], 1e-8)
    });
}

#[test]
fn convolutions() {
    let names = ["x", "w", "b"];
    check("conv3d_causal", &names, |t| {
        ops::conv3d(&t[0], &t[1], Some(&t[2]), &Conv3dOptions::causal())
    });
    check("conv3d_symmetric", &names, |t| {
        ops::conv3d(&t[0], &t[1], Some(&t[2]), &Conv3dOptions::symmetric())
    });
    let dilated = Conv1dOptions {
        dilation: 2,
        ..Conv1dOptions::new(2, 3)
    };
    check("conv1d", &names, |t| {
        ops::conv1d(&t[0], &t[1], Some(&t[2]), &dilated)
    });
    let depthwise = Conv1dOptions {
        groups: 4,
        ..Conv1dOptions::new(2, 0)
    };
    check("conv1d_depthwise", &names, |t| {
        ops::conv1d(&t[0], &t[1], Some(&t[2]), &depthwise)
    });
    check("conv2d", &names, |t| {
        ops::conv2d(&t[0], &t[1], Some(&t[2]), &Conv2dOptions::new(2, 1))
    });
}
