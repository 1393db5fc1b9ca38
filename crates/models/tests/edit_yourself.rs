//! EditYourself's parts against their second writing (`tools/parity/edit_yourself.py`),
//! in which one-way attention is a dense mask.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use common::relative_error;
use models::ModelFile;
use models::forward::{Call, find};
use models::ltx::{AudioQueries, ContextGroup, Inputs, Rope, Transformer, TransformerConfig};

struct Fixture {
    file: ModelFile,
}

impl Fixture {
    fn open() -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/edit_yourself.safetensors");
        Self {
            file: ModelFile::open(path).unwrap(),
        }
    }

    fn get(&self, name: &str) -> Tensor {
        self.file
            .view(DType::F32, &Device::Cpu)
            .unwrap()
            .get_any(name)
            .unwrap()
    }

    fn forward(&self, network: &str, inputs: &BTreeMap<String, Tensor>, output: &str) {
        let found = find(network)
            .unwrap()
            .run(&Call {
                weights: &self.file,
                config: None,
                preset: None,
                inputs,
                dtype: DType::F32,
                device: &Device::Cpu,
            })
            .unwrap();
        let error = relative_error(&found[output], &self.get(&format!("out.{output}")));
        assert!(error < 1e-5, "{network}: {error}");
    }
}

#[test]
fn verify_mel_encoder_parity() {
    let fixture = Fixture::open();
    let inputs = BTreeMap::from([("mel".to_owned(), fixture.get("in.mel"))]);
    fixture.forward("mel-encoder", &inputs, "features");
}

#[test]
fn verify_audio_projection_parity() {
    let fixture = Fixture::open();
    let number = |value: f64| Tensor::new(value, &Device::Cpu).unwrap();
    let inputs = BTreeMap::from([
        ("features".to_owned(), fixture.get("in.features")),
        ("feature_rate".to_owned(), number(50.0)),
        ("frame_rate".to_owned(), number(29.97)),
        ("frames".to_owned(), number(9.0)),
    ]);
    fixture.forward("audio-projection", &inputs, "tokens");
}

#[test]
fn verify_one_way_transformer_parity() {
    let fixture = Fixture::open();
    let config = TransformerConfig::from_json(&fixture.file.config().unwrap()).unwrap();
    let device = Device::Cpu;
    let model = Transformer::load(&fixture.file, &config, DType::F32, &device).unwrap();
    let (references, outside, latents) = (2, 5, 4);
    let front = references + outside * latents;
    let rope = |start: usize, count: usize| {
        let coords = fixture.get("in.coords").narrow(0, start, count).unwrap();
        Rope::of_coords(&config, &coords.t().unwrap().unsqueeze(0).unwrap()).unwrap()
    };
    let mut groups = vec![ContextGroup {
        tokens: references,
        latent: None,
    }];
    groups.extend((0..latents as i64).map(|n| ContextGroup {
        tokens: outside,
        latent: Some(n),
    }));
    let caption = model.empty_caption().unwrap();
    let context = model
        .context(
            &fixture.get("in.context"),
            &rope(0, front),
            &caption,
            &groups,
        )
        .unwrap();
    let sound = model.audio(&fixture.get("in.sound")).unwrap();
    let tokens = fixture.get("in.latents");
    let run = |heard: bool| {
        let velocity = model
            .forward(&Inputs {
                latents: &tokens,
                timestep: &fixture.get("in.timestep"),
                rope: &rope(front, tokens.dim(1).unwrap()),
                caption: &caption,
                audio: heard.then_some((&sound, &AudioQueries::Folded { latents })),
                context: Some(&context),
                perturbation: None,
                self_bias: None,
            })
            .unwrap();
        relative_error(&velocity, &fixture.get("out.velocity"))
    };
    assert!(run(true) < 1e-5, "{}", run(true));
    assert!(run(false) > 1e-2, "the sound changes {}", run(false));
}
