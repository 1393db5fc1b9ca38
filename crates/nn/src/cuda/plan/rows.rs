//! Rows of `[.., width]`.

use crate::cpu::rows::{Kind, TableAt};
use crate::cuda::launch::{At, Element, Fields, Launch};
use crate::cuda::source::ROWS;

/// `y = normalised(x) * (offset + factor) + summand`, tables in `f32`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Normalise {
    pub(crate) element: Element,
    pub(crate) rows: usize,
    pub(crate) width: usize,
    pub(crate) kind: Kind,
    pub(crate) eps: f32,
    pub(crate) offset: f32,
    pub(crate) factor: Option<(At, TableAt)>,
    pub(crate) summand: Option<(At, TableAt)>,
}

impl Normalise {
    const fn block(&self) -> usize {
        if self.width >= 1024 { 256 } else { 64 }
    }

    const fn kind(&self) -> usize {
        match self.kind {
            Kind::Plain => 0,
            Kind::Rms => 1,
            Kind::Layer => 2,
        }
    }

    fn tables(&self) -> Fields {
        let table = |table: Option<(At, TableAt)>| table.map_or(At::NOTHING, |(at, _)| at);
        let steps =
            |table: Option<(At, TableAt)>| table.map_or([0, 0], |(_, at)| [at.batch, at.token]);
        // Both tables broadcast over the same tokens.
        let tokens = self
            .factor
            .or(self.summand)
            .map_or(self.rows.max(1), |(_, at)| at.tokens);
        Fields::default()
            .at(table(self.factor))
            .at(table(self.summand))
            .int(tokens)
            .ints(&steps(self.factor))
            .ints(&steps(self.summand))
    }

    pub(crate) fn forward(&self, x: At, y: At) -> Launch {
        let several = 16 / self.element.size();
        let aligned = x.aligned() && y.aligned() && self.width.is_multiple_of(several);
        let grid = [self.rows, 1, 1];
        Launch::of(&ROWS, "normalise", self.element, grid, self.block())
            .shared(self.width * 4)
            .at(x)
            .at(y)
            .fields(self.tables())
            .int(self.width)
            .int(self.kind())
            .float(self.eps)
            .float(self.offset)
            .int(usize::from(aligned))
    }

    /// The gradient of `x`; `products` gets `grad * normalised(x)` in `f32`, or is nothing.
    pub(crate) fn backward(&self, x: At, grad: At, dx: At, products: At) -> Launch {
        let grid = [self.rows, 1, 1];
        Launch::of(
            &ROWS,
            "normalise_backward",
            self.element,
            grid,
            self.block(),
        )
        .shared(self.width * 4)
        .at(x)
        .at(grad)
        .at(dx)
        .at(products)
        .fields(self.tables())
        .int(self.width)
        .int(self.kind())
        .float(self.eps)
        .float(self.offset)
    }
}

/// `x + gate * y`.
pub(crate) fn gate_add(
    element: Element,
    (rows, width): (usize, usize),
    x: At,
    (gate, at): (At, TableAt),
    y: At,
    out: At,
) -> Launch {
    Launch::of(&ROWS, "gate_add", element, [rows, 1, 1], 128)
        .at(x)
        .at(gate)
        .at(y)
        .at(out)
        .int(width)
        .int(at.tokens)
        .int(at.batch)
        .int(at.token)
}

/// Rotates pairs; `sign` is -1 for the inverse rotation.
pub(crate) fn rotate(
    element: Element,
    (rows, width): (usize, usize),
    (x, y): (At, At),
    (cosines, sines): (At, At),
    at: TableAt,
    sign: f32,
) -> Launch {
    Launch::of(&ROWS, "rotate", element, [rows, 1, 1], 128)
        .at(x)
        .at(y)
        .at(cosines)
        .at(sines)
        .int(width)
        .int(at.tokens)
        .int(at.batch)
        .int(at.token)
        .float(sign)
}
