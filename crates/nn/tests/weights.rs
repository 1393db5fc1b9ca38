//! Weight files: written, read, sharded, refused.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first fault")]

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use nn::weights::{Checkpoint, KeyMap, View, WeightsError, save, sha256};

fn tensors() -> BTreeMap<String, Tensor> {
    let cpu = Device::Cpu;
    let a = Tensor::arange(0f32, 6.0, &cpu)
        .unwrap()
        .reshape((2, 3))
        .unwrap();
    let b = Tensor::new(&[1.5_f32, -2.25, 1e-3], &cpu)
        .unwrap()
        .to_dtype(DType::BF16)
        .unwrap();
    BTreeMap::from([
        ("block.0.weight".to_owned(), a),
        ("block.0.bias".to_owned(), b),
    ])
}

fn write(path: &Path, tensors: &BTreeMap<String, Tensor>) {
    let metadata = BTreeMap::from([("config".to_owned(), r#"{"layers": 3}"#.to_owned())]);
    save(path, tensors, &metadata).unwrap();
}

#[test]
fn round_trip_through_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    write(&path, &tensors());
    let checkpoint = Checkpoint::open(&path).unwrap();
    let config: serde_json::Value = checkpoint.config("config").unwrap();
    assert_eq!(config["layers"], 3);
    let view = checkpoint.view(DType::F32, &Device::Cpu).at("block").at(0);
    assert_eq!(view.names(), ["bias", "weight"]);
    let weight = view
        .get((2, 3), "weight")
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    assert_eq!(weight, [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
    let bias = view.get(3, "bias").unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(bias[..2], [1.5, -2.25]);
    let bf16 = view.with_dtype(DType::BF16).get(3, "bias").unwrap();
    assert_eq!(bf16.dtype(), DType::BF16);
    assert_eq!(checkpoint.sha256(), sha256(&path).unwrap());
    assert_eq!(checkpoint.sha256().len(), 64);
}

#[test]
fn the_reference_reader_reads_our_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    write(&path, &tensors());
    let bytes = std::fs::read(&path).unwrap();
    let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let weight = read.tensor("block.0.weight").unwrap();
    assert_eq!(weight.shape(), [2, 3]);
    assert_eq!(weight.data()[20..], 5.0_f32.to_le_bytes());
}

#[test]
fn equal_tensors_give_equal_files() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    write(&a, &tensors());
    write(&b, &tensors());
    assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
}

#[test]
fn missing_and_misshapen_tensors_are_named() {
    let view = View::of_tensors(tensors(), DType::F32, &Device::Cpu).at("block.0");
    let error = view.get((3, 2), "weight").unwrap_err().to_string();
    assert!(
        error.contains("block.0.weight") && error.contains("[2, 3]") && error.contains("[3, 2]"),
        "{error}"
    );
    let error = view.get_any("wait").unwrap_err().to_string();
    assert!(
        error.contains("'block.0.wait'; the nearest is 'block.0.weight'"),
        "{error}"
    );
}

#[test]
fn shards_are_one_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    for (index, (name, tensor)) in tensors().into_iter().enumerate() {
        write(
            &folder.path().join(format!("s{index}.safetensors")),
            &BTreeMap::from([(name, tensor)]),
        );
    }
    let index = folder.path().join("m.safetensors.index.json");
    std::fs::write(&index, r#"{"metadata":{},"weight_map":{"block.0.bias":"s0.safetensors","block.0.weight":"s1.safetensors"}}"#).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.names().count(), 2);
    assert_eq!(
        checkpoint
            .tensor("block.0.weight", DType::F32, &Device::Cpu)
            .unwrap()
            .dims(),
        [2, 3]
    );

    std::fs::write(
        &index,
        r#"{"weight_map":{"block.0.bias":"s1.safetensors","block.0.weight":"s0.safetensors"}}"#,
    )
    .unwrap();
    let error = Checkpoint::open(&index).unwrap_err().to_string();
    assert!(error.contains("is not in shard"), "{error}");
    std::fs::write(
        &index,
        r#"{"weight_map":{"block.0.bias":"../s1.safetensors"}}"#,
    )
    .unwrap();
    let error = Checkpoint::open(&index).unwrap_err().to_string();
    assert!(error.contains("plain file name"), "{error}");
}

#[test]
fn other_formats_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let cases: [(&[u8], &str); 5] = [
        (b"PK\x03\x04 archive/data.pkl", "pickle"),
        (b"\x80\x02}q\x00X\x06\x00\x00\x00weight", "pickle"),
        (b"GGUF\x03\x00\x00\x00", "GGUF"),
        (b"version https://git-lfs.github.com/spec/v1", "LFS"),
        (b"<!DOCTYPE html>", "web page"),
    ];
    for (bytes, expected) in cases {
        std::fs::write(&path, bytes).unwrap();
        let error = Checkpoint::open(&path).unwrap_err();
        assert!(matches!(error, WeightsError::Format { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    std::fs::write(&path, b"").unwrap();
    assert!(
        Checkpoint::open(&path)
            .unwrap_err()
            .to_string()
            .contains("empty")
    );
}

#[test]
fn renaming_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    write(&path, &tensors());
    let checkpoint = Checkpoint::open(&path).unwrap();
    let renamed = checkpoint
        .renamed(&KeyMap::new().prefix("block.", "layers."))
        .unwrap();
    assert!(renamed.contains("layers.0.weight") && !renamed.contains("block.0.weight"));
    let clash = KeyMap::new()
        .prefix("block.0.weight", "x")
        .prefix("block.0.bias", "x");
    assert!(matches!(
        checkpoint.renamed(&clash),
        Err(WeightsError::Clash { .. })
    ));
}
