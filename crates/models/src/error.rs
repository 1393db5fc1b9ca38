//! What can go wrong in a network.

use std::path::PathBuf;

use nn::weights::WeightsError;

/// Why a network could not be built or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A weight file or a tensor in it.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An operation on tensors; its message has the shapes.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A GGUF file that does not hold together.
    #[error("{}: bad GGUF file: {reason}", path.display())]
    Gguf {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A configuration that this code cannot build.
    #[error("{part} config: {reason}")]
    Config {
        /// Which network.
        part: &'static str,
        /// What is wrong, with the value.
        reason: String,
    },
    /// A configuration text that does not parse.
    #[error("{part} config: {source}")]
    ConfigText {
        /// Which network.
        part: &'static str,
        #[source]
        source: serde_json::Error,
    },
    /// Weights that do not belong to the configuration.
    #[error("{origin} does not fit its config: {}", list(.differences))]
    Differences {
        /// The file.
        origin: String,
        /// One sentence a tensor.
        differences: Vec<String>,
    },
    /// An input of the wrong shape or value.
    #[error("{name}: {reason}")]
    Input {
        /// Name of the input.
        name: &'static str,
        /// What is wrong, with the value.
        reason: String,
    },
}

impl ModelError {
    /// A config that does not hold together.
    pub fn config(part: &'static str, reason: impl Into<String>) -> Self {
        Self::Config {
            part,
            reason: reason.into(),
        }
    }

    pub(crate) fn input(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Input {
            name,
            reason: reason.into(),
        }
    }
}

/// The first differences in one line; a wrong file has hundreds.
fn list(differences: &[String]) -> String {
    const SHOWN: usize = 6;
    let mut text = differences
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if differences.len() > SHOWN {
        let more = differences.len() - SHOWN;
        text = format!("{text}; and {more} more");
    }
    text
}

/// The result of building or running a network.
pub type Result<T, E = ModelError> = std::result::Result<T, E>;
