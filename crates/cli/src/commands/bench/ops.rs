//! `reword bench ops`: the tensor layer's operations beside PyTorch's, in two processes that take turns.

use super::{page, tiny};
use crate::arguments::BenchArguments;
use crate::failure::Failure;
use crate::terminal::Terminal;
use nn::bench::cases;
use nn::bench::pair::{PairError, Runs, Sample, Side, compare, quartiles};
use serde_json::json;
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

/// The name under which this program serves cases to itself.
pub(super) const SERVE: &str = "ops-serve";

const TWIN: &str = include_str!("../../../../../tools/bench/torch_ops.py");

const MIB: f64 = 1_048_576.0;

/// What the tensor layer is meant to reach, as a part of PyTorch's time: by the beginning of a case's name.
const GOALS: [(&str, f64); 7] = [
    ("linear ", 1.0),
    ("attention ", 1.0),
    ("conv3d ", 1.0),
    ("dit-block ", 0.9),
    ("dit-block-train-x ", 1.0),
    ("dit-block-train ", 1.0),
    ("ltx-block ", 1.0),
];

/// The same for tokens of which few are computed, as a part of our own time for all.
const SPARSE_GOAL: f64 = 0.2;

/// The measured case.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) flop: f64,
    pub(super) ours: [f64; 3],
    theirs: Option<[f64; 3]>,
    /// Of the pairs.
    ratio: Option<[f64; 3]>,
    peaks: (u64, u64),
    rounds: usize,
}

/// Answers the other process.
pub(super) fn serve(arguments: &BenchArguments) -> Result<(), Failure> {
    set_threads(arguments);
    nn::bench::serve(std::io::stdin().lock(), std::io::stdout().lock())
        .map_err(|error| Failure::fault(error.to_string()))
}

fn set_threads(arguments: &BenchArguments) -> usize {
    if let Some(threads) = arguments.threads {
        nn::device::set_threads(threads);
    }
    nn::device::threads()
}

/// Runs the command.
pub(super) fn run(arguments: &BenchArguments, terminal: &Terminal) -> Result<(), Failure> {
    let threads = set_threads(arguments);
    let filter = arguments.filter.as_deref().unwrap_or_default();
    let cases: Vec<_> = cases()
        .into_iter()
        .filter(|case| case.name.contains(filter))
        .collect();
    let with_tiny = "tiny".contains(filter) || filter.contains("tiny");
    if cases.is_empty() && !with_tiny {
        return Err(Failure::usage(format!("no case holds `{filter}`")));
    }
    let mut versions = None;
    let mut rows: Vec<Row> = Vec::new();
    let mut sides = None;
    for case in &cases {
        if terminal.stopped() {
            return Err(Failure::stopped("stopped; nothing is written"));
        }
        // Memory is measured in a process that has done nothing before.
        if sides.is_none() || case.name.starts_with("dit-block") {
            drop(sides.take());
            let (mut ours, mut theirs) = start(arguments, threads).map_err(failure)?;
            if versions.is_none() {
                let torch = theirs.as_mut().map(Side::version);
                let torch = torch.transpose().map_err(failure)?;
                versions = Some((ours.version().map_err(failure)?, torch));
            }
            sides = Some((ours, theirs));
        }
        let Some((ours, theirs)) = &mut sides else {
            continue;
        };
        let limit = Duration::from_secs_f64(arguments.seconds.clamp(0.0, 3600.0));
        let runs =
            compare(&case.name, ours, theirs.as_mut(), arguments.rounds, limit).map_err(failure)?;
        let row = Row::new(&case.name, case.flop, &runs, arguments.cpu);
        tell(&row, terminal);
        rows.push(row);
    }
    drop(sides);
    let tiny = if with_tiny {
        tiny::run(terminal)?
    } else {
        Vec::new()
    };
    let Some(path) = &arguments.write else {
        return Ok(());
    };
    let (ours, torch) = versions.unwrap_or_default();
    let clock = if arguments.cpu {
        "processor time"
    } else {
        "by the clock"
    };
    let against = torch.map_or_else(
        || "alone, as PyTorch was not found".to_owned(),
        |version| format!("in turns with PyTorch {version}"),
    );
    let noun = if threads == 1 { "thread" } else { "threads" };
    let head = format!(
        "{ours}, {against}, {threads} {noun}, {clock}; {}.",
        page::machine()
    );
    let mut sections = Vec::new();
    if !rows.is_empty() {
        let body = format!("{head}\n\n{}", table(&rows));
        sections.push((format!("Operations, {threads} {noun}, {clock}"), body));
    }
    if !tiny.is_empty() {
        let (version, level) = (env!("CARGO_PKG_VERSION"), nn::device::cpu_level().name());
        let head = format!(
            "reword {version} ({level}), {threads} {noun}; {}.",
            page::machine()
        );
        let body = format!("{head}\n\n{}", tiny::table(&tiny));
        sections.push((format!("tiny, {threads} {noun}"), body));
    }
    page::write(path, &sections)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err takes")]
pub(super) fn failure(error: PairError) -> Failure {
    match error {
        PairError::Process { .. } => Failure::missing(error.to_string()),
        PairError::Refused { .. } => Failure::fault(error.to_string()),
    }
}

/// This program and, where it runs, PyTorch.
fn start(arguments: &BenchArguments, threads: usize) -> Result<(Side, Option<Side>), PairError> {
    let count = threads.to_string();
    let program = std::env::current_exe().map_err(|source| PairError::Process {
        program: "reword".to_owned(),
        source,
    })?;
    let ours = Side::start(Command::new(program).args(["bench", SERVE, "--threads", &count]))?;
    let mut python = Command::new(&arguments.python);
    python.args(["-c", TWIN, &count]);
    let theirs = Side::start(python.env("OMP_NUM_THREADS", &count)).ok();
    // A Python without PyTorch ends before it answers.
    let theirs = theirs.and_then(|mut side| side.version().is_ok().then_some(side));
    Ok((ours, theirs))
}

impl Row {
    pub(super) fn new(name: &str, flop: f64, runs: &Runs, cpu: bool) -> Self {
        let times = |samples: &[Sample]| -> Vec<f64> {
            let of = |s: &Sample| if cpu { s.processor } else { s.seconds };
            samples.iter().map(of).collect()
        };
        let (ours, theirs) = (times(&runs.ours), times(&runs.theirs));
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
        Self {
            name: name.to_owned(),
            flop,
            rounds: ours.len(),
            ours: quartiles(ours),
            theirs: (!theirs.is_empty()).then(|| quartiles(theirs)),
            ratio: (!ratios.is_empty()).then(|| quartiles(ratios)),
            peaks: runs.peaks,
        }
    }

    fn goal(&self) -> Option<f64> {
        let goal = GOALS.iter().find(|(start, _)| self.name.starts_with(start));
        goal.map(|(_, goal)| *goal)
    }
}

pub(super) fn tell(row: &Row, terminal: &Terminal) {
    if terminal.json() {
        let value = json!({
            "case": row.name, "rounds": row.rounds, "seconds": row.ours, "pytorch_seconds": row.theirs,
            "ratio": row.ratio, "peak_memory_bytes": row.peaks.0, "pytorch_peak_memory_bytes": row.peaks.1,
        });
        terminal.result(&value.to_string());
        return;
    }
    let [_, ours, _] = row.ours;
    let mut line = format!("{:<34} {:9.2} ms", row.name, ours * 1e3);
    if let (Some([_, theirs, _]), Some([low, ratio, high])) = (row.theirs, row.ratio) {
        // Writing to a string can't fail.
        let _ = write!(
            line,
            "   PyTorch {:9.2} ms   {ratio:.2} x ({low:.2} to {high:.2})",
            theirs * 1e3
        );
    }
    terminal.result(&line);
}

/// The rows as Markdown.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "Times are medians in ms with the quartiles behind them, of the number of pairs in the last column; the ratio \
         is the median of the pairs' ratios, which says more than the ratio of the medians where other programs run \
         beside. Peak memory is what the first run takes beyond inputs and weights (packed weights included).\n\n\
         | operation | ours | PyTorch | ratio | goal | GFLOP/s | peak MiB, ours / PyTorch | pairs |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let time = |[low, median, high]: [f64; 3]| {
        let [low, median, high] = [low, median, high].map(|t| t * 1e3);
        format!("{median:.2} ({low:.2}–{high:.2})")
    };
    for row in rows {
        let dense = row.name.starts_with("dit-block-sparse").then(|| {
            let suffix = row.name.rsplit(' ').next().unwrap_or_default();
            let dense = format!("dit-block 1024x1536 {suffix}");
            rows.iter().find(|other| other.name == dense)
        });
        let [_, ours, _] = row.ours;
        let goal = match (dense.flatten(), row.goal(), row.ratio) {
            (Some(dense), ..) => {
                let [_, all, _] = dense.ours;
                let part = ours / all;
                let word = if part <= SPARSE_GOAL { "met" } else { "missed" };
                format!("≤ {SPARSE_GOAL} x dense: {part:.2}, {word}")
            }
            (_, Some(goal), Some([_, ratio, _])) => {
                let word = if ratio <= goal { "met" } else { "missed" };
                format!("≤ {goal}: {word}")
            }
            _ => "–".to_owned(),
        };
        let none = || "–".to_owned();
        let rate = if row.flop > 0.0 {
            format!("{:.0}", row.flop / ours * 1e-9)
        } else {
            none()
        };
        let peaks = if row.name.contains("-block") {
            let mib = |bytes: u64| bytes as f64 / MIB;
            let theirs = row
                .theirs
                .map_or_else(none, |_| format!("{:.0}", mib(row.peaks.1)));
            format!("{:.0} / {theirs}", mib(row.peaks.0))
        } else {
            none()
        };
        let ratio = row.ratio.map_or_else(none, |[low, ratio, high]| {
            format!("**{ratio:.2}** ({low:.2}–{high:.2})")
        });
        let _ = writeln!(
            text,
            "| {} | {} | {} | {ratio} | {goal} | {rate} | {peaks} | {} |",
            row.name,
            time(row.ours),
            row.theirs.map_or_else(none, time),
            row.rounds,
        );
    }
    text
}
