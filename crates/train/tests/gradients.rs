//! Gradients of whole networks against PyTorch's autograd (`tools/parity/train.py`).

#![allow(clippy::unwrap_used, reason = "a test may stop at the first fault")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use common::{Fixture, assert_gradients, distance, values};
use models::ModelFile;
use models::ltx::{Vae, VaeConfig};
use train::Parameters;
use train::conditions::Conditions;
use train::gradients::Gradients;
use train::loss;
use train::pattern::Patterns;
use train::stage::{Network, Noised, Window};

fn parameters(fixture: &Fixture) -> Parameters {
    let metadata = BTreeMap::from([("config".to_owned(), fixture.config())]);
    let file = ModelFile::from_tensors("fixture", fixture.under("weight."), metadata);
    let freeze = Patterns::of(
        ["*per_channel_statistics*", "*timestep_scale_multiplier"]
            .into_iter()
            .filter(|p| {
                Patterns::of([*p])
                    .idle(file.shapes().keys().map(String::as_str))
                    .is_none()
            }),
    );
    Parameters::of_file(&file, &Patterns::of(["*"]), &freeze).unwrap()
}

#[test]
fn verify_transformer_gradient_parity() {
    let fixture = Fixture::open("transformer_gradients");
    let parameters = parameters(&fixture);
    for checkpointing in [false, true] {
        let loss = || transformer_loss(&fixture, &parameters, checkpointing);
        assert_parity(&fixture, &parameters, loss);
    }
}

/// By candle's own backward pass and by the tape's, in which blocks may be run again.
fn assert_parity(fixture: &Fixture, parameters: &Parameters, loss: impl Fn() -> Tensor) {
    let (total, tape) = nn::tape::recorded(&loss);
    let taped = tape.backward(&total).unwrap();
    for store in [loss().backward().unwrap(), taped] {
        let gradients = Gradients::take(&store, parameters).unwrap();
        assert_gradients(&gradients, &fixture.under("grad."), 1e-3);
    }
}

fn transformer_loss(fixture: &Fixture, parameters: &Parameters, checkpointing: bool) -> Tensor {
    let mut network =
        Network::of_parameters(parameters, &parameters.tracked(), None, DType::F32).unwrap();
    network.transformer.set_checkpointing(checkpointing);
    let (context, references) = (fixture.get("in.context"), fixture.get("in.references"));
    let mel = fixture.get("in.mel");
    let (count, first, channels) = (3, 2, 6);
    let outside = Tensor::new(network.cells.outside.as_slice(), &Device::Cpu).unwrap();
    let windows: Vec<Window> = (0..2)
        .map(|n| {
            let empty = Tensor::zeros((count, 64, channels), DType::F32, &Device::Cpu).unwrap();
            let own = context.get(n).unwrap();
            Window {
                context: empty.index_add(&outside, &own, 1).unwrap(),
                clean: empty,
                references: references.get(n).unwrap(),
                first,
                rate: 25.0,
                mel: Arc::new(values(&mel.get(n).unwrap())),
                sound: (first..first + count)
                    .map(|n| network.cells.sound_frames(n))
                    .collect(),
                readings: None,
                openings: None,
                taught: None,
            }
        })
        .collect();
    let heard: Vec<_> = windows.iter().map(|w| network.hear(w).unwrap()).collect();
    let (clean, noise, t) = (
        fixture.get("in.clean"),
        fixture.get("in.noise"),
        fixture.get("in.t"),
    );
    let times = t.reshape((4, 1, 1)).unwrap();
    let noised = Noised {
        window: vec![0, 0, 1, 1],
        tokens: train::noise::noised(&clean, &noise, &times).unwrap(),
        times: values(&t).iter().map(|t| f64::from(*t)).collect(),
        sound: vec![true, true, false, true],
    };
    let conditions = Conditions {
        audio: true,
        first_frame: false,
        video: true,
        identity: true,
        text: true,
    };
    let velocity = network
        .velocities(&windows, &heard, conditions, &noised)
        .unwrap();
    let d = distance(&values(&velocity), &values(&fixture.get("velocity")), 0.0);
    assert!(d < 1e-5, "velocities differ by {d}");

    let target = train::noise::velocity(&clean, &noise).unwrap();
    let flow = loss::masked_flow(&velocity, &target, None).unwrap();
    let estimate = loss::single_step(&clean, &target, &velocity, &times, 1.0).unwrap();
    let single = (estimate * &noise).unwrap().mean_all().unwrap();
    let features = network.encoder.forward(&mel).unwrap();
    let head = network.encoder.mouth(&features).unwrap().unwrap();
    let head = head.sqr().unwrap().mean_all().unwrap();
    let total = ((flow + (single * 0.3).unwrap()).unwrap() + (head * 0.1).unwrap()).unwrap();
    let found = f64::from(total.to_scalar::<f32>().unwrap());
    assert!((found / fixture.number("loss") - 1.0).abs() < 1e-5);
    total
}

#[test]
fn verify_vae_gradient_parity() {
    let fixture = Fixture::open("vae_gradients");
    let parameters = parameters(&fixture);
    assert_parity(&fixture, &parameters, || vae_loss(&fixture, &parameters));
}

fn vae_loss(fixture: &Fixture, parameters: &Parameters) -> Tensor {
    let file = parameters.file("fixture", &parameters.tracked());
    let json = file.config().unwrap();
    let vae = Vae::load(
        &file,
        &VaeConfig::from_json(&json).unwrap(),
        DType::F32,
        &Device::Cpu,
    )
    .unwrap();
    let video = fixture.get("in.video");
    let (mean, log_variance) = vae.posterior(&video).unwrap();
    for (name, found) in [("mean", &mean), ("log_variance", &log_variance)] {
        let d = distance(&values(found), &values(&fixture.get(name)), 0.0);
        assert!(d < 1e-5, "{name} differs by {d}");
    }
    let z = loss::posterior_sample(&mean, &log_variance, &fixture.get("in.noise")).unwrap();
    let timestep = Tensor::full(0.05_f32, 2, &Device::Cpu).unwrap();
    let made = vae.decode(&z, &timestep).unwrap();
    let d = distance(&values(&made), &values(&fixture.get("made")), 0.0);
    assert!(d < 1e-5, "pictures differ by {d}");

    let parts = loss::Reconstruction {
        detail: 0.3,
        ..loss::Reconstruction::default()
    };
    let kl = loss::kl_divergence(&mean, &log_variance).unwrap();
    let found = f64::from(kl.to_scalar::<f32>().unwrap());
    assert!((found / fixture.number("kl") - 1.0).abs() < 1e-5);
    let total = (parts
        .loss(&made, &video, &fixture.get("in.weight"), None)
        .unwrap()
        + (kl * 0.01).unwrap())
    .unwrap();
    let found = f64::from(total.to_scalar::<f32>().unwrap());
    assert!((found / fixture.number("loss") - 1.0).abs() < 1e-5);
    total
}
