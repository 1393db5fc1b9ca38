//! `reword bench`: the speed figures that the README quotes, measured on this machine.

use crate::arguments::BenchArguments;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Runs the command.
pub(crate) fn run(_arguments: &BenchArguments, _terminal: &Terminal) -> Result<(), Failure> {
    Err(Failure::fault("pending"))
}
