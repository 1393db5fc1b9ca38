//! Adapters against PEFT on diffusers' transformer (`tools/parity/lora.py`), in every key
//! form, alone and together, beside the weights and merged into them.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use common::{flat, relative_error};
use models::lora::{LoraFile, LoraStack, LoraUse, TimeRange};
use models::ltx::{Inputs, Rope, Transformer, TransformerConfig};
use models::{ModelError, ModelFile};
use nn::weights::KeyMap;
use serde_json::{Value, json};

struct Fixture {
    file: ModelFile,
    config: TransformerConfig,
}

impl Fixture {
    fn open() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lora.safetensors");
        let file = ModelFile::open(path).unwrap();
        let config = TransformerConfig::from_json(&file.config().unwrap()).unwrap();
        Self { file, config }
    }

    fn get(&self, name: &str) -> Tensor {
        let view = self.file.view(DType::F32, &Device::Cpu).unwrap();
        view.get_any(name).unwrap()
    }

    fn model(&self) -> Transformer {
        let other = ["in.", "out.", "a.", "b."];
        let names = self.file.shapes().into_keys();
        let keys = names
            .filter(|name| !other.iter().any(|prefix| name.starts_with(prefix)))
            .fold(KeyMap::new(), |keys, name| keys.prefix(&name, &name));
        let file = self.file.renamed(&keys).unwrap();
        Transformer::load(&file, &self.config, DType::F32, &Device::Cpu).unwrap()
    }

    fn run(&self, model: &Transformer) -> Tensor {
        let mask = self.get("in.caption_mask");
        model
            .forward(&Inputs {
                latents: &self.get("in.latents"),
                timestep: &self.get("in.timestep"),
                rope: &Rope::of_coords(&self.config, &self.get("in.coords")).unwrap(),
                caption: &model.caption(&self.get("in.caption"), Some(&mask)).unwrap(),
                audio: None,
                context: None,
                perturbation: None,
                self_bias: None,
            })
            .unwrap()
    }

    /// An adapter with its names changed, alpha in the header as diffusers keeps it.
    fn adapter(&self, which: &str, change: impl Fn(&str) -> String) -> LoraFile {
        let all: Value = serde_json::from_str(self.file.metadata("adapters").unwrap()).unwrap();
        let settings = all[which].as_object().unwrap();
        let settings: serde_json::Map<String, Value> = settings
            .iter()
            .map(|(key, value)| (format!("transformer.{key}"), value.clone()))
            .collect();
        let metadata = BTreeMap::from([(
            "lora_adapter_metadata".to_owned(),
            Value::Object(settings).to_string(),
        )]);
        LoraFile::from_file(&ModelFile::from_tensors(
            which,
            self.tensors(which, change),
            metadata,
        ))
        .unwrap()
    }

    fn tensors(&self, which: &str, change: impl Fn(&str) -> String) -> BTreeMap<String, Tensor> {
        let prefix = format!("{which}.");
        let names = self.file.shapes().into_keys();
        names
            .filter_map(|name| {
                let rest = name.strip_prefix(&prefix)?;
                Some((change(rest), self.get(&name)))
            })
            .collect()
    }
}

fn with(strength: f64) -> LoraUse {
    LoraUse {
        strength,
        ..LoraUse::default()
    }
}

/// `ComfyUI`'s names: the official ones of modules, another prefix.
fn comfy(name: &str) -> String {
    name.replace("base_model.model.", "diffusion_model.")
        .replace("proj_in.", "patchify_proj.")
        .replace("time_embed.", "adaln_single.")
}

/// kohya's: underscores, and other words for the factors.
fn kohya(name: &str) -> String {
    let (module, end) = name.split_once(".lora_").unwrap();
    let module = module.replace("base_model.model.", "").replace('.', "_");
    let end = if end.starts_with('A') {
        "lora_down"
    } else {
        "lora_up"
    };
    format!("lora_unet_{module}.{end}.weight")
}

#[test]
fn verify_lora_parity() {
    let fixture = Fixture::open();
    let plain = fixture.get("out.plain");
    let close = |model: &Transformer, wanted: &str| {
        let velocity = fixture.get(&format!("out.{wanted}"));
        assert!(relative_error(&velocity, &plain) > 1e-2 || wanted == "plain");
        let error = relative_error(&fixture.run(model), &velocity);
        assert!(error < 1e-5, "{wanted}: {error}");
    };
    close(&fixture.model(), "plain");
    for merged in [false, true] {
        for change in [str::to_owned, comfy, kohya] {
            let uses = [
                (vec![("a", 1.0)], "a"),
                (vec![("a", 0.4)], "a_weak"),
                (vec![("b", 1.0)], "b"),
                (vec![("a", 0.7), ("b", -1.3)], "both"),
            ];
            for (adapters, wanted) in uses {
                let mut model = fixture.model();
                let mut stack = LoraStack::default();
                for (which, strength) in adapters {
                    let adapter = fixture.adapter(which, change);
                    stack.push(&mut model, &adapter, with(strength)).unwrap();
                }
                if merged {
                    stack.merge(&mut model).unwrap();
                } else {
                    stack.set_time(&mut model, 0.5).unwrap();
                }
                close(&model, wanted);
            }
        }
    }
}

#[test]
fn alpha_is_found_in_the_tensors_and_beside_the_file() {
    let fixture = Fixture::open();
    let wanted = fixture.get("out.a");
    let check = |adapter: &LoraFile| {
        let mut model = fixture.model();
        let mut stack = LoraStack::default();
        stack.push(&mut model, adapter, LoraUse::default()).unwrap();
        stack.set_time(&mut model, 1.0).unwrap();
        let error = relative_error(&fixture.run(&model), &wanted);
        assert!(error < 1e-5, "{error}");
    };
    let mut tensors = fixture.tensors("a", kohya);
    let modules: Vec<String> = tensors
        .keys()
        .filter_map(|name| name.strip_suffix(".lora_up.weight").map(str::to_owned))
        .collect();
    for module in modules {
        let alpha = Tensor::new(5_f32, &Device::Cpu).unwrap();
        tensors.insert(format!("{module}.alpha"), alpha);
    }
    let inside = ModelFile::from_tensors("a", tensors, BTreeMap::new());
    check(&LoraFile::from_file(&inside).unwrap());

    let folder = tempfile::tempdir().unwrap();
    let tensors = fixture.tensors("a", str::to_owned);
    let path = folder.path().join("adapter_model.safetensors");
    nn::weights::save(&path, &tensors, &BTreeMap::new()).unwrap();
    let settings = json!({"r": 3, "lora_alpha": 5, "peft_type": "LORA"}).to_string();
    std::fs::write(folder.path().join("adapter_config.json"), settings).unwrap();
    check(&LoraFile::open(folder.path()).unwrap());
}

#[test]
fn ranges_switch_adapters_on_and_off() {
    let fixture = Fixture::open();
    let mut model = fixture.model();
    let mut stack = LoraStack::default();
    let range = TimeRange { from: 0.4, to: 0.6 };
    let how = LoraUse {
        strength: 1.0,
        range,
    };
    let adapter = fixture.adapter("a", str::to_owned);
    stack.push(&mut model, &adapter, how).unwrap();
    let plain = flat(&fixture.run(&model));
    for (t, on) in [
        (1.0, false),
        (0.6, true),
        (0.41, true),
        (0.4, false),
        (0.1, false),
    ] {
        stack.set_time(&mut model, t).unwrap();
        assert_eq!(flat(&fixture.run(&model)) != plain, on, "{t}");
    }
    let error = stack.merge(&mut model).unwrap_err().to_string();
    assert!(error.contains("from 0.4 to 0.6"), "{error}");
}

#[test]
fn what_does_not_fit_is_named() {
    let fixture = Fixture::open();
    let mut model = fixture.model();
    let other = fixture.adapter("b", |name| {
        name.replace("transformer_blocks.1", "transformer_blocks.9")
    });
    let error = LoraStack::default()
        .push(&mut model, &other, LoraUse::default())
        .unwrap_err();
    assert!(matches!(error, ModelError::Differences { .. }));
    assert!(
        error
            .to_string()
            .contains("transformer_blocks.9.attn1.to_q"),
        "{error}"
    );
    let mut tensors = fixture.tensors("b", str::to_owned);
    let magnitude = Tensor::zeros(18, DType::F32, &Device::Cpu).unwrap();
    tensors.insert(
        "base_model.model.transformer_blocks.1.attn1.to_q.lora_magnitude_vector".to_owned(),
        magnitude,
    );
    let file = ModelFile::from_tensors("dora", tensors, BTreeMap::new());
    let error = LoraFile::from_file(&file).unwrap_err().to_string();
    assert!(error.contains("lora_magnitude_vector"), "{error}");
}
