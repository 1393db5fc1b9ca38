//! Single elements.

use crate::cpu::map::Function;
use crate::cuda::launch::{At, Element, Launch};
use crate::cuda::source::ROWS;

const BLOCK: usize = 256;
/// Enough blocks for every multiprocessor; each goes over the elements in steps.
const MOST_BLOCKS: usize = 4096;

const fn code(function: Function) -> usize {
    match function {
        Function::GeluTanh => 0,
        Function::GeluErf => 1,
        Function::Silu => 2,
    }
}

fn grid(count: usize) -> [usize; 3] {
    [count.div_ceil(BLOCK).min(MOST_BLOCKS), 1, 1]
}

/// `function(x)`.
pub(crate) fn apply(element: Element, function: Function, count: usize, x: At, y: At) -> Launch {
    Launch::of(&ROWS, "apply", element, grid(count), BLOCK)
        .at(x)
        .at(y)
        .long(count)
        .int(code(function))
}

/// `grad * function'(x)`.
pub(crate) fn slope(
    element: Element,
    function: Function,
    count: usize,
    x: At,
    grad: At,
    dx: At,
) -> Launch {
    Launch::of(&ROWS, "slope", element, grid(count), BLOCK)
        .at(x)
        .at(grad)
        .at(dx)
        .long(count)
        .int(code(function))
}

/// `x * y` in `f32`.
pub(crate) fn products(element: Element, count: usize, x: At, y: At, out: At) -> Launch {
    Launch::of(&ROWS, "products", element, grid(count), BLOCK)
        .at(x)
        .at(y)
        .at(out)
        .long(count)
}
