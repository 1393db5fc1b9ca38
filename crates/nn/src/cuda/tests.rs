//! The kernels' source against the operations of the processor.

mod attention;
mod channels;
mod compile;
mod convolution;
mod eight_bits;
mod machine;
mod rows;

use candle_core::{DType, Tensor};

use super::host::Memory;
use super::launch::Element;

const BOTH: [Element; 2] = [Element::F32, Element::Bf16];

/// Ways to let the block's threads run; the results must be the same bits.
const ORDERS: [i32; 2] = [0, 1];

fn dtype(element: Element) -> DType {
    match element {
        Element::F32 => DType::F32,
        Element::Bf16 => DType::BF16,
    }
}

/// How far results may lie from the processor's, of the largest.
fn tolerance(element: Element) -> f32 {
    match element {
        Element::F32 => 2e-5,
        Element::Bf16 => 1e-2,
    }
}

fn numbers(x: &Tensor) -> Vec<f32> {
    x.to_dtype(DType::F32)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

fn memory(element: Element, x: &Tensor) -> Memory {
    match element {
        Element::F32 => Memory::of_f32(&numbers(x)),
        Element::Bf16 => Memory::of_bf16(&numbers(x)),
    }
}

fn space(element: Element, count: usize) -> Memory {
    Memory::new(count * element.size())
}

fn values(element: Element, memory: &Memory) -> Vec<f32> {
    match element {
        Element::F32 => memory.f32(),
        Element::Bf16 => memory.bf16(),
    }
}

fn assert_near(what: &str, got: &[f32], wanted: &Tensor, tolerance: f32) {
    let wanted = numbers(wanted);
    assert_eq!(got.len(), wanted.len(), "{what}");
    let size = wanted.iter().fold(1e-3_f32, |m, x| m.max(x.abs()));
    for (i, (x, y)) in got.iter().zip(&wanted).enumerate() {
        // Written so that what is not a number fails.
        let near = (x - y).abs() <= tolerance * size || x.to_bits() == y.to_bits();
        assert!(near, "{what}: element {i} is {x}, wanted {y}");
    }
}
