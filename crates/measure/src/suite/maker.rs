//! Who makes the clips of a suite's own systems.

use super::config::{SuiteClip, SuiteSystem};
use std::path::Path;

/// Makes clips with this program, for systems of kind `reword`.
pub trait Maker {
    /// Gives `clip`'s input the mouth for its speech and writes it to `output`, its report to `report`.
    ///
    /// # Errors
    /// A sentence; the clip then counts as failed.
    fn make(
        &mut self,
        system: &SuiteSystem,
        clip: &SuiteClip,
        output: &Path,
        report: &Path,
    ) -> Result<(), String>;
}

/// Makes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMaker;

impl Maker for NoMaker {
    fn make(
        &mut self,
        _system: &SuiteSystem,
        _clip: &SuiteClip,
        _output: &Path,
        _report: &Path,
    ) -> Result<(), String> {
        Err("clips can't be made here".to_owned())
    }
}
