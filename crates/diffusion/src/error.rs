//! What can go wrong while sampling.

/// Why a schedule, a step or a saved state could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DiffusionError {
    /// An operation on tensors; its message has the shapes.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A schedule that makes no sense.
    #[error("schedule: {0}")]
    Schedule(String),
    /// Windows that make no sense.
    #[error("windows: {0}")]
    Windows(String),
    /// A cache that cannot be fitted or read.
    #[error("cache: {0}")]
    Cache(String),
    /// A saved state that cannot be read.
    #[error("saved state: {0}")]
    State(String),
}

/// The result of a sampling step.
pub type Result<T, E = DiffusionError> = std::result::Result<T, E>;
