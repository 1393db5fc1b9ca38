use candle_core::{DType, Device, Tensor};

use super::*;
use crate::cuda::host::{available, run};
use crate::cuda::plan::eight_bits::{quantise, restore};
use crate::ops::testing::noise;

/// Codes are candle's for the scaled numbers, and come back within half a step.
#[test]
fn eight_bits_agree() {
    if !available() {
        return;
    }
    let (rows, width) = (5, 333);
    for element in BOTH {
        let factors = Tensor::new(&[1e-3_f32, 1.0, 700.0, 3e4, 0.0], &Device::Cpu).unwrap();
        let x = noise(1, &[rows, width]).powf(3.0).unwrap();
        let x = x
            .broadcast_mul(&factors.reshape((rows, 1)).unwrap())
            .unwrap();
        let x = x.to_dtype(dtype(element)).unwrap();
        let mut from = memory(element, &x);
        let (mut codes, mut scales) = (Memory::new(rows * width), space(Element::F32, rows));
        run(
            &[quantise(
                element,
                (rows, width),
                from.at(),
                codes.at(),
                scales.at(),
            )],
            1,
        );

        let wide = x.to_dtype(DType::F32).unwrap();
        let wanted_scales: Vec<f32> = (0..rows)
            .map(|row| {
                let row = numbers(&wide.get(row).unwrap());
                let most = row.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
                if most > 0.0 { most / 448.0 } else { 1.0 }
            })
            .collect();
        assert_eq!(scales.f32(), wanted_scales);
        let column = Tensor::from_vec(wanted_scales, (rows, 1), &Device::Cpu).unwrap();
        let scaled = wide.broadcast_div(&column).unwrap();
        let small = scaled.to_dtype(DType::F8E4M3).unwrap();
        let back = small
            .to_dtype(DType::F32)
            .unwrap()
            .broadcast_mul(&column)
            .unwrap();

        let mut out = space(Element::F32, rows * width);
        run(
            &[restore(
                Element::F32,
                (rows, width),
                codes.at(),
                scales.at(),
                out.at(),
            )],
            1,
        );
        assert_eq!(out.f32(), numbers(&back), "{element:?}");
        for (x, y) in out.f32().iter().zip(numbers(&wide)) {
            assert!((x - y).abs() <= y.abs() / 15.9 + 1e-3 * y.abs().max(3e4) / 448.0);
        }
    }
}
