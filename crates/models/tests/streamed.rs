//! Blocks that stay in the file against blocks in memory, alone and with adapters.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use common::flat;
use models::lora::{LoraFile, LoraStack, LoraUse};
use models::ltx::{Inputs, Residence, Rope, Transformer, TransformerConfig};
use models::{ModelError, ModelFile};
use nn::weights::KeyMap;

fn fixture() -> (ModelFile, ModelFile, TransformerConfig) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lora.safetensors");
    let whole = ModelFile::open(path).unwrap();
    let config = TransformerConfig::from_json(&whole.config().unwrap()).unwrap();
    let other = ["in.", "out.", "a.", "b."];
    let weights = whole
        .only(|name| !other.iter().any(|prefix| name.starts_with(prefix)))
        .unwrap();
    (whole, weights, config)
}

fn run(whole: &ModelFile, model: &Transformer) -> Vec<u32> {
    let view = whole.view(DType::F32, &Device::Cpu).unwrap();
    let get = |name: &str| view.get_any(name).unwrap();
    let mask = get("in.caption_mask");
    let velocity = model
        .forward(&Inputs {
            latents: &get("in.latents"),
            timestep: &get("in.timestep"),
            rope: &Rope::of_coords(model.config(), &get("in.coords")).unwrap(),
            caption: &model.caption(&get("in.caption"), Some(&mask)).unwrap(),
            audio: None,
            context: None,
            perturbation: None,
            self_bias: None,
        })
        .unwrap();
    flat(&velocity).into_iter().map(f32::to_bits).collect()
}

#[test]
fn blocks_in_the_file_give_the_same_bits() {
    let (whole, weights, config) = fixture();
    for dtype in [DType::F32, DType::BF16] {
        let load = |residence| {
            Transformer::load_as(&weights, &config, dtype, &Device::Cpu, residence).unwrap()
        };
        let (mut memory, mut file) = (load(Residence::Memory), load(Residence::File));
        let plain = run(&whole, &memory);
        assert_eq!(run(&whole, &file), plain);

        let adapter = whole.renamed(&KeyMap::new().prefix("a.", "")).unwrap();
        let adapter = LoraFile::from_file(&adapter).unwrap();
        for model in [&mut memory, &mut file] {
            let mut stack = LoraStack::default();
            stack.push(model, &adapter, LoraUse::default()).unwrap();
            stack.set_time(model, 1.0).unwrap();
        }
        let adapted = run(&whole, &memory);
        assert_ne!(adapted, plain);
        assert_eq!(run(&whole, &file), adapted);
        for model in [&mut memory, &mut file] {
            LoraStack::default().set_time(model, 1.0).unwrap();
        }
        assert_eq!(run(&whole, &file), plain, "adapters come off again");
        assert_eq!(run(&whole, &memory), plain);
    }
}

#[test]
fn weights_in_the_file_cannot_be_merged_into() {
    let (whole, weights, config) = fixture();
    let adapter = whole.renamed(&KeyMap::new().prefix("a.", "")).unwrap();
    let adapter = LoraFile::from_file(&adapter).unwrap();
    let mut model =
        Transformer::load_as(&weights, &config, DType::F32, &Device::Cpu, Residence::File).unwrap();
    let mut stack = LoraStack::default();
    stack
        .push(&mut model, &adapter, LoraUse::default())
        .unwrap();
    let error = stack.merge(&mut model).unwrap_err();
    assert!(error.to_string().contains("stay in the file"), "{error}");
}

#[test]
fn an_adapter_of_another_model_is_told_as_such() {
    let (_, weights, config) = fixture();
    let mut model = Transformer::load(&weights, &config, DType::F32, &Device::Cpu).unwrap();
    let zeros = |shape: (usize, usize)| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let tensors = BTreeMap::from([
        (
            "double_blocks.0.img_attn.qkv.lora_A.weight".to_owned(),
            zeros((2, 8)),
        ),
        (
            "double_blocks.0.img_attn.qkv.lora_B.weight".to_owned(),
            zeros((8, 2)),
        ),
    ]);
    let file = ModelFile::from_tensors("other.safetensors", tensors, BTreeMap::new());
    let file = LoraFile::from_file(&file).unwrap();
    let error = LoraStack::default()
        .push(&mut model, &file, LoraUse::default())
        .unwrap_err();
    assert!(matches!(error, ModelError::Config { .. }));
    assert!(
        error.to_string().contains("it is for another one"),
        "{error}"
    );
}
