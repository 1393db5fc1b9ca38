//! An observer that also keeps what the report needs: time spent a stage, and warnings.

use crate::{Observer, Stage};
use std::collections::BTreeMap;
use std::time::Instant;

/// Passes everything on and remembers.
pub(crate) struct Watch<'a> {
    inner: &'a mut dyn Observer,
    running: Option<(Stage, Instant)>,
    spent: BTreeMap<String, f64>,
    warnings: Vec<String>,
}

impl<'a> Watch<'a> {
    /// Watches for another observer.
    pub(crate) fn new(inner: &'a mut dyn Observer) -> Self {
        Self {
            inner,
            running: None,
            spent: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    /// Seconds a stage.
    pub(crate) fn timings(&self) -> BTreeMap<String, f64> {
        self.spent.clone()
    }

    /// Everything that was warned of.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}

impl Observer for Watch<'_> {
    fn begin(&mut self, stage: Stage, total: u64) {
        self.running = Some((stage, Instant::now()));
        self.inner.begin(stage, total);
    }

    fn advance(&mut self, done: u64) {
        self.inner.advance(done);
    }

    fn end(&mut self, stage: Stage) {
        if let Some((_, since)) = self.running.take() {
            *self.spent.entry(stage.name().to_owned()).or_insert(0.0) +=
                since.elapsed().as_secs_f64();
        }
        self.inner.end(stage);
    }

    fn warn(&mut self, message: &str) {
        self.warnings.push(message.to_owned());
        self.inner.warn(message);
    }

    fn cancelled(&self) -> bool {
        self.inner.cancelled()
    }
}
