//! The hot operations at the sizes that the goals name, to be timed.
//!
//! A process that [`serve`]s prepares a [`Case`] when it is told to and runs it once at
//! each call, so that two implementations in two processes take turns and meet the same
//! state of the machine ([`pair`]). `tools/bench/torch_ops.py` serves the same cases by
//! the same protocol with PyTorch.

mod block;
mod cases;
#[cfg(feature = "cuda")]
mod gpu;
pub mod pair;

use std::io::{BufRead, Write};
use std::time::Instant;

use candle_core::{DType, Result};

pub use cases::cases;
#[cfg(feature = "cuda")]
pub use gpu::{gpu_cases, serve_gpu};

/// Something that can be run again and again.
pub type Run = Box<dyn FnMut() -> Result<()>>;

/// One operation at one size.
pub struct Case {
    /// Its name; the twin script knows it by the same.
    pub name: String,
    /// Multiplications and additions of one run, 0 where they are not what counts.
    pub flop: f64,
    build: Box<dyn Fn() -> Result<Run>>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

impl Case {
    fn new(
        name: impl Into<String>,
        dtype: DType,
        flop: f64,
        build: impl Fn() -> Result<Run> + 'static,
    ) -> Self {
        let suffix = if dtype == DType::BF16 { "bf16" } else { "f32" };
        Self {
            name: format!("{} {suffix}", name.into()),
            flop,
            build: Box::new(build),
        }
    }

    /// Makes inputs and weights.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn prepare(&self) -> Result<Run> {
        (self.build)()
    }
}

/// Reads commands, a line each, until the input ends:
///
/// - `case NAME` prepares that case and runs it once; the answer is `ok BYTES`, the
///   memory that the first run took beyond inputs and weights (0 where that is unknown);
/// - `run` runs it; the answer is `ok SECONDS CPU`, by the clock and of processor time;
/// - `version` is answered by `ok` and what runs here;
/// - what fails is answered by `no REASON`.
///
/// # Errors
/// When input or output break.
pub fn serve(input: impl BufRead, output: impl Write) -> std::io::Result<()> {
    let level = crate::device::cpu_level().name();
    let version = format!("reword {} ({level})", env!("CARGO_PKG_VERSION"));
    serve_cases(&cases(), &version, first, input, output)
}

/// [`serve`] for any cases; `first` prepares one and gives the memory of its first run.
fn serve_cases(
    cases: &[Case],
    version: &str,
    first: impl Fn(&Case) -> Result<(Run, u64)>,
    input: impl BufRead,
    mut output: impl Write,
) -> std::io::Result<()> {
    let mut current: Option<Run> = None;
    for line in input.lines() {
        let line = line?;
        let answer = if let Some(name) = line.strip_prefix("case ") {
            current = None;
            cases
                .iter()
                .find(|case| case.name == name)
                .ok_or_else(|| format!("there is no case {name}"))
                .and_then(|case| first(case).map_err(|error| error.to_string()))
                .map(|(run, bytes)| {
                    current = Some(run);
                    bytes.to_string()
                })
        } else if line == "version" {
            Ok(version.to_owned())
        } else if line == "run" {
            match &mut current {
                Some(run) => timed(run).map_err(|error| error.to_string()),
                None => Err("no case is prepared".to_owned()),
            }
        } else {
            Err(format!("{line:?} is no command"))
        };
        match answer {
            Ok(text) => writeln!(output, "ok {text}")?,
            Err(text) => writeln!(output, "no {}", text.replace('\n', " "))?,
        }
        output.flush()?;
    }
    Ok(())
}

fn first(case: &Case) -> Result<(Run, u64)> {
    let mut run = case.prepare()?;
    let before = memory("VmRSS:");
    // Makes the peak start anew (Linux; elsewhere nothing happens and the answer is 0).
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    run()?;
    let bytes = match (before, memory("VmHWM:")) {
        (Some(before), Some(peak)) => peak.saturating_sub(before),
        _ => 0,
    };
    Ok((run, bytes))
}

fn timed(run: &mut Run) -> Result<String> {
    let (start, used) = (Instant::now(), processor_time());
    run()?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(format!("{seconds:e} {:e}", processor_time() - used))
}

/// A line of the process's status in bytes.
fn memory(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Seconds of processor time that this process has used.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_a_small_case_is_served() {
        let mut names: Vec<String> = cases().into_iter().map(|case| case.name).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);

        let commands = "run\ncase gelu 1536x4096 f32\nrun\ncase nothing\n";
        let mut answers = Vec::new();
        serve(commands.as_bytes(), &mut answers).unwrap();
        let answers = String::from_utf8(answers).unwrap();
        let lines: Vec<&str> = answers.lines().collect();
        assert_eq!(lines.len(), 4, "{answers}");
        assert!(lines[0].starts_with("no ") && lines[3].contains("nothing"));
        let seconds: f64 = lines[2].split(' ').nth(1).unwrap().parse().unwrap();
        assert!(lines[1].starts_with("ok ") && seconds > 0.0 && seconds < 60.0);
    }
}
