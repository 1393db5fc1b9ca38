//! What can go wrong in measuring.

use std::path::PathBuf;
use thiserror::Error;

/// A failed measurement. What a clip merely lacks (a face, sound, a second frame) is no error but a
/// [`Score`](crate::Score) without a number.
#[derive(Debug, Error)]
pub enum MeasureError {
    /// A clip that can't be read.
    #[error(transparent)]
    Media(#[from] media::MediaError),
    /// The face networks.
    #[error(transparent)]
    Face(#[from] face::FaceError),
    /// A network or its weights.
    #[error(transparent)]
    Model(#[from] models::ModelError),
    /// A tensor operation.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// Features that can't be compared.
    #[error("features: {reason}")]
    Features {
        /// What is wrong, with the value.
        reason: String,
    },
    /// A metric that does not exist.
    #[error("there is no metric '{name}'")]
    NoMetric {
        /// As asked for.
        name: String,
    },
    /// An option with a value that makes no sense.
    #[error("{name}: {reason}")]
    Option {
        /// The option.
        name: &'static str,
        /// What is wrong, with the value.
        reason: String,
    },
    /// A file that can't be read or written.
    #[error("can't {action} {}: {source}", path.display())]
    Files {
        /// `read`, `write`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A suite, list or report that does not parse.
    #[error("{}: {reason}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Where and what.
        reason: String,
    },
    /// A system of a suite failed to make a clip.
    #[error("{system} made nothing of {clip}: {reason}")]
    Made {
        /// The system.
        system: String,
        /// The clip.
        clip: String,
        /// What happened.
        reason: String,
    },
    /// The user stopped it.
    #[error("stopped")]
    Stopped,
}

impl MeasureError {
    pub(crate) fn files(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Files {
            action,
            path,
            source,
        }
    }

    pub(crate) fn text(path: impl Into<PathBuf>, reason: &impl ToString) -> Self {
        Self::Text {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}
