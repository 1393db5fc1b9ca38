//! Normalisation of `[B, C, positions]`.

use crate::cuda::launch::{At, Element, Fields, Launch};
use crate::cuda::source::CHANNELS;

/// Elements of a part of a group.
const PART: usize = 8192;
const BLOCK: usize = 256;

/// Over the channels of each position where `groups` is 0, or over groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChannelNorm {
    pub(crate) element: Element,
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) positions: usize,
    pub(crate) groups: usize,
    pub(crate) eps: f32,
    pub(crate) offset: f32,
    pub(crate) silu: bool,
    /// Factor and summand in `f32`, and their rows: 1, or one a sample.
    pub(crate) affine: Option<(At, At, usize)>,
}

impl ChannelNorm {
    const fn part_count(&self) -> usize {
        (self.channels / self.groups * self.positions).div_ceil(PART)
    }

    /// Elements of the statistics in `f32`: a scale a position, or two numbers a group.
    pub(crate) const fn statistics(&self) -> usize {
        if self.groups == 0 {
            self.batch * self.positions
        } else {
            self.batch * self.groups * 2
        }
    }

    /// Elements of the scratch memory in `f32` while statistics are made.
    pub(crate) const fn scratch(&self) -> usize {
        if self.groups == 0 {
            0
        } else {
            self.batch * self.groups * self.part_count() * 3
        }
    }

    fn fields(&self) -> Fields {
        let (factor, summand, rows) = self.affine.unwrap_or((At::NOTHING, At::NOTHING, 1));
        Fields::default()
            .ints(&[self.batch, self.channels, self.positions, self.groups])
            .at(factor)
            .at(summand)
            .int(rows)
            .float(self.offset)
            .float(self.eps)
            .int(usize::from(self.silu))
    }

    fn kernel(&self, name: &str, grid: [usize; 3]) -> Launch {
        Launch::of(&CHANNELS, name, self.element, grid, BLOCK)
    }

    /// Positions by 32, samples.
    const fn by_position(&self) -> [usize; 3] {
        [self.positions.div_ceil(32), self.batch, 1]
    }

    const fn by_element(&self) -> [usize; 3] {
        [self.positions.div_ceil(BLOCK), self.channels, self.batch]
    }

    /// `scales` and `statistics` as the kernels take them: one of them is nothing.
    const fn which(&self, statistics: At) -> (At, At) {
        if self.groups == 0 {
            (statistics, At::NOTHING)
        } else {
            (At::NOTHING, statistics)
        }
    }

    pub(crate) fn make_statistics(&self, x: At, statistics: At, scratch: At) -> Vec<Launch> {
        if self.groups == 0 {
            return vec![
                self.kernel("position_scales", self.by_position())
                    .at(x)
                    .at(statistics)
                    .fields(self.fields()),
            ];
        }
        let groups = self.batch * self.groups;
        vec![
            self.kernel("group_parts", [self.part_count(), groups, 1])
                .at(x)
                .at(scratch)
                .fields(self.fields())
                .int(PART),
            Launch::new(&CHANNELS, "join_parts", [groups.div_ceil(64), 1, 1], 64)
                .at(scratch)
                .at(statistics)
                .int(self.part_count())
                .int(groups)
                .float(self.eps),
        ]
    }

    pub(crate) fn forward(&self, x: At, y: At, statistics: At) -> Launch {
        let (scales, statistics) = self.which(statistics);
        self.kernel("channel_norm", self.by_element())
            .at(x)
            .at(y)
            .at(scales)
            .at(statistics)
            .fields(self.fields())
    }

    /// The gradient of `x`, and the sums `[2, B, C]` for factors and for summands.
    pub(crate) fn backward(
        &self,
        x: At,
        grad: At,
        dx: At,
        sums: At,
        statistics: At,
    ) -> Vec<Launch> {
        let (scales, moments) = self.which(statistics);
        let add = self
            .kernel("channel_sums", [self.channels, self.batch, 1])
            .at(x)
            .at(grad)
            .at(sums)
            .at(scales)
            .at(moments)
            .fields(self.fields());
        let rest = if self.groups == 0 {
            self.kernel("position_backward", self.by_position())
                .at(x)
                .at(grad)
                .at(dx)
                .at(scales)
        } else {
            self.kernel("group_backward", self.by_element())
                .at(x)
                .at(grad)
                .at(dx)
                .at(sums)
                .at(moments)
        };
        vec![add, rest.fields(self.fields())]
    }
}
