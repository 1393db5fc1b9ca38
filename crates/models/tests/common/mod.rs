//! Weights and inputs by formula, as those that the golden values were printed with.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test uses a part"
)]

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use models::{ModelFile, TensorShapes};

/// Names sorted bytewise; element j of tensor k is `amp * sin(0.1 + 0.37 j + 1.7 k)`,
/// plus 1 where the name ends like a norm's weight.
pub fn by_formula(shapes: &TensorShapes, amp: f64) -> ModelFile {
    let mut tensors = BTreeMap::new();
    for (k, (name, shape)) in shapes.iter().enumerate() {
        let count: usize = shape.iter().product();
        let one = ["norm.weight", "norm1.weight", "norm2.weight"]
            .iter()
            .any(|end| name.ends_with(end));
        let values: Vec<f32> = (0..count)
            .map(|j| {
                if name.ends_with("timestep_scale_multiplier") {
                    return 1000.0;
                }
                let value = amp * (0.1 + 0.37 * j as f64 + 1.7 * k as f64).sin();
                (value as f32) + if one { 1.0 } else { 0.0 }
            })
            .collect();
        let tensor = Tensor::from_vec(values, shape.as_slice(), &Device::Cpu).unwrap();
        tensors.insert(name.clone(), tensor);
    }
    ModelFile::from_tensors("weights by formula", tensors, BTreeMap::new())
}

/// Pseudo-random weights whose layers keep their inputs' size.
pub fn random(shapes: &TensorShapes) -> ModelFile {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f64 / f64::from(1 << 23) - 1.0) * 3_f64.sqrt()
    };
    let mut tensors = BTreeMap::new();
    for (name, shape) in shapes {
        let count: usize = shape.iter().product();
        let inputs: usize = shape.iter().skip(1).product();
        let scale = if shape.len() > 1 && !name.contains("table") {
            1.0 / (inputs as f64).sqrt()
        } else {
            0.3
        };
        let one = if name.ends_with("norm.weight") {
            1.0
        } else {
            0.0
        };
        let values: Vec<f32> = (0..count)
            .map(|_| {
                if name.ends_with("timestep_scale_multiplier") {
                    1000.0
                } else {
                    (next() * scale + one) as f32
                }
            })
            .collect();
        let tensor = Tensor::from_vec(values, shape.as_slice(), &Device::Cpu).unwrap();
        tensors.insert(name.clone(), tensor);
    }
    ModelFile::from_tensors("random weights", tensors, BTreeMap::new())
}

/// `a * sin(p + w * n)` over the flat index n.
pub fn wave(shape: &[usize], a: f64, w: f64, p: f64) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|n| (a * (p + w * n as f64).sin()) as f32)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

pub fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// ‖a − b‖ / ‖b‖.
pub fn relative_error(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let (mut difference, mut size) = (0.0, 0.0);
    for (a, b) in flat(a).into_iter().zip(flat(b)) {
        difference += f64::from(a - b).powi(2);
        size += f64::from(b).powi(2);
    }
    (difference / size).sqrt()
}

pub struct Golden {
    pub first: [f32; 8],
    pub last: [f32; 4],
    pub mean: f64,
    pub deviation: f64,
}

impl Golden {
    pub fn check(&self, name: &str, tensor: &Tensor, tolerance: f32) {
        let values = flat(tensor);
        let last = &values[values.len() - 4..];
        for (found, wanted) in values[..8]
            .iter()
            .zip(self.first)
            .chain(last.iter().zip(self.last))
        {
            assert!(
                (found - wanted).abs() < tolerance,
                "{name}: {found}, wanted {wanted}"
            );
        }
        let count = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
        let square = values
            .iter()
            .map(|v| (f64::from(*v) - mean).powi(2))
            .sum::<f64>();
        let deviation = (square / (count - 1.0)).sqrt();
        assert!(
            (mean - self.mean).abs() < f64::from(tolerance),
            "{name}: mean {mean}, wanted {}",
            self.mean
        );
        assert!(
            (deviation - self.deviation).abs() < 1e-4,
            "{name}: deviation {deviation}, wanted {}",
            self.deviation
        );
    }
}
