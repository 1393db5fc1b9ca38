//! Vision transformers against transformers' (`tools/parity/vision_transformers.py`), with random weights.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use common::relative_error;
use models::ModelFile;
use models::vit::{Vit, VitKind};

/// In single precision.
const BOUND: f64 = 1e-5;

fn fixture() -> ModelFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vit.safetensors");
    ModelFile::open(path).unwrap()
}

fn tensor(name: &str) -> Tensor {
    let view = fixture().view(DType::F32, &Device::Cpu).unwrap();
    view.get_any(name).unwrap()
}

fn file(prefix: &str, heads: &str) -> ModelFile {
    let all = fixture();
    let tensors: BTreeMap<String, Tensor> = all
        .shapes()
        .keys()
        .filter_map(|name| {
            let own = name.strip_prefix(prefix)?.strip_prefix(".weights.")?;
            Some((own.to_owned(), tensor(name)))
        })
        .collect();
    let metadata = BTreeMap::from([("heads".to_owned(), heads.to_owned())]);
    ModelFile::from_tensors(prefix, tensors, metadata)
}

fn check(name: &str, vit: &Vit, pixels: &str, wanted: &str) {
    let found = vit.features(&tensor(pixels)).unwrap();
    let error = relative_error(&found, &tensor(wanted));
    println!("{name}: {error:.2e}");
    assert!(error < BOUND, "{name}: {error}");
}

#[test]
fn verify_dino_parity() {
    let vit = Vit::load(&file("dino", "2"), VitKind::Dino, &Device::Cpu).unwrap();
    check("dino", &vit, "dino.pixels", "dino.features");
    check("dino, wide", &vit, "dino.wide", "dino.wide_features");
    assert!(
        vit.features(&tensor("dino.pixels").narrow(2, 0, 3).unwrap())
            .is_err()
    );
}

#[test]
fn verify_clip_parity() {
    let vit = Vit::load(&file("clip", "2"), VitKind::Clip, &Device::Cpu).unwrap();
    check("clip", &vit, "clip.pixels", "clip.features");
    // Its positions are of one size.
    assert!(vit.features(&tensor("dino.wide")).is_err());
}

#[test]
fn verify_videomae_parity() {
    let vit = Vit::load(&file("videomae", "2"), VitKind::VideoMae, &Device::Cpu).unwrap();
    check("videomae", &vit, "videomae.pixels", "videomae.features");
}

#[test]
fn files_of_other_networks_are_refused() {
    for (prefix, heads, kind) in [
        ("dino", "2", VitKind::Clip),
        ("clip", "2", VitKind::Dino),
        ("dino", "2", VitKind::VideoMae),
        ("dino", "3", VitKind::Dino),
        ("dino", "two", VitKind::Dino),
    ] {
        assert!(
            Vit::load(&file(prefix, heads), kind, &Device::Cpu).is_err(),
            "{prefix} {kind:?}"
        );
    }
}
