//! The only place that prints: results to standard output, everything else to standard error.

use crate::failure::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use project::{Observer, Stage};
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How much is said, and in which form.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    json: bool,
    quiet: bool,
    stop: Arc<AtomicBool>,
}

impl Terminal {
    /// `stop` is raised by Ctrl-C.
    pub(crate) fn new(json: bool, quiet: bool, stop: Arc<AtomicBool>) -> Self {
        Self { json, quiet, stop }
    }

    /// True when output is for programs.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Prints a result. A closed pipe is no error: whoever read it has read enough.
    #[expect(
        clippy::unused_self,
        reason = "printing is the terminal's, whatever its settings"
    )]
    pub(crate) fn result(&self, text: &str) {
        let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end_matches('\n'));
    }

    /// Prints a note for people.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Whether Ctrl-C was pressed.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A line for programs, where output is for them.
    pub(crate) fn event(&self, value: &serde_json::Value) {
        if self.json {
            event(value);
        }
    }

    /// A bar of `total` steps in this template, where a person looks on.
    pub(crate) fn bar(&self, total: u64, template: &str) -> Option<ProgressBar> {
        if self.json || self.quiet || !std::io::stderr().is_terminal() {
            return None;
        }
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Some(bar)
    }

    /// Prints a failure.
    pub(crate) fn failure(&self, failure: &Failure) {
        let _ = writeln!(std::io::stderr().lock(), "{}", failure.text(self.json));
    }

    /// A listener for a job.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            terminal: self.clone(),
            bar: None,
            started: Instant::now(),
            done: 0,
            total: 0,
        }
    }
}

/// Prints a line for programs.
fn event(value: &serde_json::Value) {
    let _ = writeln!(std::io::stderr().lock(), "{value}");
}

/// One progress line a stage, with time left; or JSON lines.
pub(crate) struct Progress {
    terminal: Terminal,
    bar: Option<ProgressBar>,
    started: Instant,
    done: u64,
    total: u64,
}

impl Observer for Progress {
    fn begin(&mut self, stage: Stage, total: u64) {
        self.started = Instant::now();
        self.done = 0;
        self.total = total;
        if self.terminal.json {
            event(&serde_json::json!({"event": "begin", "stage": stage.name(), "total": total}));
        } else if !self.terminal.quiet && std::io::stderr().is_terminal() {
            let bar = if total > 0 {
                ProgressBar::new(total)
            } else {
                ProgressBar::new_spinner()
            };
            let template = if total > 0 {
                "{msg:9} {wide_bar} {pos}/{len} {per_sec:>10} {eta:>5} left"
            } else {
                "{msg:9} {spinner} {elapsed}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(stage.name());
            self.bar = Some(bar);
        }
    }

    fn advance(&mut self, done: u64) {
        let before = self.done;
        self.done += done;
        if let Some(bar) = &self.bar {
            bar.inc(done);
        }
        // A line for every percent is plenty for a program.
        let percent = |value: u64| (value * 100).checked_div(self.total).unwrap_or(0);
        if self.terminal.json && percent(before) != percent(self.done) {
            let elapsed = self.started.elapsed().as_secs_f64();
            let left =
                elapsed / self.done.max(1) as f64 * self.total.saturating_sub(self.done) as f64;
            event(&serde_json::json!({
                "event": "progress", "done": self.done, "total": self.total,
                "seconds": elapsed, "seconds_left": left,
            }));
        }
    }

    fn end(&mut self, stage: Stage) {
        let seconds = self.started.elapsed().as_secs_f64();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.terminal.json {
            event(&serde_json::json!({"event": "end", "stage": stage.name(), "seconds": seconds}));
        } else {
            self.terminal
                .note(&format!("{:9} {seconds:.1} s", stage.name()));
        }
    }

    fn warn(&mut self, message: &str) {
        if self.terminal.json {
            event(&serde_json::json!({"event": "warning", "message": message}));
        } else if let Some(bar) = &self.bar {
            bar.suspend(|| self.terminal.note(&format!("warning: {message}")));
        } else {
            self.terminal.note(&format!("warning: {message}"));
        }
    }

    fn cancelled(&self) -> bool {
        self.terminal.stop.load(Ordering::Relaxed)
    }
}

/// The progress of measuring, in the same lines.
pub(crate) struct EvalProgress {
    terminal: Terminal,
    bar: Option<ProgressBar>,
    stage: &'static str,
    started: Instant,
}

impl EvalProgress {
    pub(crate) fn new(terminal: &Terminal) -> Self {
        Self {
            terminal: terminal.clone(),
            bar: None,
            stage: "",
            started: Instant::now(),
        }
    }
}

impl measure::Watch for EvalProgress {
    fn begin(&mut self, stage: &'static str, total: u64) {
        self.stage = stage;
        self.started = Instant::now();
        if self.terminal.json {
            event(&serde_json::json!({"event": "begin", "stage": stage, "total": total}));
        } else if !self.terminal.quiet && std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(total);
            if let Ok(style) =
                ProgressStyle::with_template("{msg:9} {wide_bar} {pos}/{len} {eta:>5} left")
            {
                bar.set_style(style);
            }
            bar.set_message(stage);
            self.bar = Some(bar);
        }
    }

    fn advance(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(done);
        }
    }

    fn end(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.terminal.json {
            event(&serde_json::json!({"event": "end", "stage": self.stage, "seconds": seconds}));
        } else {
            self.terminal
                .note(&format!("{:9} {seconds:.1} s", self.stage));
        }
    }

    fn stopped(&self) -> bool {
        self.terminal.stop.load(Ordering::Relaxed)
    }
}
