//! The operations on a GPU against those of the processor, forward and backward. For the
//! first machine that has one: without a GPU it says so and tests nothing.

#![cfg(feature = "cuda")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may stop at the first fault, and says what it skips"
)]

use nn::ops::{
    self, Activation, AttentionOptions, Conv2dOptions, Conv3dOptions, TimePadding, linear,
};
use nn::{DType, Device, Result, Tensor, Var};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

fn gpu() -> Option<Device> {
    match nn::device::open("cuda") {
        Ok(device) => Some(device),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn noise(seed: u64, shape: &[usize]) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(x: &Tensor) -> Vec<f32> {
    let x = x.to_device(&Device::Cpu).unwrap();
    let x = x.to_dtype(DType::F32).unwrap();
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_near(what: &str, got: &Tensor, wanted: &Tensor, tolerance: f32) {
    assert_eq!(got.dims(), wanted.dims(), "{what}");
    let (got, wanted) = (values(got), values(wanted));
    let size = wanted.iter().fold(1e-3_f32, |m, x| m.max(x.abs()));
    for (i, (x, y)) in got.iter().zip(&wanted).enumerate() {
        let near = (x - y).abs() <= tolerance * size;
        assert!(near, "{what}: element {i} is {x}, wanted {y}");
    }
}

type Operation<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// Result and gradients of all inputs, in one dtype on one device.
fn run(f: Operation<'_>, inputs: &[Tensor], dtype: DType, device: &Device) -> Vec<Tensor> {
    let vars: Vec<Var> = inputs
        .iter()
        .map(|x| {
            let x = x.to_dtype(dtype).unwrap().to_device(device).unwrap();
            Var::from_tensor(&x).unwrap()
        })
        .collect();
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let y = f(&tensors).unwrap();
    let direction = noise(99, y.dims()).to_dtype(dtype).unwrap();
    let direction = direction.to_device(device).unwrap();
    let loss = (&y * direction).unwrap().sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    let mut results = vec![y.detach()];
    results.extend(tensors.iter().map(|x| gradients.get(x).unwrap().clone()));
    // Without gradients another path may be taken.
    let plain: Vec<Tensor> = tensors.iter().map(Tensor::detach).collect();
    results.push(f(&plain).unwrap());
    results
}

fn check(what: &str, device: &Device, inputs: &[Tensor], f: Operation<'_>) {
    for (dtype, tolerance) in [(DType::F32, 1e-4), (DType::BF16, 2e-2)] {
        let wanted = run(f, inputs, dtype, &Device::Cpu);
        let got = run(f, inputs, dtype, device);
        for (i, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
            assert_near(&format!("{what} {dtype:?} {i}"), got, wanted, tolerance);
        }
    }
}

#[test]
fn every_kernel_loads() {
    let Some(device) = gpu() else { return };
    let prepared = nn::gpu::prepare(&device).unwrap();
    assert!(prepared.kernels > 50, "{prepared:?}");
}

#[test]
fn rows_agree() {
    let Some(device) = gpu() else { return };
    for table in [&[96][..], &[2, 1, 96], &[2, 9, 96]] {
        let args = [noise(1, &[2, 9, 96]), noise(2, table), noise(3, table)];
        check("rms", &device, &args, &|t| {
            ops::rms_norm_modulate(&t[0], &t[1], &t[2], 1e-6)
        });
        check("layer", &device, &args, &|t| {
            ops::layer_norm_modulate(&t[0], &t[1], &t[2], 1e-6)
        });
        let args = [
            noise(1, &[2, 9, 96]),
            noise(2, table),
            noise(3, &[2, 9, 96]),
        ];
        check("gate", &device, &args, &|t| {
            ops::gate_add(&t[0], &t[1], &t[2])
        });
    }
    let x = [noise(1, &[700, 2048]), noise(2, &[2048])];
    check("weighed", &device, &x, &|t| {
        ops::rms_norm(&t[0], Some(&t[1]), 1e-6)
    });
    let angles = noise(4, &[9, 48]);
    check("rope", &device, &[noise(1, &[2, 9, 96])], &|t| {
        let angles = angles.to_device(t[0].device())?;
        ops::rope(&t[0], &angles.cos()?, &angles.sin()?)
    });
}

#[test]
fn elements_and_channels_agree() {
    let Some(device) = gpu() else { return };
    let x = [(noise(1, &[3, 777]) * 4.0).unwrap()];
    check("gelu tanh", &device, &x, &|t| ops::gelu_tanh(&t[0]));
    check("gelu erf", &device, &x, &|t| ops::gelu_erf(&t[0]));
    check("silu", &device, &x, &|t| ops::silu(&t[0]));
    let x = noise(1, &[2, 24, 3, 17, 19]);
    let args = [x, noise(2, &[24]), noise(3, &[24])];
    check("group norm", &device, &args, &|t| {
        ops::group_norm_silu(&t[0], 4, Some(&t[1]), Some(&t[2]), 1e-6)
    });
    check("pixel norm", &device, &args, &|t| {
        ops::pixel_norm_modulate_silu(&t[0], &t[1], &t[2], 1e-6)
    });
}

#[test]
fn products_agree() {
    let Some(device) = gpu() else { return };
    for (rows, inputs, outputs) in [(5, 7, 3), (300, 256, 192), (1, 64, 1000)] {
        let args = [
            noise(1, &[rows, inputs]),
            noise(2, &[outputs, inputs]),
            noise(3, &[outputs]),
        ];
        for activation in [Activation::None, Activation::GeluTanh, Activation::Silu] {
            check("linear", &device, &args, &|t| {
                linear(&t[0], &t[1], Some(&t[2]), activation)
            });
        }
        check("plain", &device, &args[..2], &|t| {
            linear(&t[0], &t[1], None, Activation::None)
        });
    }
}

#[test]
fn attention_agrees() {
    let Some(device) = gpu() else { return };
    for (queries, keys, width) in [(33, 70, 64), (300, 513, 128), (5, 7, 20), (129, 64, 72)] {
        let heads = 3;
        let args = [
            noise(1, &[2, queries, heads * width]),
            noise(2, &[2, keys, heads * width]),
            noise(3, &[2, keys, heads * width]),
        ];
        let bias = (noise(4, &[2, keys]) * 3.0).unwrap();
        check("attention", &device, &args, &|t| {
            let bias = bias.to_device(t[0].device())?;
            let options = AttentionOptions::heads(heads).with_key_bias(bias);
            ops::attention(&t[0], &t[1], &t[2], &options)
        });
    }
}

#[test]
fn convolutions_agree() {
    let Some(device) = gpu() else { return };
    let strided = Conv3dOptions {
        stride: [2, 2, 2],
        ..Conv3dOptions::causal()
    };
    let grouped = Conv3dOptions {
        groups: 2,
        ..Conv3dOptions::same(TimePadding::Zeros(1, 1), 1)
    };
    for options in [
        Conv3dOptions::causal(),
        Conv3dOptions::symmetric(),
        strided,
        grouped,
    ] {
        let args = [
            noise(1, &[2, 20, 5, 9, 11]),
            noise(2, &[34, 20 / options.groups, 3, 3, 3]),
            noise(3, &[34]),
        ];
        check("conv3d", &device, &args, &|t| {
            ops::conv3d(&t[0], &t[1], Some(&t[2]), &options)
        });
    }
    let args = [noise(1, &[2, 3, 30, 31]), noise(2, &[16, 3, 7, 7])];
    check("conv2d", &device, &args, &|t| {
        ops::conv2d(&t[0], &t[1], None, &Conv2dOptions::new(2, 3))
    });
}

#[test]
fn eight_bits_are_near() {
    let Some(device) = gpu() else { return };
    let on = |x: Tensor| x.to_dtype(DType::BF16).unwrap().to_device(&device).unwrap();
    let (x, weight) = (on(noise(1, &[77, 256])), on(noise(2, &[192, 256])));
    let layer = nn::layers::Linear::new(weight, Some(on(noise(3, &[192]))));
    let small = layer.in_eight_bits().unwrap();
    assert_near(
        "weight",
        &small.restored_weight().unwrap(),
        layer.weight(),
        0.04,
    );
    let (got, wanted) = (small.forward(&x).unwrap(), layer.forward(&x).unwrap());
    assert_near("product", &got, &wanted, 0.05);
}

#[test]
fn recorded_steps_replay() {
    let Some(device) = gpu() else { return };
    let on = |x: Tensor| x.to_device(&device).unwrap();
    let input = Var::from_tensor(&on(noise(1, &[64, 128]))).unwrap();
    let weight = on(noise(2, &[128, 128]));
    let x = input.as_detached_tensor();
    let step = || ops::gelu_tanh(&linear(&x, &weight, None, Activation::None)?);
    let (graph, result) = nn::gpu::Graph::record(&device, step).unwrap();
    for seed in [3, 4] {
        input.set(&on(noise(seed, &[64, 128]))).unwrap();
        graph.replay().unwrap();
        nn::gpu::wait(&device).unwrap();
        let wanted = step().unwrap();
        assert_near("replay", &result, &wanted, 1e-6);
    }
}

#[test]
fn streamed_blocks_are_the_blocks() {
    let Some(device) = gpu() else { return };
    let blocks: Vec<Vec<Tensor>> = (0..5)
        .map(|i| vec![noise(i, &[257, 64]), noise(i + 9, &[64])])
        .collect();
    let mut streaming = nn::gpu::Streaming::new(&device, &blocks).unwrap();
    for round in 0..3 {
        for (i, block) in blocks.iter().enumerate() {
            let here = streaming.block(i).unwrap();
            for (here, there) in here.iter().zip(block) {
                let sum = here.affine(2.0, f64::from(round)).unwrap();
                let wanted = there.affine(2.0, f64::from(round)).unwrap();
                assert_near("block", &sum, &wanted, 1e-6);
            }
        }
    }
}
