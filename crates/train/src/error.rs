//! What can go wrong in training.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, TrainError>;

/// Failures, with their values.
#[derive(Debug, Error)]
pub enum TrainError {
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A network could not be built or run.
    #[error(transparent)]
    Model(Box<models::ModelError>),
    /// The method's own parts could not be made.
    #[error(transparent)]
    Method(Box<methods::MethodError>),
    /// A weight file could not be read or written.
    #[error(transparent)]
    Weights(Box<nn::weights::WeightsError>),
    /// A recipe does not parse.
    #[error("{origin}: {reason}")]
    RecipeText {
        /// The file.
        origin: String,
        /// What the parser says.
        reason: String,
    },
    /// A value of a recipe lies outside of its range.
    #[error("{origin}: {key} is {found}, but must be {range}")]
    RecipeRange {
        /// The file.
        origin: String,
        /// The value's name, with its tables.
        key: String,
        /// The value.
        found: String,
        /// The range in words.
        range: String,
    },
    /// Values of a recipe contradict each other or the weights.
    #[error("{0}")]
    Recipe(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A clip can't be used for training.
    #[error("{path}: {reason}")]
    Clip {
        /// The clip.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// There is nothing to train on.
    #[error("{0}")]
    Data(String),
    /// The loss or a gradient is no number any more.
    #[error("step {step}: {what} is {value}; lower the learning rate or look at the sample")]
    NotFinite {
        /// The step.
        step: u64,
        /// Loss or gradient.
        what: String,
        /// What it is.
        value: f64,
    },
    /// A checkpoint belongs to another run.
    #[error("{path}: the checkpoint is of another run: {reason}")]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The ranks of a run do not understand each other.
    #[error("rank {rank}: {reason}")]
    Ranks {
        /// Whose sentence this is.
        rank: usize,
        /// What happened.
        reason: String,
    },
    /// The user stopped the run; what is done is kept.
    #[error("stopped after step {step}")]
    Stopped {
        /// The last finished step.
        step: u64,
    },
}

// Boxed, so that results stay small.
impl From<models::ModelError> for TrainError {
    fn from(error: models::ModelError) -> Self {
        Self::Model(Box::new(error))
    }
}

impl From<methods::MethodError> for TrainError {
    fn from(error: methods::MethodError) -> Self {
        Self::Method(Box::new(error))
    }
}

impl From<nn::weights::WeightsError> for TrainError {
    fn from(error: nn::weights::WeightsError) -> Self {
        Self::Weights(Box::new(error))
    }
}

impl TrainError {
    /// For `map_err` of file operations.
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::File {
            path: path.as_ref().to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn clip(
        path: impl AsRef<Path>,
        reason: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Clip {
            path: path.as_ref().to_owned(),
            reason: reason.into().to_string(),
        }
    }
}
