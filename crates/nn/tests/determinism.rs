//! The number of threads changes nothing in the results, to the last bit.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first fault")]

use candle_core::{DType, Device, Result, Tensor, Var};
use nn::ops::{self, Activation, AttentionOptions, Conv3dOptions};

fn values(x: &Tensor) -> Vec<u32> {
    let x = x.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
    x.to_vec1::<f32>()
        .unwrap()
        .into_iter()
        .map(f32::to_bits)
        .collect()
}

/// Result and gradients of `f` with so many threads.
fn run(
    threads: usize,
    inputs: &[Tensor],
    f: &(dyn Fn(&[Tensor]) -> Result<Tensor> + Sync),
) -> Vec<Vec<u32>> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| {
        let vars: Vec<Var> = inputs
            .iter()
            .map(|x| Var::from_tensor(x).unwrap())
            .collect();
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let out = f(&tensors).unwrap();
        let grads = out.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let gradients = tensors.iter().map(|t| values(grads.get(t).unwrap()));
        std::iter::once(values(&out)).chain(gradients).collect()
    })
}

fn check(shapes: &[&[usize]], f: impl Fn(&[Tensor]) -> Result<Tensor> + Sync) {
    for dtype in [DType::F32, DType::BF16] {
        let inputs: Vec<Tensor> = shapes
            .iter()
            .map(|shape| {
                Tensor::randn(0f32, 1.0, *shape, &Device::Cpu)
                    .unwrap()
                    .to_dtype(dtype)
                    .unwrap()
            })
            .collect();
        let alone = run(1, &inputs, &f);
        for threads in [2, 5] {
            assert!(
                run(threads, &inputs, &f) == alone,
                "{threads} threads, {dtype:?}"
            );
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    check(&[&[300, 70], &[90, 70], &[90]], |t| {
        ops::linear(&t[0], &t[1], Some(&t[2]), Activation::Silu)
    });
    check(&[&[1, 300, 64], &[1, 280, 64], &[1, 280, 64]], |t| {
        ops::attention(&t[0], &t[1], &t[2], &AttentionOptions::heads(2))
    });
    check(&[&[1, 5, 4, 9, 20], &[33, 5, 3, 3, 3]], |t| {
        ops::conv3d(&t[0], &t[1], None, &Conv3dOptions::causal())
    });
    check(&[&[2, 400, 40], &[40]], |t| {
        ops::rms_norm(&t[0], Some(&t[1]), 1e-5)
    });
    check(&[&[2, 12, 500], &[12], &[12]], |t| {
        ops::group_norm_silu(&t[0], 3, Some(&t[1]), Some(&t[2]), 1e-5)
    });
    check(&[&[2, 12, 500], &[2, 12], &[2, 12]], |t| {
        ops::pixel_norm_modulate_silu(&t[0], &t[1], &t[2], 1e-8)
    });
}
