//! The stages that pipelines are made of.

pub(crate) mod assemble;
pub(crate) mod change;
pub(crate) mod composite;
pub(crate) mod extras;
pub(crate) mod frames;
pub(crate) mod heads;
pub(crate) mod lend;
pub(crate) mod lips;
pub(crate) mod listen;
pub(crate) mod look;
pub(crate) mod loras;
pub(crate) mod memory;
pub(crate) mod model;
pub(crate) mod moments;
pub(crate) mod output;
pub(crate) mod pictures;
pub(crate) mod records;
pub(crate) mod retouch;
pub(crate) mod sound_file;
pub(crate) mod source;
pub(crate) mod speak;
pub(crate) mod track;
pub(crate) mod video;
pub(crate) mod words;

use crate::ProjectError;
use media::{MediaError, OpenOptions, Sandbox};
use std::error::Error;

/// A media failure as a job sees it: nearly always the file's.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
pub(crate) fn media_error(error: MediaError) -> ProjectError {
    ProjectError::input(error.to_string())
}

/// A failure that came back through another crate: ours as they were, and what the system said about files as such,
/// so that a full disk is told as a full disk.
pub(crate) fn boxed_error(
    stage: &'static str,
    file: &str,
    error: Box<dyn Error + Send + Sync>,
) -> ProjectError {
    let error = match error.downcast::<ProjectError>() {
        Ok(own) => return *own,
        Err(other) => other,
    };
    match error.downcast::<std::io::Error>() {
        Ok(source) => ProjectError::Files {
            action: "keep",
            path: file.into(),
            source: *source,
        },
        Err(other) => ProjectError::fault(stage, other),
    }
}

/// Files of users are decoded in a confined child process.
pub(crate) fn confined() -> OpenOptions {
    OpenOptions {
        sandbox: Sandbox::Child,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_stays_one_on_its_way_back() {
        let full = std::io::Error::from_raw_os_error(28);
        let error = boxed_error("generate", "the job's made mouths", Box::new(full));
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("disk is full"))
        );
        let own = ProjectError::Cancelled;
        assert!(matches!(
            boxed_error("generate", "", Box::new(own)),
            ProjectError::Cancelled
        ));
        let other = boxed_error("generate", "", "no head".into());
        assert_eq!(other.to_string(), "generate failed: no head");
    }
}
