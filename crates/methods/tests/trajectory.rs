//! A whole sampling trajectory against diffusers' (`tools/parity/ltx.py`): eight
//! linear-quadratic Euler steps with classifier-free guidance, from the same noise.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use diffusion::schedule::next_time;
use diffusion::{Branches, Guidance, Schedule, euler};
use models::ModelFile;
use models::ltx::{Inputs, Rope, Transformer, TransformerConfig};
use nn::weights::KeyMap;

#[test]
fn verify_trajectory_parity() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models/tests/fixtures/transformer_b.safetensors");
    let file = ModelFile::open(path).unwrap();
    let names = file
        .shapes()
        .into_keys()
        .filter(|n| !n.starts_with("in.") && !n.starts_with("out."));
    let keys = names.fold(KeyMap::new(), |keys, name| keys.prefix(&name, &name));
    let config = TransformerConfig::from_json(&file.config().unwrap()).unwrap();
    let model = Transformer::load(
        &file.renamed(&keys).unwrap(),
        &config,
        DType::F32,
        &Device::Cpu,
    )
    .unwrap();
    let view = file.view(DType::F32, &Device::Cpu).unwrap();
    let get = |name: &str| view.get_any(name).unwrap();
    let rope = Rope::of_coords(&config, &get("in.coords")).unwrap();
    let (caption, mask) = (get("in.caption"), get("in.caption_mask"));
    let positive = model.caption(&caption, Some(&mask)).unwrap();
    let negative = model
        .caption(&caption.zeros_like().unwrap(), Some(&mask))
        .unwrap();
    let guidance = Guidance {
        scale: 3.0,
        ..Guidance::default()
    };
    let times = Schedule::linear_quadratic(8).times().unwrap();
    let mut x = get("in.latents");
    for t in &times {
        let timestep = Tensor::full(*t as f32, x.dim(0).unwrap(), &Device::Cpu).unwrap();
        let run = |caption| {
            model
                .forward(&Inputs {
                    latents: &x,
                    timestep: &timestep,
                    rope: &rope,
                    caption,
                    audio: None,
                    context: None,
                    perturbation: None,
                    self_bias: None,
                })
                .unwrap()
        };
        let velocity = guidance
            .combine(&Branches {
                positive: &run(&positive),
                negative: Some(&run(&negative)),
                perturbed: None,
                noised: None,
            })
            .unwrap();
        x = euler::step(&x, &velocity, *t, next_time(&times, *t)).unwrap();
    }
    let wanted = get("out.sample");
    let norm = |t: &Tensor| {
        t.sqr()
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
            .sqrt()
    };
    let moved = norm(&(&wanted - get("in.latents")).unwrap()) / norm(&wanted);
    let error = norm(&(&x - &wanted).unwrap()) / norm(&wanted);
    assert!(moved > 0.1, "the trajectory goes nowhere: {moved}");
    assert!(error < 1e-3, "{error}");
}
