//! Face crops as `SyncNet`'s pipeline cuts them (`joonson/syncnet_python`, `run_pipeline.py`, `crop_video`).

use face::geometry::Rect;
use media::image::Rgb8;
use models::syncnet::LIP_SIDE;

/// How much more than the box the crop shows.
const CROP_SCALE: f32 = 0.4;
/// Kernel of the median filters over time.
const KERNEL: usize = 13;
/// What stands outside of the frame.
const PADDING: u8 = 110;

/// Half the side of a face's box and its centre, smoothed over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) size: f32,
    pub(crate) x: f32,
    pub(crate) y: f32,
}

/// Places of a track's boxes, one a frame, with every number filtered by a running median.
pub(crate) fn places(boxes: &[Rect]) -> Vec<Place> {
    let column =
        |value: fn(&Rect) -> f32| median_filter(&boxes.iter().map(value).collect::<Vec<_>>());
    let size = column(|b| b.width().max(b.height()) / 2.0);
    let x = column(|b| f32::midpoint(b.left, b.right));
    let y = column(|b| f32::midpoint(b.top, b.bottom));
    size.into_iter()
        .zip(x)
        .zip(y)
        .map(|((size, x), y)| Place { size, x, y })
        .collect()
}

/// `scipy.signal.medfilt`: zeros stand beyond the ends.
fn median_filter(values: &[f32]) -> Vec<f32> {
    let half = KERNEL / 2;
    (0..values.len())
        .map(|centre| {
            let mut window: Vec<f32> = (0..KERNEL)
                .map(|offset| {
                    (centre + offset)
                        .checked_sub(half)
                        .and_then(|at| values.get(at))
                        .copied()
                        .unwrap_or(0.0)
                })
                .collect();
            window.sort_by(f32::total_cmp);
            window.get(half).copied().unwrap_or(0.0)
        })
        .collect()
}

/// The crop at a place: planes of blue, green, red, each 224 x 224 row by row, 0..255.
pub(crate) fn crop(frame: &Rgb8, place: &Place) -> Vec<f32> {
    let pad = (place.size * (1.0 + 2.0 * CROP_SCALE)) as i64;
    // The original truncates to whole pixels of the padded frame.
    let (x, y) = (place.x + pad as f32, place.y + pad as f32);
    let top = (y - place.size) as i64;
    let bottom = (y + place.size * (1.0 + 2.0 * CROP_SCALE)) as i64;
    let left = (x - place.size * (1.0 + CROP_SCALE)) as i64;
    let right = (x + place.size * (1.0 + CROP_SCALE)) as i64;
    // A slice of the original does not reach beyond the padded frame.
    let (wide, high) = (frame.width as i64 + 2 * pad, frame.height as i64 + 2 * pad);
    let (left, right) = (left.clamp(0, wide), right.clamp(0, wide));
    let (top, bottom) = (top.clamp(0, high), bottom.clamp(0, high));
    let (width, height) = ((right - left).max(1), (bottom - top).max(1));
    let value = |column: i64, row: i64, channel: usize| -> f32 {
        let (column, row) = (left + column - pad, top + row - pad);
        if column < 0 || row < 0 || column >= frame.width as i64 || row >= frame.height as i64 {
            return f32::from(PADDING);
        }
        let at = (row as usize * frame.width + column as usize) * 3 + channel;
        frame
            .data
            .get(at)
            .copied()
            .map_or(f32::from(PADDING), f32::from)
    };
    // `cv2.resize`, bilinear: pixel centres correspond, nothing is averaged.
    let axis = |length: i64| -> Vec<(i64, i64, f32)> {
        let scale = length as f32 / LIP_SIDE as f32;
        (0..LIP_SIDE)
            .map(|index| {
                let at = ((index as f32 + 0.5) * scale - 0.5).clamp(0.0, (length - 1) as f32);
                let first = at.floor() as i64;
                (first, (first + 1).min(length - 1), at.fract())
            })
            .collect()
    };
    let (columns, rows) = (axis(width), axis(height));
    let mut planes = Vec::with_capacity(3 * LIP_SIDE * LIP_SIDE);
    for channel in [2, 1, 0] {
        for (above, below, down) in &rows {
            for (before, after, across) in &columns {
                let mix = |row: i64| {
                    let (a, b) = (value(*before, row, channel), value(*after, row, channel));
                    a + (b - a) * across
                };
                let (a, b) = (mix(*above), mix(*below));
                planes.push((a + (b - a) * down).round());
            }
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::{Place, crop, median_filter, places};
    use face::geometry::Rect;
    use media::image::Rgb8;

    #[test]
    fn the_median_is_scipys() {
        // scipy.signal.medfilt([5, 1, 9, 2, 8, 3, 7, 4, 6, 10, 0, 12, 11, 20], 13)
        let values = [5., 1., 9., 2., 8., 3., 7., 4., 6., 10., 0., 12., 11., 20.];
        let wanted = [1., 2., 3., 4., 4., 5., 6., 7., 7., 6., 6., 4., 4., 0.];
        assert_eq!(median_filter(&values), wanted);
    }

    #[test]
    fn a_jump_of_one_frame_does_not_move_the_crop() {
        let mut boxes = vec![Rect::new(100.0, 80.0, 200.0, 220.0); 40];
        boxes[20] = Rect::new(300.0, 10.0, 320.0, 30.0);
        let places = places(&boxes);
        let wanted = Place {
            size: 70.0,
            x: 150.0,
            y: 150.0,
        };
        assert_eq!(places[20], wanted);
    }

    #[test]
    fn outside_of_the_frame_is_grey_and_channels_are_turned_round() {
        let frame = Rgb8::filled(100, 100, [10, 20, 30]);
        let place = Place {
            size: 40.0,
            x: 50.0,
            y: 60.0,
        };
        let planes = crop(&frame, &place);
        let size = 224 * 224;
        assert_eq!(planes.len(), 3 * size);
        let centre = 60 * 224 + 112;
        assert_eq!(
            [
                planes[centre],
                planes[size + centre],
                planes[2 * size + centre]
            ],
            [30., 20., 10.]
        );
        // From x - 56 on: six columns of 112 lie left of the frame.
        assert_eq!((planes[centre - 112], planes[centre - 90]), (110., 30.));
        // Down to y + 72, beyond the frame.
        assert_eq!(planes[223 * 224 + 112], 110.);
    }
}
