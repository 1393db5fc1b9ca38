//! Progress and stopping.

/// Hears how far a measurement is, and may stop it.
pub trait Watch {
    /// A stage begins; `total` steps, 0 where unknown.
    fn begin(&mut self, stage: &'static str, total: u64);

    /// So many more steps are done.
    fn advance(&mut self, done: u64);

    /// The stage is over.
    fn end(&mut self);

    /// Whether to stop.
    fn stopped(&self) -> bool {
        false
    }
}

/// Says nothing and never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Watch for Silent {
    fn begin(&mut self, _stage: &'static str, _total: u64) {}

    fn advance(&mut self, _done: u64) {}

    fn end(&mut self) {}
}
