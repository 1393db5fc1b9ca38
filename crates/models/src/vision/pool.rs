//! Pooling over the last axes, one axis after the other.

use candle_core::{Result, Tensor, bail};

/// A window along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) size: usize,
    pub(crate) stride: usize,
    /// Places in front and behind that hold nothing.
    pub(crate) padding: (usize, usize),
    /// Whether a last window may reach over the end (PyTorch's `ceil_mode`).
    pub(crate) over_the_end: bool,
}

impl Window {
    pub(crate) const fn new(size: usize, stride: usize, padding: usize) -> Self {
        Self {
            size,
            stride,
            padding: (padding, padding),
            over_the_end: false,
        }
    }

    pub(crate) const fn ceil(size: usize, stride: usize) -> Self {
        Self {
            size,
            stride,
            padding: (0, 0),
            over_the_end: true,
        }
    }

    /// TensorFlow's SAME: `ceil(length / stride)` windows, the odd place behind.
    pub(crate) const fn same(size: usize, stride: usize, length: usize) -> Self {
        let rest = if length.is_multiple_of(stride) {
            stride
        } else {
            length % stride
        };
        let total = size.saturating_sub(rest);
        Self {
            size,
            stride,
            padding: (total / 2, total - total / 2),
            over_the_end: false,
        }
    }

    /// How many windows there are.
    fn count(&self, length: usize) -> usize {
        let room = length + self.padding.0 + self.padding.1;
        let Some(room) = room.checked_sub(self.size) else {
            return 0;
        };
        if self.over_the_end {
            let count = room.div_ceil(self.stride) + 1;
            // A window must begin inside the input or its front padding.
            if (count - 1) * self.stride >= length + self.padding.0 {
                count - 1
            } else {
                count
            }
        } else {
            room / self.stride + 1
        }
    }

    /// The places of the input under a window.
    fn places(&self, index: usize, length: usize) -> std::ops::Range<usize> {
        let start = index * self.stride;
        let first = start.saturating_sub(self.padding.0);
        let last = (start + self.size)
            .saturating_sub(self.padding.0)
            .min(length);
        first..last.max(first)
    }
}

/// Largest value of every window over the last `windows.len()` axes; padding never wins.
pub(crate) fn max_pool(x: &Tensor, windows: &[Window]) -> Result<Tensor> {
    pool(x, windows, f32::NEG_INFINITY, f32::max, |value, _, _| value)
}

/// Mean of every window over the last `windows.len()` axes; padding counts as zeros where `count_padding`, and not at
/// all otherwise.
pub(crate) fn avg_pool(x: &Tensor, windows: &[Window], count_padding: bool) -> Result<Tensor> {
    pool(
        x,
        windows,
        0.0,
        |a, b| a + b,
        move |sum, filled, size| sum / if count_padding { size } else { filled } as f32,
    )
}

fn pool(
    x: &Tensor,
    windows: &[Window],
    start: f32,
    join: impl Fn(f32, f32) -> f32,
    finish: impl Fn(f32, usize, usize) -> f32,
) -> Result<Tensor> {
    let mut dims = x.dims().to_vec();
    let Some(first) = dims.len().checked_sub(windows.len()) else {
        bail!(
            "{} axes can't be pooled over {:?}",
            windows.len(),
            x.shape()
        );
    };
    let mut data: Vec<f32> = x.flatten_all()?.to_vec1()?;
    for (offset, window) in windows.iter().enumerate() {
        let axis = first + offset;
        let length = dims.get(axis).copied().unwrap_or(1);
        let inner: usize = dims.iter().skip(axis + 1).product();
        let count = window.count(length);
        if count == 0 || window.stride == 0 {
            bail!(
                "a window of {} does not fit into {length} (shape {:?})",
                window.size,
                x.shape()
            );
        }
        let mut pooled = Vec::with_capacity(data.len() / length.max(1) * count);
        for block in data.chunks_exact((length * inner).max(1)) {
            for index in 0..count {
                let places = window.places(index, length);
                let filled = places.len();
                let from = pooled.len();
                pooled.resize(from + inner, start);
                let row = pooled.get_mut(from..).unwrap_or_default();
                for place in places {
                    let values = block
                        .get(place * inner..(place + 1) * inner)
                        .unwrap_or_default();
                    for (a, b) in row.iter_mut().zip(values) {
                        *a = join(*a, *b);
                    }
                }
                for value in row {
                    *value = finish(*value, filled.max(1), window.size);
                }
            }
        }
        data = pooled;
        if let Some(place) = dims.get_mut(axis) {
            *place = count;
        }
    }
    Tensor::from_vec(data, dims, x.device())
}

#[cfg(test)]
mod tests {
    use super::{Window, avg_pool, max_pool};
    use candle_core::{Device, Tensor};

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn windows_are_those_of_pytorch() {
        let x = Tensor::arange(0.0_f32, 35.0, &Device::Cpu)
            .unwrap()
            .reshape((1, 5, 7))
            .unwrap();
        let three = Window::new(3, 2, 0);
        assert_eq!(
            values(&max_pool(&x, &[three, three]).unwrap()),
            [16., 18., 20., 30., 32., 34.]
        );
        let padded = Window::new(3, 2, 1);
        let found = max_pool(&x, &[padded, padded]).unwrap();
        assert_eq!(found.dims(), [1, 3, 4]);
        assert_eq!(values(&found)[..4], [8., 10., 12., 13.]);
        let over = Window::ceil(3, 2);
        let six = x.narrow(2, 0, 6).unwrap();
        assert_eq!(max_pool(&six, &[over, over]).unwrap().dims(), [1, 2, 3]);
    }

    #[test]
    fn means_count_padding_or_not() {
        let x = Tensor::ones((1, 1, 3, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
        let window = [Window::new(3, 1, 1); 2];
        assert!(
            values(&avg_pool(&x, &window, false).unwrap())
                .iter()
                .all(|v| (*v - 1.0).abs() < 1e-6)
        );
        assert!((values(&avg_pool(&x, &window, true).unwrap())[0] - 4.0 / 9.0).abs() < 1e-6);
    }

    #[test]
    fn same_padding_gives_a_stridth_of_the_length() {
        for (size, stride, length) in [(3, 2, 112), (3, 2, 7), (2, 2, 5), (1, 1, 4), (7, 2, 16)] {
            let window = Window::same(size, stride, length);
            assert_eq!(
                window.count(length),
                length.div_ceil(stride),
                "{size} {stride} {length}"
            );
        }
        assert_eq!(Window::same(3, 2, 112).padding, (0, 1));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let x = Tensor::ones((1, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(max_pool(&x, &[Window::new(3, 1, 0)]).is_err());
        assert!(max_pool(&x, &[Window::new(1, 1, 0); 3]).is_err());
    }
}
