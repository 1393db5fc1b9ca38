//! What can go wrong in a method.

use diffusion::DiffusionError;
use models::ModelError;
use units::FrameIndex;

/// What a caller's own code failed with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a method could not be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum MethodError {
    /// A network or its weights.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The sampler or a saved state.
    #[error(transparent)]
    Diffusion(#[from] DiffusionError),
    /// A configuration that does not hold together.
    #[error("{origin}: {reason}")]
    Config {
        /// The weight file.
        origin: String,
        /// What is wrong, with the values.
        reason: String,
    },
    /// A job that makes no sense.
    #[error("{0}")]
    Job(String),
    /// The caller could not give a frame.
    #[error("cannot read {frame}")]
    Source {
        frame: FrameIndex,
        #[source]
        source: BoxError,
    },
    /// The caller could not give the sound.
    #[error("cannot read the new sound")]
    Sound(#[source] BoxError),
    /// The caller could not take a result.
    #[error("cannot keep what was made")]
    Sink(#[source] BoxError),
}

impl From<candle_core::Error> for MethodError {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}

/// The result of a method.
pub type Result<T, E = MethodError> = std::result::Result<T, E>;
