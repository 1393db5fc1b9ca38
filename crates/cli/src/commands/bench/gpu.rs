//! `reword bench gpu`: the large model's operations and its block on a GPU, beside PyTorch's
//! with diffusers' block, in two processes that take turns.

use crate::arguments::BenchArguments;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;

/// The name under which this program serves cases to itself.
pub(super) const SERVE: &str = "gpu-serve";

/// What is said where there is no GPU.
fn nothing(reason: &str) -> Failure {
    Failure::missing(format!("there is no GPU to measure: {reason}"))
        .with_hint("docs/gpu.md says what to build and to run on a machine that has one")
}

#[cfg(not(feature = "cuda"))]
mod measured {
    use super::{BenchArguments, Failure, Settings, Terminal, nothing};

    const REASON: &str = "this build computes on the processor alone";

    /// Says that there is nothing to run.
    pub(in super::super) fn run(
        _: &BenchArguments,
        _: &Settings,
        _: &Terminal,
    ) -> Result<(), Failure> {
        Err(nothing(REASON))
    }

    /// See [`run`].
    pub(in super::super) fn serve(_: &Settings) -> Result<(), Failure> {
        Err(nothing(REASON))
    }
}

#[cfg(feature = "cuda")]
mod measured {
    use super::super::ops::{Row, failure, table, tell};
    use super::super::page;
    use super::{BenchArguments, Failure, SERVE, Settings, Terminal, nothing};
    use nn::Device;
    use nn::bench::gpu_cases;
    use nn::bench::pair::{PairError, Side, compare};
    use std::fmt::Write as _;
    use std::process::Command;
    use std::time::Duration;

    const TWIN: &str = include_str!("../../../../../tools/bench/torch_gpu.py");

    /// The GPU that is asked for, or the first one.
    fn device(settings: &Settings) -> Result<Device, Failure> {
        if settings.device.is_cuda() {
            return Ok(settings.device.clone());
        }
        nn::device::open("cuda").map_err(|error| nothing(&error.to_string()))
    }

    /// Answers the other process.
    pub(in super::super) fn serve(settings: &Settings) -> Result<(), Failure> {
        let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
        nn::bench::serve_gpu(&device(settings)?, input, output)
            .map_err(|error| Failure::fault(error.to_string()))
    }

    /// Runs the command.
    pub(in super::super) fn run(
        arguments: &BenchArguments,
        settings: &Settings,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let device = device(settings)?;
        let wrong = |error: nn::Error| Failure::fault(error.to_string());
        let about = nn::gpu::about(&device).map_err(wrong)?;
        let prepared = nn::gpu::prepare(&device).map_err(wrong)?;
        let head = format!(
            "{} ({}, {} multiprocessors, {:.0} GiB); {} kernels loaded in {:.1} s, NVRTC {}.{}",
            about.name,
            about.architecture,
            about.multiprocessors,
            about.memory as f64 / f64::from(1 << 30),
            prepared.kernels,
            prepared.time.as_secs_f64(),
            prepared.compiler.0,
            prepared.compiler.1,
        );
        terminal.note(&head);
        let filter = arguments.filter.as_deref().unwrap_or_default();
        let (mut ours, mut theirs) = start(arguments, &device).map_err(failure)?;
        let torch = theirs.as_mut().map(Side::version).transpose();
        let torch = torch.map_err(failure)?;
        let mut rows = Vec::new();
        for case in gpu_cases(&device) {
            if !case.name.contains(filter) {
                continue;
            }
            if terminal.stopped() {
                return Err(Failure::stopped("stopped; nothing is written"));
            }
            // What has no twin is measured alone.
            let known = theirs
                .as_mut()
                .is_some_and(|side| side.prepare(&case.name).is_ok());
            let twin = if known { theirs.as_mut() } else { None };
            let limit = Duration::from_secs_f64(arguments.seconds.clamp(0.0, 3600.0));
            match compare(&case.name, &mut ours, twin, arguments.rounds, limit) {
                Ok(runs) => {
                    let row = Row::new(&case.name, case.flop, &runs, false);
                    tell(&row, terminal);
                    rows.push(row);
                }
                Err(error @ PairError::Refused { .. }) => {
                    terminal.note(&format!("{}: {error}", case.name));
                }
                Err(error) => return Err(failure(error)),
            }
        }
        let bars = bars(&rows);
        for line in &bars {
            terminal.note(line);
        }
        let Some(path) = &arguments.write else {
            return Ok(());
        };
        let against = torch.map_or_else(
            || "alone, as PyTorch was not found".to_owned(),
            |version| format!("in turns with PyTorch {version}"),
        );
        let mut body = format!(
            "{head}; {against}; {}.\n\n{}",
            page::machine(),
            table(&rows)
        );
        for line in bars {
            let _ = write!(body, "\n- {line}");
        }
        body.push('\n');
        page::write(path, &[("GPU".to_owned(), body)])
    }

    /// This program and, where it runs, PyTorch.
    fn start(
        arguments: &BenchArguments,
        device: &Device,
    ) -> Result<(Side, Option<Side>), PairError> {
        let program = std::env::current_exe().map_err(|source| PairError::Process {
            program: "reword".to_owned(),
            source,
        })?;
        let (name, number) = match device.location() {
            nn::DeviceLocation::Cuda { gpu_id } => (format!("cuda:{gpu_id}"), gpu_id),
            _ => ("cuda".to_owned(), 0),
        };
        let ours = Side::start(Command::new(program).args(["bench", SERVE, "--device", &name]))?;
        let mut python = Command::new(&arguments.python);
        python.args(["-c", TWIN, &format!("cuda:{number}")]);
        let theirs = Side::start(&mut python).ok();
        let theirs = theirs.and_then(|mut side| side.version().is_ok().then_some(side));
        Ok((ours, theirs))
    }

    /// The goals that are about our own figures among each other.
    fn bars(rows: &[Row]) -> Vec<String> {
        let row = |start: &str| rows.iter().find(|row| row.name.starts_with(start));
        let median = |row: &Row| {
            let [_, median, _] = row.ours;
            median
        };
        let rate = |row: &Row| row.flop / median(row) * 1e-12;
        let peak = rows
            .iter()
            .filter(|row| row.name.starts_with("linear "))
            .map(rate)
            .fold(0.0, f64::max);
        let mut lines = Vec::new();
        if peak > 0.0 {
            lines.push(format!("products: {peak:.0} TFLOP/s at most"));
        }
        if let Some(attention) = row("attention ").filter(|_| peak > 0.0) {
            let part = rate(attention) / peak;
            lines.push(format!(
                "attention: {part:.2} of the products' peak (goal: 0.6)"
            ));
        }
        if let (Some(dense), Some(kept)) = (row("ltx-block "), row("ltx-block-kept ")) {
            let part = median(kept) / median(dense);
            lines.push(format!(
                "block with a tenth of the tokens: {part:.2} of the dense one (goal: 0.15)"
            ));
        }
        for (wide, small) in [
            ("linear ", "linear-8bit "),
            ("ltx-block ", "ltx-block-8bit "),
        ] {
            if let (Some(wide), Some(small)) = (row(wide), row(small)) {
                let part = median(small) / median(wide);
                lines.push(format!(
                    "{} in 8 bits: {part:.2} of bf16 (goal: 0.6)",
                    wide.name
                ));
            }
        }
        lines
    }
}

pub(super) use measured::{run, serve};
