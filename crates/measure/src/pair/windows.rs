//! Windows of frames, for networks that see several at once.

use crate::MeasureError;
use candle_core::{Device, Tensor};
use models::i3d;

/// Windows of 16 small frames of both clips, one after the other.
#[derive(Debug, Default)]
pub(super) struct Windows {
    frames: [Vec<Vec<f32>>; 2],
}

impl Windows {
    /// Takes the next frames, planes of 224 x 224; gives windows `[1, 3, 16, 224, 224]` when they are full.
    pub(super) fn push(
        &mut self,
        frames: [Vec<f32>; 2],
    ) -> Result<Option<[Tensor; 2]>, MeasureError> {
        for (window, frame) in self.frames.iter_mut().zip(frames) {
            window.push(frame);
        }
        let [made, reference] = &mut self.frames;
        if made.len() < i3d::FRAMES {
            return Ok(None);
        }
        Ok(Some([window_of(made)?, window_of(reference)?]))
    }
}

/// A full window as one tensor; it is empty afterwards.
fn window_of(frames: &mut Vec<Vec<f32>>) -> Result<Tensor, MeasureError> {
    let (side, count) = (i3d::SIDE, frames.len());
    let mut values: Vec<f32> = Vec::with_capacity(3 * count * side * side);
    for channel in 0..3 {
        for frame in frames.iter() {
            values.extend(frame.iter().skip(channel * side * side).take(side * side));
        }
    }
    frames.clear();
    let shape = (1, 3, count, side, side);
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::Windows;
    use models::i3d;

    #[test]
    fn a_window_is_given_when_sixteen_frames_are_there_and_the_next_begins_anew() {
        let side = i3d::SIDE * i3d::SIDE;
        // A frame's number plus a hundred for each channel.
        let frame = |n: usize| -> Vec<f32> {
            (0..3 * side)
                .map(|place| (n + 100 * (place / side)) as f32)
                .collect()
        };
        let mut windows = Windows::default();
        for n in 0..2 * i3d::FRAMES {
            let found = windows.push([frame(n), frame(n + 1000)]).unwrap();
            assert_eq!(found.is_some(), n % i3d::FRAMES == i3d::FRAMES - 1);
            let Some([made, reference]) = found else {
                continue;
            };
            assert_eq!(made.dims(), [1, 3, i3d::FRAMES, i3d::SIDE, i3d::SIDE]);
            for (window, first) in [(made, 0), (reference, 1000)] {
                let one = window.narrow(1, 2, 1).unwrap().narrow(2, 5, 1).unwrap();
                let values = one.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let start = n + 1 - i3d::FRAMES;
                assert_eq!(values[77], (200 + first + start + 5) as f32);
            }
        }
    }
}
