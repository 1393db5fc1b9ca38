//! Times one training step of `tiny`'s transformer and sound encoder: forward, backward, optimiser, average.
//!
//!     cargo run --release -p train --example step [--bf16] [--rounds N] [--cpu] [--again]
//!
//! `--again` runs blocks again in the backward pass instead of keeping what they computed. The last line is the most memory
//! that the process had. `tools/bench/torch_step.py` prints the same line for PyTorch: same weights, same sizes.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use models::ModelFile;
use nn::tape::recorded;
use train::average::Average;
use train::conditions::Conditions;
use train::gradients::Gradients;
use train::loss;
use train::noise;
use train::optimiser::Optimiser;
use train::pattern::Patterns;
use train::random::{Draw, Purpose};
use train::recipe::Recipe;
use train::stage::{Network, Noised, Window};
use train::{Parameters, Result};

/// Clips, copies of each, latents.
const SIZES: (usize, usize, usize) = (4, 2, 7);

fn main() -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    nn::device::share_one_pool();
    let arguments: Vec<String> = std::env::args().collect();
    let has = |flag: &str| arguments.iter().any(|a| a == flag);
    let rounds = arguments
        .iter()
        .position(|a| a == "--rounds")
        .and_then(|at| arguments.get(at + 1)?.parse().ok())
        .unwrap_or(7);
    let dtype = if has("--bf16") {
        DType::BF16
    } else {
        DType::F32
    };
    let (by_cpu, again) = (has("--cpu"), has("--again"));
    let worker = std::thread::Builder::new().stack_size(256 << 20);
    let worker = worker.spawn(move || run(dtype, rounds, by_cpu, again))?;
    worker.join().map_err(|_| "the worker broke down")??;
    Ok(())
}

fn run(dtype: DType, rounds: usize, by_cpu: bool, again: bool) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let recipe = Recipe::open(&root.join("recipes/tiny-3-transformer.toml"))?;
    let file = ModelFile::open(root.join("assets/models/tiny.safetensors"))?;
    let names = file.shapes();
    let meant = |patterns: &Patterns| {
        let fits = |p: &&String| {
            Patterns(vec![(*p).clone()])
                .idle(names.keys().map(String::as_str))
                .is_none()
        };
        Patterns(patterns.0.iter().filter(fits).cloned().collect())
    };
    let parameters = Parameters::of_file(
        &file,
        &meant(&recipe.model.train),
        &meant(&recipe.model.freeze),
    )?;
    let trained: Vec<String> = parameters.trained().keys().cloned().collect();
    let mut optimiser = Optimiser::new(&parameters, recipe.optimiser.groups(&trained))?;
    let mut average = Average::new(&parameters, 0.99)?;
    let windows = windows(&parameters)?;
    let mut times = Vec::new();
    let mut laps = Vec::new();
    for round in 0..=rounds {
        let mut clock = Clock::new(by_cpu);
        let round_at = (round as u64, again);
        let gradients = gradients(&parameters, dtype, &windows, round_at, &mut clock)?;
        optimiser.step(&parameters, &gradients, 1e-3)?;
        clock.lap("optimiser");
        average.update(&parameters)?;
        clock.lap("average");
        // The first round warms up.
        if round > 0 {
            times.push(clock.total());
            laps = clock.laps;
        }
    }
    times.sort_by(f64::total_cmp);
    let name = format!(
        "training step {}",
        if dtype == DType::BF16 { "bf16" } else { "f32" }
    );
    let at = |n: usize| times.get(n).copied().unwrap_or(f64::NAN);
    println!(
        "{name:<36} median {:9.3} ms  least {:9.3} ms",
        at(times.len() / 2),
        at(0)
    );
    for (name, milliseconds) in laps {
        println!("  {name:<34} last   {milliseconds:9.3} ms");
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM")) {
        println!("  {peak}");
    }
    Ok(())
}

/// Times the parts of a step, by the clock or by the processor time of all threads.
struct Clock {
    by_cpu: bool,
    start: Instant,
    last: f64,
    laps: Vec<(&'static str, f64)>,
}

impl Clock {
    fn new(by_cpu: bool) -> Self {
        let mut clock = Self {
            by_cpu,
            start: Instant::now(),
            last: 0.0,
            laps: Vec::new(),
        };
        clock.last = clock.now();
        clock
    }

    fn now(&self) -> f64 {
        if self.by_cpu {
            cpu_time()
        } else {
            self.start.elapsed().as_secs_f64()
        }
    }

    fn lap(&mut self, name: &'static str) {
        let now = self.now();
        self.laps.push((name, (now - self.last) * 1e3));
        self.last = now;
    }

    fn total(&self) -> f64 {
        self.laps.iter().map(|(_, milliseconds)| milliseconds).sum()
    }
}

fn windows(parameters: &Parameters) -> Result<Vec<Window>> {
    let network = Network::of_parameters(parameters, &parameters.tracked(), None, DType::F32)?;
    let (clips, _, latents) = SIZES;
    (0..clips as u64)
        .map(|n| {
            let mut draw = Draw::new(0, Purpose::Noise, 0, n);
            let cells = network.cells.all().len();
            Ok(Window {
                context: draw.normals(&[latents, cells, 128])?,
                clean: draw.normals(&[latents, cells, 128])?,
                references: draw.normals(&[3, network.cells.inside.len(), 128])?,
                first: 1,
                rate: 25.0,
                mel: Arc::new((0..400 * 80).map(|_| 0.3 * draw.normal() as f32).collect()),
                sound: (1..=latents)
                    .map(|n| network.cells.sound_frames(n))
                    .collect(),
                readings: None,
                openings: None,
                taught: None,
            })
        })
        .collect()
}

fn gradients(
    parameters: &Parameters,
    dtype: DType,
    windows: &[Window],
    round: (u64, bool),
    clock: &mut Clock,
) -> Result<Gradients> {
    let (total, tape) = recorded(|| forward(parameters, dtype, windows, round, clock));
    let gradients = Gradients::take(&tape.backward(&total?)?, parameters)?;
    clock.lap("backward");
    Ok(gradients)
}

/// The loss of one step.
fn forward(
    parameters: &Parameters,
    dtype: DType,
    windows: &[Window],
    round: (u64, bool),
    clock: &mut Clock,
) -> Result<Tensor> {
    let mut network = Network::of_parameters(parameters, &parameters.tracked(), None, dtype)?;
    let (round, again) = round;
    network.transformer.set_checkpointing(again);
    let conditions = Conditions {
        audio: true,
        first_frame: false,
        video: true,
        identity: true,
        text: true,
    };
    let heard = windows
        .iter()
        .map(|w| network.hear(w))
        .collect::<Result<Vec<_>>>()?;
    clock.lap("sound encoder");
    let (clips, copies, _) = SIZES;
    let clean = windows
        .iter()
        .map(|w| network.clean(w, conditions))
        .collect::<Result<Vec<_>>>()?;
    let clean = Tensor::cat(&vec![Tensor::cat(&clean, 0)?; copies], 0)?;
    let noise = Draw::new(1, Purpose::Noise, round, 0).normals(clean.dims())?;
    let count = clips * copies;
    let times = Tensor::full(0.8_f32, (count, 1, 1), &Device::Cpu)?;
    let noised = Noised {
        window: (0..count).map(|n| (n % clips) as u32).collect(),
        tokens: noise::noised(&clean, &noise, &times)?,
        times: vec![0.8; count],
        sound: vec![true; count],
    };
    let velocity = network.velocities(windows, &heard, conditions, &noised)?;
    let total = loss::masked_flow(&velocity, &noise::velocity(&clean, &noise)?, None)?;
    clock.lap("transformer");
    Ok(total)
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
    used.sum::<f64>() / 1e9
}
