//! What can go wrong in a job, with the class that decides the exit code.

use std::path::PathBuf;
use thiserror::Error;

/// Whose fault a failure is; each class has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The request makes no sense (exit code 2).
    Usage,
    /// A file can't be used (3).
    Input,
    /// Weights, a device or a program is missing (4).
    Missing,
    /// Our own fault, or the machine's (1).
    Fault,
    /// The user stopped it (130).
    Cancelled,
}

/// A failed job.
#[derive(Debug, Error)]
pub enum ProjectError {
    /// The request makes no sense.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A file can't be used.
    #[error("{message}")]
    Input {
        /// What is wrong, with the file's name.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Weights, a device or a program is missing.
    #[error("{message}")]
    Missing {
        /// What is missing.
        message: String,
        /// How to get it.
        hint: Option<String>,
    },
    /// A file of the job could not be written or read.
    #[error("can't {action} {}: {source}", path.display())]
    Files {
        /// `write`, `read`, `rename`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something inside failed that should not have.
    #[error("{stage} failed: {message}")]
    Fault {
        /// The stage of the job.
        stage: &'static str,
        /// What happened.
        message: String,
    },
    /// The user stopped the job.
    #[error("stopped; finished blocks are kept")]
    Cancelled,
}

impl ProjectError {
    /// The class of the failure.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Usage { .. } => FailureClass::Usage,
            Self::Input { .. } => FailureClass::Input,
            Self::Missing { .. } => FailureClass::Missing,
            Self::Files { .. } | Self::Fault { .. } => FailureClass::Fault,
            Self::Cancelled => FailureClass::Cancelled,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } | Self::Input { hint, .. } | Self::Missing { hint, .. } => {
                hint.clone()
            }
            Self::Files { source, .. } if source.raw_os_error() == Some(libc_enospc()) => {
                Some("the disk is full: free some room, or choose another place with -o".to_owned())
            }
            Self::Files { .. } | Self::Fault { .. } => None,
            Self::Cancelled => Some("run the same command with --resume to go on".to_owned()),
        }
    }

    /// A request that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: None,
        }
    }

    /// A file that can't be used.
    pub fn input(message: impl Into<String>) -> Self {
        Self::Input {
            message: message.into(),
            hint: None,
        }
    }

    /// Something that is not installed.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::Missing {
            message: message.into(),
            hint: None,
        }
    }

    /// Our own fault.
    pub fn fault(stage: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Fault {
            stage,
            message: error.to_string(),
        }
    }

    /// The same failure with advice.
    #[must_use]
    pub fn with_hint(mut self, advice: impl Into<String>) -> Self {
        if let Self::Usage { hint, .. } | Self::Input { hint, .. } | Self::Missing { hint, .. } =
            &mut self
        {
            *hint = Some(advice.into());
        }
        self
    }
}

/// `ENOSPC` on every Unix that we build for.
fn libc_enospc() -> i32 {
    28
}
