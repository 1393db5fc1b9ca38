//! What is timed on a GPU: products up to the machine's peak, attention, convolution, and
//! the block of the 13B transformer at 34,680 tokens (10 s of 960x544 at 24 pictures a
//! second), dense, in 8 bits and with its context's keys and values kept.

use std::io::{BufRead, Write};

use candle_core::{DType, Device, Result, Tensor, Var};

use super::block::{Block, Size};
use super::cases::noise;
use super::{Case, Run, serve_cases};
use crate::layers::Linear;
use crate::ops::{self, AttentionOptions, Conv3dOptions};

/// The 13B transformer's width, heads and text tokens.
const WIDTH: usize = 4096;
const HEADS: usize = 32;
const TEXT: usize = 256;
const TOKENS: usize = 34_680;
/// A tenth of the tokens, as where only a mouth is made.
const FEW: usize = TOKENS / 10;

/// Serves the GPU's cases as [`super::serve`] serves the processor's; runs end when the
/// GPU has done them, and memory is the GPU's.
///
/// # Errors
/// When input or output break.
pub fn serve_gpu(device: &Device, input: impl BufRead, output: impl Write) -> std::io::Result<()> {
    let name = crate::gpu::about(device).map_or_else(|error| error.to_string(), |gpu| gpu.name);
    let version = format!("reword {} ({name})", env!("CARGO_PKG_VERSION"));
    let first = |case: &Case| {
        let mut run = case.prepare()?;
        crate::gpu::wait(device)?;
        let before = crate::gpu::taken(device)?;
        crate::gpu::forget_peak(device)?;
        run()?;
        Ok((run, crate::gpu::peak(device)?.saturating_sub(before)))
    };
    serve_cases(&gpu_cases(device), &version, first, input, output)
}

/// A run that drops its result when the GPU has made it.
fn forward(device: &Device, f: impl Fn() -> Result<Tensor> + 'static) -> Run {
    let device = device.clone();
    Box::new(move || {
        let result = f()?;
        crate::gpu::wait(&device)?;
        drop(result);
        Ok(())
    })
}

fn train(device: &Device, f: impl Fn() -> Result<Tensor> + 'static) -> Run {
    let device = device.clone();
    Box::new(move || {
        let gradients = f()?.backward()?;
        crate::gpu::wait(&device)?;
        drop(gradients);
        Ok(())
    })
}

/// All cases on a GPU, in the order in which they are told.
pub fn gpu_cases(device: &Device) -> Vec<Case> {
    let mut cases = Vec::new();
    for (m, k, n) in [
        (8192, 8192, 8192),
        (TOKENS, WIDTH, WIDTH),
        (TOKENS, WIDTH, 4 * WIDTH),
    ] {
        for eight_bits in [false, true] {
            product(&mut cases, device, (m, k, n), eight_bits);
        }
    }
    attention(&mut cases, device);
    convolution(&mut cases, device);
    blocks(&mut cases, device);
    cases
}

fn on(device: &Device, shape: &[usize]) -> Result<Tensor> {
    noise(shape, DType::BF16)?.to_device(device)
}

fn product(
    cases: &mut Vec<Case>,
    device: &Device,
    (m, k, n): (usize, usize, usize),
    eight_bits: bool,
) {
    let kind = if eight_bits { "linear-8bit" } else { "linear" };
    let (name, device) = (format!("{kind} {m}x{k}x{n}"), device.clone());
    let flop = 2.0 * m as f64 * k as f64 * n as f64;
    cases.push(Case::new(name, DType::BF16, flop, move || {
        let layer = Linear::new(on(&device, &[n, k])?, Some(on(&device, &[n])?));
        let layer = if eight_bits {
            layer.in_eight_bits()?
        } else {
            layer
        };
        let x = on(&device, &[m, k])?;
        Ok(forward(&device, move || layer.forward(&x)))
    }));
}

fn attention(cases: &mut Vec<Case>, device: &Device) {
    let width = WIDTH / HEADS;
    let flop = |n: usize| 4.0 * (HEADS * width) as f64 * (n * n) as f64;
    let (name, here) = (
        format!("attention {HEADS}x{TOKENS}x{width}"),
        device.clone(),
    );
    cases.push(Case::new(name, DType::BF16, flop(TOKENS), move || {
        let x = on(&here, &[1, TOKENS, WIDTH])?;
        let options = AttentionOptions::heads(HEADS);
        Ok(forward(&here, move || ops::attention(&x, &x, &x, &options)))
    }));
    let tokens = 8192;
    let (name, here) = (
        format!("attention-train {HEADS}x{tokens}x{width}"),
        device.clone(),
    );
    cases.push(Case::new(
        name,
        DType::BF16,
        3.5 * flop(tokens),
        move || {
            let x = on(&here, &[1, tokens, WIDTH])?;
            let [q, k, v] = [
                Var::from_tensor(&x)?,
                Var::from_tensor(&x)?,
                Var::from_tensor(&x)?,
            ];
            let options = AttentionOptions::heads(HEADS);
            Ok(train(&here, move || {
                ops::attention(q.as_tensor(), k.as_tensor(), v.as_tensor(), &options)
            }))
        },
    ));
}

fn convolution(cases: &mut Vec<Case>, device: &Device) {
    const SIZE: [usize; 5] = [1, 256, 9, 128, 128];
    const KERNEL: [usize; 5] = [256, 256, 3, 3, 3];
    let flop = 2.0 * 256.0 * 256.0 * 27.0 * f64::from(9 * 128 * 128);
    let here = device.clone();
    let name = "conv3d 256x9x128x128";
    cases.push(Case::new(name, DType::BF16, flop, move || {
        let (x, w) = (on(&here, &SIZE)?, on(&here, &KERNEL)?);
        let options = Conv3dOptions::symmetric();
        Ok(forward(&here, move || ops::conv3d(&x, &w, None, &options)))
    }));
    let here = device.clone();
    let name = "conv3d-train 256x9x128x128";
    cases.push(Case::new(name, DType::BF16, 3.0 * flop, move || {
        let x = Var::from_tensor(&on(&here, &SIZE)?)?;
        let w = Var::from_tensor(&on(&here, &KERNEL)?)?;
        let options = Conv3dOptions::symmetric();
        Ok(train(&here, move || {
            ops::conv3d(x.as_tensor(), w.as_tensor(), None, &options)
        }))
    }));
}

/// Multiplications and additions of a block: `queries` tokens that see `keys`.
fn block_flop(queries: usize, keys: usize) -> f64 {
    let (width, queries) = (WIDTH as f64, queries as f64);
    // Four projections of its own, two of the text's that tokens take part in, two of the FFN.
    let products = 2.0 * queries * width * width * (4.0 + 2.0 + 8.0);
    products + 4.0 * queries * (keys + TEXT) as f64 * width
}

fn blocks(cases: &mut Vec<Case>, device: &Device) {
    let size = Size {
        width: WIDTH,
        tokens: TOKENS,
        text: TEXT,
        heads: HEADS,
        device: device.clone(),
    };
    for eight_bits in [false, true] {
        let kind = if eight_bits {
            "ltx-block-8bit"
        } else {
            "ltx-block"
        };
        let (name, size) = (format!("{kind} {WIDTH}x{TOKENS}"), size.clone());
        let flop = block_flop(TOKENS, TOKENS);
        cases.push(Case::new(name, DType::BF16, flop, move || {
            let device = size.device.clone();
            let block = Block::new(size.clone(), DType::BF16, false)?;
            let block = if eight_bits {
                block.in_eight_bits()?
            } else {
                block
            };
            let x = on(&device, &[1, TOKENS, WIDTH])?;
            Ok(forward(&device, move || block.forward(&x, None)))
        }));
    }
    let name = format!("ltx-block-kept {WIDTH}x{FEW}");
    let flop = block_flop(FEW, TOKENS);
    cases.push(Case::new(name, DType::BF16, flop, move || {
        let device = size.device.clone();
        let block = Block::new(size.clone(), DType::BF16, false)?;
        let (block, x) = block.sparse(FEW, DType::BF16)?;
        let kept = block.memory(&on(&device, &[1, TOKENS - FEW, WIDTH])?)?;
        Ok(forward(&device, move || block.forward(&x, Some(&kept))))
    }));
}
