//! The sync scorer against a PyTorch twin with random weights (`tools/parity/sync_scorer.py`).

#![allow(clippy::unwrap_used, reason = "a test may stop at the first fault")]

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use models::ModelFile;
use models::sync_scorer::{SyncScorer, keep_all};
use nn::weights::Checkpoint;

#[test]
fn verify_sync_scorer_parity() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sync_scorer.safetensors");
    let fixture = Checkpoint::open(&path).unwrap();
    let get = |name: &str| fixture.tensor(name, DType::F32, &Device::Cpu).unwrap();
    let weights: BTreeMap<String, Tensor> = fixture
        .names()
        .filter(|name| name.starts_with("sync_scorer."))
        .map(|name| (name.to_owned(), get(name)))
        .collect();
    let config = fixture.metadata("config").unwrap().to_owned();
    let metadata = BTreeMap::from([("config".to_owned(), config)]);
    let file = ModelFile::from_tensors("fixture", weights, metadata);
    let scorer = SyncScorer::load(&file, &Device::Cpu).unwrap();

    let (points, mel) = (get("in.points"), get("in.mel"));
    let apart = |got: &Tensor, wanted: &str| {
        let wanted = get(wanted);
        let size = wanted.abs().unwrap().max_all().unwrap();
        let most = (got - &wanted).unwrap().abs().unwrap().max_all().unwrap();
        most.to_scalar::<f32>().unwrap() / size.to_scalar::<f32>().unwrap()
    };
    let shown = scorer.picture(&points, &mut keep_all).unwrap();
    assert!(apart(&shown, "out.picture") < 1e-5);
    let heard = scorer.sound(&mel, &mut keep_all).unwrap();
    assert!(apart(&heard, "out.sound") < 1e-5);
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let curve = scorer.curve(&flat(&points), &flat(&mel)).unwrap();
    let curve = Tensor::new(curve, &Device::Cpu).unwrap();
    assert!(apart(&curve, "out.curve") < 1e-5);
    assert!(scorer.curve(&flat(&mel), &flat(&points)).is_err());
}
