//! NIQE and BRISQUE against the packages whose parameters they go with (`tools/parity/quality.py`).
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use measure::picture::brisque::{BrisqueParameters, brisque, brisque_features};
use measure::picture::luma;
use measure::picture::niqe::{NiqeParameters, niqe, niqe_features};
use media::image::Rgb8;
use safetensors::SafeTensors;
use std::path::Path;

struct Fixture(Vec<u8>);

impl Fixture {
    fn open() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quality.safetensors");
        Self(std::fs::read(path).unwrap())
    }

    fn get(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        let (values, _) = tensor.data().as_chunks::<8>();
        values.iter().copied().map(f64::from_le_bytes).collect()
    }

    fn pictures(&self) -> Vec<Rgb8> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor("pictures").unwrap();
        let (height, width) = (tensor.shape()[1], tensor.shape()[2]);
        tensor
            .data()
            .chunks_exact(width * height * 3)
            .map(|data| Rgb8 {
                width,
                height,
                data: data.to_vec(),
            })
            .collect()
    }
}

fn assert_near(got: &[f64], wanted: &[f64], bound: f64) {
    assert_eq!(got.len(), wanted.len());
    for (n, (a, b)) in got.iter().zip(wanted).enumerate() {
        assert!((a - b).abs() <= bound * (1.0 + b.abs()), "{n}: {a} {b}");
    }
}

#[test]
fn verify_niqe_parity() {
    let fixture = Fixture::open();
    let parameters = NiqeParameters {
        mean: fixture.get("niqe.mean"),
        covariance: fixture.get("niqe.covariance"),
    };
    let (features, scores) = (fixture.get("niqe.features"), fixture.get("niqe.scores"));
    for ((picture, features), score) in fixture
        .pictures()
        .iter()
        .zip(features.chunks_exact(4 * 36))
        .zip(scores)
    {
        let (width, height) = (picture.width, picture.height);
        let plane = luma(picture);
        let found: Vec<f64> = niqe_features(&plane, width, height).concat();
        // Shapes are on a grid of 0.001: a rounding in single precision may move one by a step.
        assert_near(&found, features, 2e-3);
        let found = niqe(&plane, width, height, &parameters).unwrap();
        assert!((found / score - 1.0).abs() < 5e-3, "{found} {score}");
    }
}

#[test]
fn verify_brisque_parity() {
    let fixture = Fixture::open();
    let parameters = BrisqueParameters {
        vectors: fixture.get("brisque.vectors"),
        coefficients: fixture.get("brisque.coefficients"),
        offset: -4.0,
        gamma: 0.05,
        ranges: [fixture.get("brisque.low"), fixture.get("brisque.high")],
    };
    let (features, scores) = (
        fixture.get("brisque.features"),
        fixture.get("brisque.scores"),
    );
    for ((picture, features), score) in fixture
        .pictures()
        .iter()
        .zip(features.chunks_exact(36))
        .zip(scores)
    {
        assert_near(&brisque_features(picture), features, 1e-6);
        let found = brisque(picture, &parameters).unwrap();
        assert!(
            (found - score).abs() < 1e-5 * (1.0 + score.abs()),
            "{found} {score}"
        );
    }
}
