//! Times the hot operations: `cargo run --release -p nn --example bench_ops [filter] [--rounds N] [--cpu]`.
//!
//! Prints a name, the median and the least time in milliseconds and, where that says
//! something, the rate. `tools/bench/torch_ops.py` prints the same lines for PyTorch.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::Instant;

use nn::layers::{Attention, Linear};
use nn::ops::{self, Activation, AttentionOptions, Conv3dOptions};
use nn::weights::View;
use nn::{DType, Device, Result, Tensor, Var};

struct Bench {
    filter: String,
    rounds: usize,
    /// Processor time of all threads instead of the clock's, for busy machines.
    cpu: bool,
}

impl Bench {
    fn run(&self, name: &str, flop: f64, mut f: impl FnMut() -> Result<Tensor>) -> Result<()> {
        if !name.contains(&self.filter) {
            return Ok(());
        }
        f()?;
        let mut times = Vec::with_capacity(self.rounds);
        for _ in 0..self.rounds {
            let (start, used) = (Instant::now(), cpu_time());
            let result = f()?;
            let seconds = if self.cpu {
                cpu_time() - used
            } else {
                start.elapsed().as_secs_f64()
            };
            times.push(seconds * 1e3);
            drop(result);
        }
        times.sort_by(f64::total_cmp);
        let (median, least) = (times[times.len() / 2], times[0]);
        let rate = if flop > 0.0 {
            format!("  {:7.0} GFLOP/s", flop / median / 1e6)
        } else {
            String::new()
        };
        println!("{name:<36} median {median:9.3} ms  least {least:9.3} ms{rate}");
        Ok(())
    }
}

/// Seconds of processor time that this process has used (Linux; 0 elsewhere).
fn cpu_time() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return 0.0;
    };
    let used = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    used.sum::<f64>() * 1e-9
}

fn noise(shape: &[usize], dtype: DType) -> Result<Tensor> {
    (Tensor::randn(0f32, 1.0, shape, &Device::Cpu)? * 0.1)?.to_dtype(dtype)
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rounds = args
        .iter()
        .position(|a| a == "--rounds")
        .and_then(|i| args.get(i + 1)?.parse().ok())
        .unwrap_or(15);
    let filter = args
        .first()
        .filter(|a| !a.starts_with("--"))
        .cloned()
        .unwrap_or_default();
    let bench = Bench {
        filter,
        rounds,
        cpu: args.iter().any(|a| a == "--cpu"),
    };
    println!(
        "level {}, {} threads",
        nn::device::cpu_level().name(),
        nn::device::threads()
    );
    for (dtype, suffix) in [(DType::F32, "f32"), (DType::BF16, "bf16")] {
        products(&bench, dtype, suffix)?;
        rest(&bench, dtype, suffix)?;
        block(&bench, dtype, suffix)?;
    }
    Ok(())
}

fn products(bench: &Bench, dtype: DType, suffix: &str) -> Result<()> {
    for (m, k, n) in [(1024, 2048, 2048), (2048, 4096, 1024)] {
        let layer = Linear::new(noise(&[n, k], dtype)?, Some(noise(&[n], dtype)?));
        let x = noise(&[m, k], dtype)?;
        let flop = 2.0 * (m * k * n) as f64;
        bench.run(&format!("linear {m}x{k}x{n} {suffix}"), flop, || {
            layer.forward(&x)
        })?;
        let (w, b) = (noise(&[n, k], dtype)?, noise(&[n], dtype)?);
        bench.run(
            &format!("linear-unpacked {m}x{k}x{n} {suffix}"),
            flop,
            || ops::linear(&x, &w, Some(&b), Activation::None),
        )?;
        let (xv, wv) = (Var::from_tensor(&x)?, Var::from_tensor(&w)?);
        bench.run(
            &format!("linear-train {m}x{k}x{n} {suffix}"),
            3.0 * flop,
            || {
                let y = ops::linear(xv.as_tensor(), wv.as_tensor(), None, Activation::None)?;
                let grads = y.backward()?;
                grads
                    .get(&wv)
                    .cloned()
                    .ok_or_else(|| nn_error("no gradient"))
            },
        )?;
    }
    let (h, n, d) = (16, 1536, 64);
    let q = noise(&[1, n, h * d], dtype)?;
    let options = AttentionOptions::heads(h);
    let flop = 4.0 * (h * n * n * d) as f64;
    bench.run(&format!("attention 16x1536x64 {suffix}"), flop, || {
        ops::attention(&q, &q, &q, &options)
    })?;
    let v: Vec<Var> = (0..3)
        .map(|_| Var::from_tensor(&q))
        .collect::<Result<_>>()?;
    bench.run(
        &format!("attention-train 16x1536x64 {suffix}"),
        3.5 * flop,
        || {
            let y = ops::attention(
                v[0].as_tensor(),
                v[1].as_tensor(),
                v[2].as_tensor(),
                &options,
            )?;
            let grads = y.backward()?;
            grads
                .get(&v[1])
                .cloned()
                .ok_or_else(|| nn_error("no gradient"))
        },
    )?;
    let x = noise(&[1, 128, 9, 32, 32], dtype)?;
    let w = noise(&[128, 128, 3, 3, 3], dtype)?;
    let flop = 2.0 * 128.0 * 128.0 * 27.0 * 9216.0;
    bench.run(&format!("conv3d 128x9x32x32 {suffix}"), flop, || {
        ops::conv3d(&x, &w, None, &Conv3dOptions::symmetric())
    })?;
    let (xv, wv) = (Var::from_tensor(&x)?, Var::from_tensor(&w)?);
    bench.run(
        &format!("conv3d-train 128x9x32x32 {suffix}"),
        3.0 * flop,
        || {
            let y = ops::conv3d(
                xv.as_tensor(),
                wv.as_tensor(),
                None,
                &Conv3dOptions::symmetric(),
            )?;
            let grads = y.backward()?;
            grads
                .get(&wv)
                .cloned()
                .ok_or_else(|| nn_error("no gradient"))
        },
    )
}

fn rest(bench: &Bench, dtype: DType, suffix: &str) -> Result<()> {
    let x = noise(&[1, 1536, 4096], dtype)?;
    bench.run(&format!("gelu 1536x4096 {suffix}"), 0.0, || {
        ops::gelu_tanh(&x)
    })?;
    let x = noise(&[1, 1536, 1024], dtype)?;
    let table = noise(&[1, 1, 1024], dtype)?;
    bench.run(&format!("rms-modulate 1536x1024 {suffix}"), 0.0, || {
        ops::rms_norm_modulate(&x, &table, &table, 1e-6)
    })?;
    let angles = noise(&[1536, 512], DType::F32)?;
    bench.run(&format!("rope 1536x1024 {suffix}"), 0.0, || {
        ops::rope(&x, &angles, &angles)
    })?;
    let x = noise(&[1, 128, 9, 64, 64], dtype)?;
    bench.run(
        &format!("pixel-norm-silu 128x9x64x64 {suffix}"),
        0.0,
        || ops::pixel_norm_silu(&x, 1e-8),
    )?;
    bench.run(
        &format!("group-norm-silu 128x9x64x64 {suffix}"),
        0.0,
        || ops::group_norm_silu(&x, 32, None, None, 1e-6),
    )
}

/// A block of the LTX transformer: 1024 wide, 16 heads, 1536 tokens, 64 text tokens.
fn block(bench: &Bench, dtype: DType, suffix: &str) -> Result<()> {
    const WIDTH: usize = 1024;
    const TOKENS: usize = 1536;
    let mut tensors = std::collections::BTreeMap::new();
    for attention in ["attn1", "attn2"] {
        for part in ["to_q", "to_k", "to_v", "to_out.0"] {
            tensors.insert(
                format!("{attention}.{part}.weight"),
                noise(&[WIDTH, WIDTH], dtype)?,
            );
            tensors.insert(format!("{attention}.{part}.bias"), noise(&[WIDTH], dtype)?);
        }
        for part in ["q_norm", "k_norm"] {
            tensors.insert(
                format!("{attention}.{part}.weight"),
                noise(&[WIDTH], dtype)?,
            );
        }
    }
    for (name, outputs, inputs) in [("up", 4 * WIDTH, WIDTH), ("down", WIDTH, 4 * WIDTH)] {
        tensors.insert(format!("{name}.weight"), noise(&[outputs, inputs], dtype)?);
        tensors.insert(format!("{name}.bias"), noise(&[outputs], dtype)?);
    }
    let view = View::of_tensors(tensors, dtype, &Device::Cpu);
    let attention = |name: &str| Attention::load(&view.at(name), WIDTH, WIDTH, WIDTH, 16, 1e-5);
    let (own, text) = (attention("attn1")?, attention("attn2")?);
    let up = Linear::load(&view.at("up"), WIDTH, 4 * WIDTH)?;
    let down = Linear::load(&view.at("down"), 4 * WIDTH, WIDTH)?;
    let tables: Vec<Tensor> = (0..6)
        .map(|_| noise(&[1, 1, WIDTH], dtype))
        .collect::<Result<_>>()?;
    let angles = noise(&[TOKENS, WIDTH / 2], DType::F32)?;
    let (cos, sin) = (angles.cos()?, angles.sin()?);
    let (x, context) = (
        noise(&[1, TOKENS, WIDTH], dtype)?,
        noise(&[1, 64, WIDTH], dtype)?,
    );
    let forward = |x: &Tensor| -> Result<Tensor> {
        let n = ops::rms_norm_modulate(x, &tables[1], &tables[0], 1e-6)?;
        let a = own.forward(&n, None, Some((&cos, &sin)), None)?;
        let x = ops::gate_add(x, &tables[2], &a)?;
        let x = (&x + text.forward(&x, Some(&context), None, None)?)?;
        let n = ops::rms_norm_modulate(&x, &tables[4], &tables[3], 1e-6)?;
        let f = down.forward(&up.forward_act(&n, Activation::GeluTanh)?)?;
        ops::gate_add(&x, &tables[5], &f)
    };
    bench.run(&format!("dit-block 1024x1536 {suffix}"), 55.4e9, || {
        forward(&x)
    })?;
    let xv = Var::from_tensor(&x)?;
    bench.run(
        &format!("dit-block-train-x 1024x1536 {suffix}"),
        0.0,
        || {
            let grads = forward(xv.as_tensor())?.backward()?;
            grads
                .get(&xv)
                .cloned()
                .ok_or_else(|| nn_error("no gradient"))
        },
    )
}

fn nn_error(text: &str) -> candle_core::Error {
    candle_core::Error::Msg(text.to_owned())
}
