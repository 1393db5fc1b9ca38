//! Fitting a made picture into its recorded surroundings: soft masks, colour, grain.

mod border;
mod colour;
mod fitting;
mod grain;
mod mask;

pub use border::blend_border;
pub use colour::{ColourMatch, match_colour};
pub use fitting::Fitting;
pub use grain::{match_grain, noise_level};
pub use mask::{Feather, Mask};

use crate::image::RgbF32;
use thiserror::Error;

/// Images or masks that do not have one size.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{what} is {}x{}, not {}x{}", found.0, found.1, expected.0, expected.1)]
pub struct SizeError {
    /// Which of the arguments.
    pub what: &'static str,
    /// Its width and height.
    pub found: (usize, usize),
    /// The width and height of the others.
    pub expected: (usize, usize),
}

fn same_size(
    what: &'static str,
    found: (usize, usize),
    expected: &RgbF32,
) -> Result<(), SizeError> {
    let expected = (expected.width, expected.height);
    if found == expected {
        Ok(())
    } else {
        Err(SizeError {
            what,
            found,
            expected,
        })
    }
}
