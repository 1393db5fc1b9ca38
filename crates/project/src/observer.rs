//! How a job tells what it does, and hears that it should stop.

use serde::Serialize;

/// A stage of a job, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Reading the clip's structure and sound.
    Read,
    /// Finding the times of known words.
    Align,
    /// Working out the timeline.
    Plan,
    /// Making the new sound.
    Speak,
    /// Finding and following faces.
    Track,
    /// Denoising the mouth.
    Generate,
    /// Putting frames together and encoding them.
    Render,
}

impl Stage {
    /// The stage as a word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Align => "align",
            Self::Plan => "plan",
            Self::Speak => "speak",
            Self::Track => "track",
            Self::Generate => "generate",
            Self::Render => "render",
        }
    }
}

/// Listens to a job.
pub trait Observer {
    /// A stage begins; `total` steps are expected, 0 when that is not known.
    fn begin(&mut self, stage: Stage, total: u64);
    /// So many steps of the current stage are done.
    fn advance(&mut self, done: u64);
    /// The current stage is over.
    fn end(&mut self, stage: Stage);
    /// Something the user should know; the job goes on.
    fn warn(&mut self, message: &str);
    /// True when the job should stop at the next safe point.
    fn cancelled(&self) -> bool;
}

/// Hears nothing and stops nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn begin(&mut self, _stage: Stage, _total: u64) {}
    fn advance(&mut self, _done: u64) {}
    fn end(&mut self, _stage: Stage) {}
    fn warn(&mut self, _message: &str) {}
    fn cancelled(&self) -> bool {
        false
    }
}

/// A whole sentence as warnings are worded: in lower case, without a full stop. Names such as `H.264` stay.
pub(crate) fn as_warning(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    let mut letters = sentence.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => first
            .to_lowercase()
            .chain(sentence.chars().skip(1))
            .collect(),
        _ => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::as_warning;

    #[test]
    fn sentences_become_warnings() {
        assert_eq!(
            as_warning("The cover picture is left out."),
            "the cover picture is left out"
        );
        assert_eq!(as_warning("H.264 is kept."), "H.264 is kept");
        assert_eq!(as_warning("3 frames are gone"), "3 frames are gone");
    }
}
