//! The parts of a single file against tensors that its training wrote.
//!
//! `REWORD_TINY_FIXTURES` names a folder with `weights.safetensors` and `io.safetensors`;
//! without it the test says so and passes.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use common::relative_error;
use models::audio_projection::{AudioProjection, windows};
use models::ltx::{
    AudioQueries, ContextGroup, Inputs, Transformer, TransformerConfig, Vae, VaeConfig,
};
use models::mel_encoder::MelEncoder;
use models::{ModelFile, ltx::Rope};

#[test]
fn verify_tiny_parity() {
    let Some(folder) = std::env::var_os("REWORD_TINY_FIXTURES").map(PathBuf::from) else {
        eprintln!("skipped: REWORD_TINY_FIXTURES names no folder");
        return;
    };
    let device = Device::Cpu;
    let file = ModelFile::open(folder.join("weights.safetensors")).unwrap();
    let io = ModelFile::open(folder.join("io.safetensors")).unwrap();
    let io = io.view(DType::F32, &device).unwrap();
    let get = |name: &str| io.get_any(name).unwrap();
    let json = file.config().unwrap();
    let close = |name: &str, found: &Tensor| {
        let error = relative_error(found, &get(name));
        println!("{name}: {error:.2e}");
        assert!(error < 1e-4, "{name}: relative error {error}");
    };

    let encoder = MelEncoder::load(
        &file,
        &serde_json::from_value(json["audio_encoder"].clone()).unwrap(),
        &device,
    )
    .unwrap();
    let mel = get("audio.mel");
    let features = encoder
        .forward(&mel.unsqueeze(0).unwrap())
        .unwrap()
        .squeeze(0)
        .unwrap();
    close("audio.features", &features);
    close("audio.mouth", &encoder.mouth(&features).unwrap().unwrap());

    let config = TransformerConfig::from_json(&json).unwrap();
    let audio = config.audio.clone().unwrap();
    let projection = AudioProjection::load(&file, &audio, &device).unwrap();
    let frames: Vec<u64> = [0, 0, 0, 0].into_iter().chain(1..9).collect();
    let features = get("audio.features").unsqueeze(1).unwrap();
    let found = windows(&features, (0, 50), &frames, &audio, 25.0).unwrap();
    close("projection.windows", &found);
    close("projection.tokens", &projection.forward(&found).unwrap());
    let ten: Vec<u64> = (0..10).collect();
    close(
        "projection.windows_fps30",
        &windows(&features, (0, 50), &ten, &audio, 30.0).unwrap(),
    );

    let vae = Vae::load(
        &file,
        &VaeConfig::from_json(&json).unwrap(),
        DType::F32,
        &device,
    )
    .unwrap();
    let video = get("vae.pixels");
    let mean = vae.encode(&video).unwrap();
    close("vae.mean", &mean);
    close("vae.latent", &vae.normalise(&mean).unwrap());
    let timestep = Tensor::new(&[0.05_f32], &device).unwrap();
    let latents = vae.unnormalise(&get("vae.decode_in")).unwrap();
    close("vae.decode_out", &vae.decode(&latents, &timestep).unwrap());

    let model = Transformer::load(&file, &config, DType::F32, &device).unwrap();
    let rope = |name: &str| {
        let coords = get(name).t().unwrap().unsqueeze(0).unwrap();
        Rope::of_coords(&config, &coords).unwrap()
    };
    let caption = model.empty_caption().unwrap();
    let groups = [
        ContextGroup {
            tokens: 24,
            latent: None,
        },
        ContextGroup {
            tokens: 40,
            latent: Some(0),
        },
        ContextGroup {
            tokens: 40,
            latent: Some(1),
        },
    ];
    let context = model
        .context(
            &get("dit.context_tokens"),
            &rope("dit.context_coords"),
            &caption,
            &groups,
        )
        .unwrap();
    let sound = model.audio(&get("dit.audio_tokens")).unwrap();
    let queries = AudioQueries::Folded { latents: 2 };
    for (name, audio) in [
        ("dit.velocity", Some((&sound, &queries))),
        ("dit.velocity_no_audio", None),
    ] {
        let velocity = model
            .forward(&Inputs {
                latents: &get("dit.tokens"),
                timestep: &get("dit.timestep"),
                rope: &rope("dit.coords"),
                caption: &caption,
                audio,
                context: Some(&context),
                perturbation: None,
                self_bias: None,
            })
            .unwrap();
        close(name, &velocity);
    }
}
