//! What is timed.

use candle_core::{DType, Device, Result, Tensor, Var};

use super::block::{Block, SMALL, TOKENS, WIDTH};
use super::{Case, Run};
use crate::layers::Linear;
use crate::ops::{self, Activation, AttentionOptions, Conv3dOptions};
use crate::tape::recorded;

pub(super) fn noise(shape: &[usize], dtype: DType) -> Result<Tensor> {
    (Tensor::randn(0f32, 1.0, shape, &Device::Cpu)? * 0.1)?.to_dtype(dtype)
}

/// A run that drops its result.
pub(super) fn forward(f: impl Fn() -> Result<Tensor> + 'static) -> Run {
    Box::new(move || f().map(drop))
}

/// A run that takes the gradients of the sum of the result.
pub(super) fn train(f: impl Fn() -> Result<Tensor> + 'static) -> Run {
    Box::new(move || {
        let (result, tape) = recorded(&f);
        tape.backward(&result?).map(drop)
    })
}

/// All cases, in the order in which they are told.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for dtype in [DType::BF16, DType::F32] {
        products(&mut cases, dtype);
        convolution(&mut cases, dtype);
        elements(&mut cases, dtype);
        blocks(&mut cases, dtype);
    }
    cases
}

fn products(cases: &mut Vec<Case>, dtype: DType) {
    for (m, k, n) in [(1024, 2048, 2048), (2048, 4096, 1024)] {
        let flop = 2.0 * (m * k * n) as f64;
        let name = format!("linear {m}x{k}x{n}");
        cases.push(Case::new(&name, dtype, flop, move || {
            let layer = Linear::new(noise(&[n, k], dtype)?, Some(noise(&[n], dtype)?));
            let x = noise(&[m, k], dtype)?;
            Ok(forward(move || layer.forward(&x)))
        }));
        let name = format!("linear-train {m}x{k}x{n}");
        cases.push(Case::new(name, dtype, 3.0 * flop, move || {
            let x = Var::from_tensor(&noise(&[m, k], dtype)?)?;
            let w = Var::from_tensor(&noise(&[n, k], dtype)?)?;
            Ok(train(move || {
                ops::linear(x.as_tensor(), w.as_tensor(), None, Activation::None)
            }))
        }));
    }
    let (h, n, d) = (16, 1536, 64);
    let flop = 4.0 * (h * n * n * d) as f64;
    let options = AttentionOptions::heads(h);
    let forward_options = options.clone();
    cases.push(Case::new("attention 16x1536x64", dtype, flop, move || {
        let q = noise(&[1, n, h * d], dtype)?;
        let options = forward_options.clone();
        Ok(forward(move || ops::attention(&q, &q, &q, &options)))
    }));
    let flop = 3.5 * flop;
    cases.push(Case::new(
        "attention-train 16x1536x64",
        dtype,
        flop,
        move || {
            let x = noise(&[1, n, h * d], dtype)?;
            let [q, k, v] = [
                Var::from_tensor(&x)?,
                Var::from_tensor(&x)?,
                Var::from_tensor(&x)?,
            ];
            let options = options.clone();
            Ok(train(move || {
                ops::attention(q.as_tensor(), k.as_tensor(), v.as_tensor(), &options)
            }))
        },
    ));
}

fn convolution(cases: &mut Vec<Case>, dtype: DType) {
    const SIZE: [usize; 5] = [1, 128, 9, 32, 32];
    const KERNEL: [usize; 5] = [128, 128, 3, 3, 3];
    let flop = 2.0 * 128.0 * 128.0 * 27.0 * 9216.0;
    cases.push(Case::new("conv3d 128x9x32x32", dtype, flop, move || {
        let (x, layer) = (noise(&SIZE, dtype)?, noise(&KERNEL, dtype)?);
        Ok(forward(move || {
            ops::conv3d(&x, &layer, None, &Conv3dOptions::symmetric())
        }))
    }));
    let flop = 3.0 * flop;
    cases.push(Case::new(
        "conv3d-train 128x9x32x32",
        dtype,
        flop,
        move || {
            let x = Var::from_tensor(&noise(&SIZE, dtype)?)?;
            let w = Var::from_tensor(&noise(&KERNEL, dtype)?)?;
            Ok(train(move || {
                let options = Conv3dOptions::symmetric();
                ops::conv3d(x.as_tensor(), w.as_tensor(), None, &options)
            }))
        },
    ));
}

fn elements(cases: &mut Vec<Case>, dtype: DType) {
    cases.push(Case::new("gelu 1536x4096", dtype, 0.0, move || {
        let x = noise(&[1, 1536, 4096], dtype)?;
        Ok(forward(move || ops::gelu_tanh(&x)))
    }));
    cases.push(Case::new("rms-modulate 1536x1024", dtype, 0.0, move || {
        let x = noise(&[1, TOKENS, WIDTH], dtype)?;
        let table = noise(&[1, 1, WIDTH], dtype)?;
        Ok(forward(move || {
            ops::rms_norm_modulate(&x, &table, &table, 1e-6)
        }))
    }));
    cases.push(Case::new("rope 1536x1024", dtype, 0.0, move || {
        let x = noise(&[1, TOKENS, WIDTH], dtype)?;
        let angles = noise(&[TOKENS, WIDTH / 2], DType::F32)?;
        Ok(forward(move || ops::rope(&x, &angles, &angles)))
    }));
    let size = [1, 128, 9, 64, 64];
    cases.push(Case::new(
        "pixel-norm-silu 128x9x64x64",
        dtype,
        0.0,
        move || {
            let x = noise(&size, dtype)?;
            Ok(forward(move || ops::pixel_norm_silu(&x, 1e-8)))
        },
    ));
    cases.push(Case::new(
        "group-norm-silu 128x9x64x64",
        dtype,
        0.0,
        move || {
            let x = noise(&size, dtype)?;
            Ok(forward(move || {
                ops::group_norm_silu(&x, 32, None, None, 1e-6)
            }))
        },
    ));
}

fn blocks(cases: &mut Vec<Case>, dtype: DType) {
    cases.push(Case::new("dit-block 1024x1536", dtype, 55.4e9, move || {
        let block = Block::new(SMALL, dtype, false)?;
        let x = noise(&[1, TOKENS, WIDTH], dtype)?;
        Ok(forward(move || block.forward(&x, None)))
    }));
    cases.push(Case::new("dit-block-sparse 154", dtype, 0.0, move || {
        let block = Block::new(SMALL, dtype, false)?;
        let (block, x) = block.sparse(TOKENS / 10 + 1, dtype)?;
        let memory = block.memory(&noise(&[1, TOKENS - x.dim(1)?, WIDTH], dtype)?)?;
        Ok(forward(move || block.forward(&x, Some(&memory))))
    }));
    cases.push(Case::new(
        "dit-block-train-x 1024x1536",
        dtype,
        0.0,
        move || {
            let block = Block::new(SMALL, dtype, false)?;
            let x = Var::from_tensor(&noise(&[1, TOKENS, WIDTH], dtype)?)?;
            Ok(train(move || block.forward(x.as_tensor(), None)))
        },
    ));
    cases.push(Case::new(
        "dit-block-train 1024x1536",
        dtype,
        0.0,
        move || {
            let block = Block::new(SMALL, dtype, true)?;
            let x = Var::from_tensor(&noise(&[1, TOKENS, WIDTH], dtype)?)?;
            Ok(train(move || block.forward(x.as_tensor(), None)))
        },
    ));
}
