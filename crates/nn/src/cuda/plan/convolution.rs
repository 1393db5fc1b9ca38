//! Convolution forward, and the gradient of its weight; that of its input is a convolution.

use super::sums::Sums;
use crate::cpu::conv::Sizes;
use crate::cuda::launch::{At, Element, Fields, Launch};
use crate::cuda::source::CONVOLUTION;

/// Blocks that keep a large GPU busy.
const BUSY: usize = 264;
/// Outputs and positions of a block.
const TILE: usize = 128;
/// Channels of one step.
const DEPTH: usize = 32;

/// A convolution of `x` `[B, C, T, H, W]` in one element type, bias in `f32`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convolution<'a> {
    pub(crate) element: Element,
    pub(crate) sizes: &'a Sizes,
}

impl Convolution<'_> {
    fn taps(&self) -> usize {
        self.sizes.kernel.iter().product()
    }

    fn inputs(&self) -> usize {
        self.sizes.input.iter().product()
    }

    fn positions(&self) -> usize {
        self.sizes.output.iter().product()
    }

    fn per_group(&self) -> usize {
        self.sizes.channels / self.sizes.groups
    }

    /// Tensor cores take `bf16` and one group.
    fn on_tensor_cores(&self) -> bool {
        self.element == Element::Bf16 && self.sizes.groups == 1
    }

    fn padded(&self) -> usize {
        self.sizes.channels.next_multiple_of(8)
    }

    fn fields(&self, channels: usize) -> Fields {
        let sizes = self.sizes;
        Fields::default()
            .ints(&[sizes.batch, channels, sizes.outputs, sizes.groups])
            .ints(&sizes.input)
            .ints(&sizes.kernel)
            .ints(&sizes.output)
            .ints(&sizes.stride)
            .ints(&sizes.dilation)
            .ints(&sizes.padding.map(|(front, _)| front))
            .int(usize::from(sizes.replicate))
    }

    /// Elements of the scratch memories in `bf16`: the input and the weight, channels last.
    pub(crate) fn scratch(&self) -> [usize; 2] {
        if !self.on_tensor_cores() {
            return [0, 0];
        }
        [
            self.sizes.batch * self.inputs() * self.padded(),
            self.sizes.outputs * self.taps() * self.padded(),
        ]
    }

    fn channels_last(&self, from: At, to: At, channels: usize, positions: usize) -> Launch {
        let padded = channels.next_multiple_of(8);
        let grid = [
            positions.div_ceil(32),
            padded.div_ceil(32),
            self.sizes.batch,
        ];
        Launch::new(&CONVOLUTION, "channels_last", grid, 256)
            .at(from)
            .at(to)
            .int(channels)
            .int(padded)
            .int(positions)
    }

    pub(crate) fn forward(
        &self,
        (x, weight, bias): (At, At, At),
        y: At,
        [x_last, weight_last]: [At; 2],
    ) -> Vec<Launch> {
        let sizes = self.sizes;
        if !self.on_tensor_cores() {
            let grid = [self.positions().div_ceil(128), sizes.outputs, sizes.batch];
            return vec![
                Launch::of(&CONVOLUTION, "plain_convolution", self.element, grid, 128)
                    .at(x)
                    .at(weight)
                    .at(bias)
                    .at(y)
                    .fields(self.fields(self.per_group())),
            ];
        }
        let [_, count] = self.scratch();
        let grid = [
            self.positions().div_ceil(TILE),
            sizes.outputs.div_ceil(TILE),
            sizes.batch,
        ];
        vec![
            self.channels_last(x, x_last, sizes.channels, self.inputs()),
            Launch::new(
                &CONVOLUTION,
                "taps_first",
                [count.div_ceil(256).min(1024), 1, 1],
                256,
            )
            .at(weight)
            .at(weight_last)
            .int(sizes.channels)
            .int(self.padded())
            .int(self.taps())
            .long(count),
            Launch::new(&CONVOLUTION, "convolution", grid, 256)
                .shared(3 * 2 * TILE * DEPTH * 2)
                .at(x_last)
                .at(weight_last)
                .at(bias)
                .at(y)
                .fields(self.fields(self.padded())),
        ]
    }

    /// Positions that one block of the weight's gradient adds up, and how many parts there are.
    fn parts(&self) -> (usize, usize) {
        let all = self.sizes.batch * self.positions();
        let blocks = self.weight_blocks() * self.taps();
        let wanted = BUSY.div_ceil(blocks).min(all.div_ceil(8 * DEPTH)).max(1);
        let part = all.div_ceil(wanted).next_multiple_of(DEPTH);
        (part, all.div_ceil(part))
    }

    fn weight_blocks(&self) -> usize {
        self.sizes.outputs.div_ceil(128) * self.padded().div_ceil(64)
    }

    fn weight_count(&self) -> usize {
        self.sizes.outputs * self.per_group() * self.taps()
    }

    fn part_sums(&self) -> Sums {
        Sums {
            element: Element::F32,
            width: self.weight_count(),
            targets: 1,
            base: 0,
            step: 1,
            count: self.parts().1,
        }
    }

    /// Elements of the scratch memories of the weight's gradient: input and gradient,
    /// channels last, in `bf16`, and the parts in `f32`.
    pub(crate) fn weight_scratch(&self) -> [usize; 3] {
        if !self.on_tensor_cores() {
            return [0, 0, 0];
        }
        let sizes = self.sizes;
        [
            sizes.batch * self.inputs() * self.padded(),
            sizes.batch * self.positions() * sizes.outputs.next_multiple_of(8),
            self.parts().1 * self.weight_count(),
        ]
    }

    /// The gradient of the weight, in `f32`.
    pub(crate) fn weight_gradient(
        &self,
        x: At,
        grad: At,
        to: At,
        [x_last, grad_last, parts]: [At; 3],
    ) -> Vec<Launch> {
        let sizes = self.sizes;
        if !self.on_tensor_cores() {
            let grid = [self.taps(), self.per_group(), sizes.outputs];
            return vec![
                Launch::of(
                    &CONVOLUTION,
                    "plain_convolution_weight",
                    self.element,
                    grid,
                    128,
                )
                .at(x)
                .at(grad)
                .at(to)
                .fields(self.fields(self.per_group())),
            ];
        }
        let (part, count) = self.parts();
        let mut launches = vec![
            self.channels_last(x, x_last, sizes.channels, self.inputs()),
            self.channels_last(grad, grad_last, sizes.outputs, self.positions()),
            Launch::new(
                &CONVOLUTION,
                "convolution_weight",
                [self.weight_blocks(), self.taps(), count],
                256,
            )
            .shared(3 * DEPTH * (128 + 64) * 2)
            .at(x_last)
            .at(grad_last)
            .at(parts)
            .fields(self.fields(self.padded()))
            .int(sizes.outputs.next_multiple_of(8))
            .int(sizes.channels)
            .int(part),
        ];
        launches.extend(self.part_sums().launches(parts, to, At::NOTHING));
        launches
    }
}
