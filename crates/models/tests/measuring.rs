//! The networks for measuring against PyTorch (`tools/parity/measure_networks.py`), weights and inputs by formula.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use common::relative_error;
use models::ModelFile;
use models::face_id::FaceId;
use models::i3d::I3d;
use models::inception::{Inception, InceptionVariant};
use models::lpips::{Lpips, LpipsNet};
use models::syncnet::SyncNet;

/// In single precision, through tens of layers.
const BOUND: f64 = 1e-4;

fn fixture() -> ModelFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/measuring.safetensors");
    ModelFile::open(path).unwrap()
}

fn wanted(name: &str) -> Tensor {
    let file = fixture();
    file.view(DType::F32, &Device::Cpu)
        .unwrap()
        .get_any(name)
        .unwrap()
}

/// The script's `noise`: splitmix64 of the name's FNV-1a hash and the index.
fn noise(name: &str, count: usize) -> Vec<f64> {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    (1..=count as u64)
        .map(|n| {
            let x = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((x ^ (x >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.0
        })
        .collect()
}

/// The script's `value`.
fn value(name: &str, shape: &[usize]) -> Tensor {
    let inputs: usize = shape.iter().skip(1).product();
    let values: Vec<f32> = noise(name, shape.iter().product())
        .into_iter()
        .map(|u| {
            let value = if name.ends_with("running_var") {
                1.0 + 0.5 * u
            } else if name.ends_with("running_mean") || name.ends_with("bias") {
                0.1 * u
            } else if name.starts_with("lin") && name.contains(".model.") {
                u.abs()
            } else if shape.len() == 1 {
                1.0 + 0.3 * u
            } else {
                u * (6.0 / inputs as f64).sqrt()
            };
            value as f32
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The weights of one of the script's networks.
fn weights(net: &str) -> ModelFile {
    let file = fixture();
    let tensors: BTreeMap<String, Tensor> = file
        .metadata("shapes")
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix(net)?.strip_prefix(' ')?.split_once(' '))
        .map(|(name, shape)| {
            let shape: Vec<usize> = shape.split(',').map(|n| n.parse().unwrap()).collect();
            (name.to_owned(), value(name, &shape))
        })
        .collect();
    assert!(!tensors.is_empty(), "{net}");
    ModelFile::from_tensors(net, tensors, BTreeMap::new())
}

fn input(name: &str, shape: &[usize], scale: f32, shift: f32) -> Tensor {
    let values: Vec<f32> = noise(name, shape.iter().product())
        .into_iter()
        .map(|u| u as f32 * scale + shift)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn check(name: &str, found: &Tensor) {
    let error = relative_error(found, &wanted(name));
    println!("{name}: {error:.2e}");
    assert!(error < BOUND, "{name}: {error}");
}

fn heads(net: LpipsNet) -> ModelFile {
    let tensors = net.channels().iter().enumerate().map(|(stage, channels)| {
        let name = format!("lin{stage}.model.1.weight");
        let head = value(&name, &[1, *channels, 1, 1]);
        (name, head)
    });
    ModelFile::from_tensors("heads", tensors.collect(), BTreeMap::new())
}

fn lpips(net: LpipsNet) -> Lpips {
    Lpips::load(net, &weights(net.name()), &heads(net), &Device::Cpu).unwrap()
}

#[test]
fn verify_lpips_parity() {
    let images = ["lpips one", "lpips two"].map(|name| input(name, &[2, 3, 70, 83], 1.0, 0.0));
    let [one, two] = &images;
    for net in [LpipsNet::Alex, LpipsNet::Squeeze, LpipsNet::Vgg] {
        let model = lpips(net);
        let found = Tensor::new(model.distance(one, two).unwrap(), &Device::Cpu).unwrap();
        check(&format!("lpips.{}", net.name()), &found);
        assert!(model.distance(one, one).unwrap().iter().all(|d| *d == 0.0));
    }
}

#[test]
fn lpips_refuses_images_of_two_sizes() {
    let model = lpips(LpipsNet::Squeeze);
    let (small, large) = (
        input("a", &[1, 3, 64, 64], 1.0, 0.0),
        input("a", &[1, 3, 64, 80], 1.0, 0.0),
    );
    assert!(model.distance(&small, &large).is_err());
}

#[test]
fn verify_inception_parity() {
    let file = weights("inception");
    let pictures = input("inception", &[1, 3, 107, 131], 1.0, 0.0);
    for (variant, name) in [
        (InceptionVariant::Fid, "inception.fid"),
        (InceptionVariant::Torchvision, "inception.torchvision"),
    ] {
        let net = Inception::load(&file, variant, &Device::Cpu).unwrap();
        let found = net.features(&pictures).unwrap();
        assert_eq!(found.dims(), [1, models::inception::FEATURES]);
        // The fixture keeps every eighth number.
        let found: Vec<f32> = found.flatten_all().unwrap().to_vec1().unwrap();
        let found: Vec<f32> = found.into_iter().step_by(8).collect();
        check(name, &Tensor::new(found, &Device::Cpu).unwrap());
        assert!(
            net.features(&input("x", &[1, 3, 60, 131], 1.0, 0.0))
                .is_err()
        );
    }
}

#[test]
fn verify_i3d_parity() {
    let net = I3d::load(&weights("i3d"), &Device::Cpu).unwrap();
    check(
        "i3d",
        &net.logits(&input("i3d", &[1, 3, 16, 224, 224], 1.0, 0.0))
            .unwrap(),
    );
    assert!(
        net.logits(&input("i3d", &[1, 3, 4, 224, 224], 1.0, 0.0))
            .is_err()
    );
}

#[test]
fn verify_syncnet_parity() {
    let net = SyncNet::load(&weights("syncnet"), &Device::Cpu).unwrap();
    check(
        "syncnet.sound",
        &net.sound(&input("cepstra", &[3, 1, 13, 20], 10.0, 0.0))
            .unwrap(),
    );
    let lips = input("lips", &[2, 3, 5, 224, 224], 127.5, 127.5);
    check("syncnet.lips", &net.lips(&lips).unwrap());
    assert!(net.lips(&lips.narrow(2, 0, 4).unwrap()).is_err());
}

#[test]
fn verify_face_id_parity() {
    let mobile = FaceId::load(&weights("mobile"), &Device::Cpu).unwrap();
    assert_eq!(mobile.size(), (96, 112));
    check(
        "face_id.mobile",
        &mobile
            .embed(&input("face", &[2, 3, 112, 96], 127.5, 127.5))
            .unwrap(),
    );
    let arc = FaceId::load(&weights("arc"), &Device::Cpu).unwrap();
    assert_eq!(
        (arc.size(), arc.name()),
        ((112, 112), "ArcFace, 6 blocks".to_owned())
    );
    let face = input("face", &[2, 3, 112, 112], 127.5, 127.5);
    check("face_id.arc", &arc.embed(&face).unwrap());
    assert!(mobile.embed(&face).is_err());
    assert!(FaceId::load(&weights("i3d"), &Device::Cpu).is_err());
}
