//! What the tests against PyTorch share.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first fault, and uses a part of this"
)]

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use nn::weights::Checkpoint;
use train::gradients::Gradients;

/// A fixture of `tools/parity/train.py`.
pub(crate) struct Fixture(pub(crate) Checkpoint);

impl Fixture {
    pub(crate) fn open(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(format!("{name}.safetensors"));
        Self(Checkpoint::open(path).unwrap())
    }

    pub(crate) fn get(&self, name: &str) -> Tensor {
        self.0.tensor(name, DType::F32, &Device::Cpu).unwrap()
    }

    pub(crate) fn number(&self, name: &str) -> f64 {
        f64::from(values(&self.get(name))[0])
    }

    /// Tensors under a prefix, without it.
    pub(crate) fn under(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        self.0
            .names()
            .filter_map(|name| Some((name.strip_prefix(prefix)?.to_owned(), self.get(name))))
            .collect()
    }

    pub(crate) fn config(&self) -> String {
        self.0.metadata("config").unwrap().to_owned()
    }
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()
}

/// Largest difference over the largest value of `wanted`, which is taken to be at least `floor`.
pub(crate) fn distance(got: &[f32], wanted: &[f32], floor: f32) -> f32 {
    assert_eq!(got.len(), wanted.len());
    let size = wanted.iter().fold(floor, |m, x| m.max(x.abs()));
    let most = got
        .iter()
        .zip(wanted)
        .fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
    most / size
}

/// Every gradient agrees with PyTorch's to `bound` of its largest element; a parameter that PyTorch gives no
/// gradient (zeros in the fixture) must have none here.
pub(crate) fn assert_gradients(got: &Gradients, wanted: &BTreeMap<String, Tensor>, bound: f32) {
    let mut seen = 0;
    let largest = wanted
        .values()
        .flat_map(values)
        .fold(0.0_f32, |m, x| m.max(x.abs()));
    for (name, wanted) in wanted {
        let wanted = values(wanted);
        match got.0.get(name) {
            Some(got) => {
                // Elements far below the others are rounding in both.
                let d = distance(got, &wanted, 1e-5 * largest);
                assert!(d <= bound, "gradient of {name}: {d} of its largest element");
                seen += 1;
            }
            None => assert!(wanted.iter().all(|x| *x == 0.0), "{name} has no gradient"),
        }
    }
    assert_eq!(seen, got.0.len(), "a gradient that PyTorch does not know");
    assert!(seen > 10);
}
