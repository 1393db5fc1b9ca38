//! Times the hot operations, beside PyTorch's where that is installed:
//!
//!     cargo run --release -p nn --example bench_ops -- [FILTER] [--rounds N] [--threads N] [--cpu] [--alone]
//!
//! A line a case: our median, PyTorch's, the median of the pairs' ratios with its quartiles.
//! `reword bench ops` does the same and writes the table of `docs/benchmarks.md`; this is
//! for working on a kernel, as it builds faster.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::Command;
use std::time::Duration;

use nn::bench::pair::{Side, compare, quartiles};
use nn::bench::{cases, serve};

const TWIN: &str = include_str!("../../../tools/bench/torch_ops.py");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|a| a == name);
    let number = |name: &str, default: usize| {
        let at = args.iter().position(|a| a == name);
        at.and_then(|i| args.get(i + 1)?.parse().ok())
            .unwrap_or(default)
    };
    let threads = number("--threads", 1);
    nn::device::set_threads(threads);
    if has("--serve") {
        return Ok(serve(std::io::stdin().lock(), std::io::stdout().lock())?);
    }
    let filter = args
        .first()
        .filter(|a| !a.starts_with("--"))
        .cloned()
        .unwrap_or_default();
    let rounds = number("--rounds", 15);
    let count = threads.to_string();
    let mut ours =
        Side::start(Command::new(std::env::current_exe()?).args(["--serve", "--threads", &count]))?;
    let mut theirs = if has("--alone") {
        None
    } else {
        let mut command = Command::new("python3");
        command.args(["-c", TWIN, &count]);
        Some(Side::start(command.env("OMP_NUM_THREADS", &count))?)
    };
    println!("level {}", nn::device::cpu_level().name());
    for case in cases().iter().filter(|case| case.name.contains(&filter)) {
        let limit = Duration::from_mins(1);
        let runs = compare(&case.name, &mut ours, theirs.as_mut(), rounds, limit)?;
        let times = |samples: &[nn::bench::pair::Sample]| -> Vec<f64> {
            let cpu = has("--cpu");
            samples
                .iter()
                .map(|s| if cpu { s.processor } else { s.seconds })
                .collect()
        };
        let (a, b) = (times(&runs.ours), times(&runs.theirs));
        let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
        let ratios: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a / b).collect();
        let least_ratio = least(&a) / least(&b);
        let [low, ratio, high] = quartiles(ratios);
        let rate = case.flop / least(&a) * 1e-9;
        let [_, ours_median, _] = quartiles(a);
        let [_, theirs_median, _] = quartiles(b);
        println!(
            "{:<34} {:9.3} ms {:9.3} ms  ratio {ratio:.2} ({low:.2}..{high:.2}), of the least {least_ratio:.2}  {rate:6.0} GFLOP/s  peak {:.0} / {:.0} MiB",
            case.name,
            ours_median * 1e3,
            theirs_median * 1e3,
            runs.peaks.0 as f64 / 1_048_576.0,
            runs.peaks.1 as f64 / 1_048_576.0,
        );
    }
    Ok(())
}
