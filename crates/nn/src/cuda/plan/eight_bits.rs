//! Numbers of 8 bits with a scale a row.

use crate::cuda::launch::{At, Element, Launch};
use crate::cuda::source::EIGHT_BITS;

/// `from = scales * to`, a byte an element and an `f32` a row.
pub(crate) fn quantise(
    element: Element,
    (rows, width): (usize, usize),
    from: At,
    to: At,
    scales: At,
) -> Launch {
    Launch::of(&EIGHT_BITS, "quantise", element, [rows, 1, 1], 256)
        .at(from)
        .at(to)
        .at(scales)
        .int(width)
}

/// The inverse of [`quantise`].
pub(crate) fn restore(
    element: Element,
    (rows, width): (usize, usize),
    from: At,
    scales: At,
    to: At,
) -> Launch {
    Launch::of(&EIGHT_BITS, "restore", element, [rows, 1, 1], 256)
        .at(from)
        .at(scales)
        .at(to)
        .int(width)
}
