//! Failures as a person reads them: one sentence, then what to do, and an exit code for programs.

use project::{FailureClass, ProjectError};
use std::process::ExitCode;

/// A failure on its way to the terminal.
#[derive(Debug)]
pub(crate) struct Failure {
    class: FailureClass,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// Wrong use (exit code 2).
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            class: FailureClass::Usage,
            message: message.into(),
            hint: None,
        }
    }

    /// A file that can't be used (exit code 3).
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self {
            class: FailureClass::Input,
            message: message.into(),
            hint: None,
        }
    }

    /// Something that is not installed (exit code 4).
    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self {
            class: FailureClass::Missing,
            message: message.into(),
            hint: None,
        }
    }

    /// Stopped by the user (exit code 130).
    pub(crate) fn stopped(message: impl Into<String>) -> Self {
        Self {
            class: FailureClass::Cancelled,
            message: message.into(),
            hint: None,
        }
    }

    /// Our own fault (exit code 1).
    pub(crate) fn fault(message: impl Into<String>) -> Self {
        Self {
            class: FailureClass::Fault,
            message: message.into(),
            hint: None,
        }
    }

    /// The same failure with advice.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The sentence without advice.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What goes to standard error.
    pub(crate) fn text(&self, json: bool) -> String {
        if json {
            return serde_json::json!({
                "event": "error", "class": format!("{:?}", self.class).to_lowercase(),
                "message": self.message, "hint": self.hint,
            })
            .to_string();
        }
        match &self.hint {
            Some(hint) => format!("error: {}\n\nhint: {hint}", self.message),
            None => format!("error: {}", self.message),
        }
    }

    /// The exit code: 1 our fault, 2 wrong use, 3 unusable input, 4 missing parts, 130 stopped.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.class {
            FailureClass::Fault => 1,
            FailureClass::Usage => 2,
            FailureClass::Input => 3,
            FailureClass::Missing => 4,
            FailureClass::Cancelled => 130,
        })
    }
}

impl From<ProjectError> for Failure {
    fn from(error: ProjectError) -> Self {
        Self {
            class: error.class(),
            hint: error.hint(),
            message: error.to_string(),
        }
    }
}
