//! Pictures for the networks and the head crop: pixels of a frame under an affine map.

use crate::geometry::to_pixel_centres;
use media::image::{Affine, Rgb8};

/// `side` x `side` pixels, RGB 0..=255, whose unit square lies in the frame as `from_unit` says
/// (continuous frame positions).
///
/// Each pixel averages `over` x `over` bilinear samples; beyond the frame its border is repeated.
pub(crate) fn square(frame: &Rgb8, from_unit: &Affine, side: usize, over: usize) -> Vec<f32> {
    part(frame, from_unit, side, over, (0, 0, side, side))
}

/// A part (x, y, width, height; pixels) of [`square`].
pub(crate) fn part(
    frame: &Rgb8,
    from_unit: &Affine,
    side: usize,
    over: usize,
    (x, y, width, height): (usize, usize, usize, usize),
) -> Vec<f32> {
    let step = 1.0 / (side * over) as f32;
    let fine = Affine::scale(step, step)
        .compose(&Affine::translation((x * over) as f32, (y * over) as f32));
    let map = to_pixel_centres(&from_unit.compose(&fine));
    let mut out = vec![0.0; width * height * 3];
    if frame.width == 0 || frame.height == 0 || frame.data.len() < frame.width * frame.height * 3 {
        return out;
    }
    let [a, _, _, d, _, _] = map.0;
    for (row, target) in out.chunks_exact_mut(width.max(1) * 3).enumerate() {
        for line in 0..over {
            let (x0, y0) = map.apply(0.0, (row * over + line) as f32);
            for (column, pixel) in target.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                for tap in 0..over {
                    let i = (column * over + tap) as f32;
                    let sample = bilinear(frame, a * i + x0, d * i + y0);
                    for (value, part) in pixel.iter_mut().zip(sample) {
                        *value += part;
                    }
                }
            }
        }
    }
    if over > 1 {
        let weight = 1.0 / (over * over) as f32;
        for value in &mut out {
            *value *= weight;
        }
    }
    out
}

/// The same for a picture of `ratio` frame pixels a pixel, averaged over their area where it shrinks:
/// for the networks, where speed counts more than the last level of grey.
pub(crate) fn shrunk(frame: &Rgb8, from_unit: &Affine, side: usize, ratio: f32) -> Vec<f32> {
    if ratio < 1.75 || frame.data.len() < frame.width * frame.height * 3 {
        return square(frame, from_unit, side, 1);
    }
    // From here on single pixels do; nine of them are enough for a picture that is only looked at.
    let over = (ratio.ceil() as usize).min(3);
    let step = 1.0 / (side * over) as f32;
    let map = to_pixel_centres(&from_unit.compose(&Affine::scale(step, step)));
    let mut out = vec![0.0; side * side * 3];
    if frame.width == 0 || frame.height == 0 {
        return out;
    }
    let (right, bottom) = (frame.width as i64 - 1, frame.height as i64 - 1);
    // Fixed point with 20 fractional bits: converting each position from float costs more than reading it.
    let fixed = |value: f32| (f64::from(value) * f64::from(1 << 20)) as i64;
    let [across, _, _, down, _, _] = map.0.map(fixed);
    let weight = 1.0 / (over * over) as f32;
    let mut sums = vec![[0_u32; 3]; side];
    for (row, target) in out.chunks_exact_mut(side * 3).enumerate() {
        sums.fill([0; 3]);
        for line in 0..over {
            // Half a pixel more, so that the shift rounds.
            let (x, y) = map.apply(0.0, (row * over + line) as f32);
            let (mut x, mut y) = (fixed(x + 0.5), fixed(y + 0.5));
            for sum in &mut sums {
                for _ in 0..over {
                    let column = (x >> 20).clamp(0, right) as usize;
                    let line = (y >> 20).clamp(0, bottom) as usize;
                    let start = (line * frame.width + column) * 3;
                    if let Some(&[red, green, blue]) = frame.data.get(start..start + 3) {
                        sum[0] += u32::from(red);
                        sum[1] += u32::from(green);
                        sum[2] += u32::from(blue);
                    }
                    x += across;
                    y += down;
                }
            }
        }
        for (pixel, sum) in target.as_chunks_mut::<3>().0.iter_mut().zip(&sums) {
            *pixel = sum.map(|s| s as f32 * weight);
        }
    }
    out
}

/// The colour (0..=255) at a position counted from pixel centres; the frame is not empty.
#[inline]
pub(crate) fn bilinear(frame: &Rgb8, x: f32, y: f32) -> [f32; 3] {
    let x = x.clamp(0.0, (frame.width - 1) as f32);
    let y = y.clamp(0.0, (frame.height - 1) as f32);
    let (left, top) = (x as usize, y as usize);
    let (u, v) = (x - left as f32, y - top as f32);
    let upper = pair(frame, left, top);
    let lower = pair(frame, left, (top + 1).min(frame.height - 1));
    std::array::from_fn(|i| {
        let [p, q, r, s] = [upper[i], upper[i + 3], lower[i], lower[i + 3]].map(f32::from);
        let (above, below) = (p + (q - p) * u, r + (s - r) * u);
        above + (below - above) * v
    })
}

/// A pixel and its neighbour on the right (itself at the border).
#[inline]
fn pair(frame: &Rgb8, x: usize, y: usize) -> [u8; 6] {
    let start = (y * frame.width + x) * 3;
    let from = frame.data.get(start..).unwrap_or_default();
    match (from.first_chunk::<6>(), from.first_chunk::<3>()) {
        (Some(both), _) if x + 1 < frame.width => *both,
        (_, Some(&[r, g, b])) => [r, g, b, r, g, b],
        _ => [0; 6],
    }
}

/// The whole frame, shrunk to fit into a square of `side` pixels and centred; RGB 0..=255, `fill`
/// around it. Also the map from the unit square to frame positions.
///
/// A frame pixel counts in the picture's pixel that holds its centre; of very large frames every
/// second, third, … row and column counts. Frames smaller than the square are sampled bilinearly.
pub(crate) fn letterbox(frame: &Rgb8, side: usize, fill: f32) -> (Vec<f32>, Affine) {
    let longest = frame.width.max(frame.height).max(1);
    let scale = longest as f32;
    let from_unit = Affine([
        scale,
        0.0,
        (frame.width as f32 - scale) / 2.0,
        0.0,
        scale,
        (frame.height as f32 - scale) / 2.0,
    ]);
    let mut out = vec![fill; side * side * 3];
    if frame.width == 0 || frame.height == 0 || frame.data.len() < frame.width * frame.height * 3 {
        return (out, from_unit);
    }
    // Where a frame row or column ends up in the picture.
    let target = |i: usize, size: usize| {
        let unit = (i as f32 + 0.5 + (scale - size as f32) / 2.0) / scale;
        ((unit * side as f32) as usize).min(side - 1)
    };
    if longest <= side {
        let picture = square(frame, &from_unit, side, 1);
        let inside = |i: usize, size: usize| {
            let at = (i as f32 + 0.5) / side as f32 * scale - (scale - size as f32) / 2.0;
            at >= 0.0 && at <= size as f32
        };
        for (i, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            if inside(i % side, frame.width) && inside(i / side, frame.height) {
                pixel.copy_from_slice(&picture[3 * i..3 * i + 3]);
            }
        }
        return (out, from_unit);
    }
    let step = longest / (4 * side) + 1;
    let columns: Vec<(usize, usize)> = (0..frame.width)
        .step_by(step)
        .map(|x| (x, target(x, frame.width)))
        .collect();
    let mut sums = vec![[0_u32; 4]; side];
    let rows: Vec<usize> = (0..frame.height).step_by(step).collect();
    for (i, &y) in rows.iter().enumerate() {
        let row = frame.data.get(y * frame.width * 3..).unwrap_or_default();
        let pixels = row.as_chunks::<3>().0;
        for &(x, column) in &columns {
            if let (Some(&[r, g, b]), Some(sum)) = (pixels.get(x), sums.get_mut(column)) {
                sum[0] += u32::from(r);
                sum[1] += u32::from(g);
                sum[2] += u32::from(b);
                sum[3] += 1;
            }
        }
        let at = target(y, frame.height);
        let last = rows
            .get(i + 1)
            .is_none_or(|&next| target(next, frame.height) != at);
        if last && let Some(line) = out.get_mut(at * side * 3..(at + 1) * side * 3) {
            for (pixel, [r, g, b, count]) in line.as_chunks_mut::<3>().0.iter_mut().zip(&mut sums) {
                if *count > 0 {
                    *pixel = [*r, *g, *b].map(|sum| sum as f32 / *count as f32);
                }
            }
            sums.fill([0; 4]);
        }
    }
    (out, from_unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Square;

    fn ramp(width: usize, height: usize) -> Rgb8 {
        let mut frame = Rgb8::new(width, height);
        for y in 0..height {
            for x in 0..width {
                frame.set_pixel(x, y, [x as u8, y as u8, 7]);
            }
        }
        frame
    }

    #[test]
    fn a_ramp_is_sampled_at_pixel_centres() {
        let frame = ramp(200, 200);
        for over in [1, 3] {
            let square = Square {
                centre: [100.0, 90.0],
                side: 64.0,
                angle: 0.4,
            };
            let map = square.unit_to_frame();
            let out = super::square(&frame, &map, 32, over);
            for y in 0..32 {
                for x in 0..32 {
                    let (u, v) = map.apply((x as f32 + 0.5) / 32.0, (y as f32 + 0.5) / 32.0);
                    let pixel = &out[(y * 32 + x) * 3..][..3];
                    assert!(
                        (pixel[0] - (u - 0.5)).abs() < 1e-2,
                        "{x},{y}: {} for {u}",
                        pixel[0]
                    );
                    assert!((pixel[1] - (v - 0.5)).abs() < 1e-2);
                }
            }
        }
    }

    #[test]
    fn a_shrunk_ramp_stays_in_place() {
        let frame = ramp(250, 250);
        for side in [20.0_f32, 60.0, 150.0] {
            let square = Square {
                centre: [120.0, 130.0],
                side,
                angle: -0.5,
            };
            let map = square.unit_to_frame();
            let out = shrunk(&frame, &map, 24, side / 24.0);
            for i in 0..24 * 24 {
                let (x, y) = ((i % 24) as f32 + 0.5, (i / 24) as f32 + 0.5);
                let (u, v) = map.apply(x / 24.0, y / 24.0);
                assert!((out[3 * i] - (u - 0.5)).abs() < 0.5, "{side} {i}");
                assert!((out[3 * i + 1] - (v - 0.5)).abs() < 0.5, "{side} {i}");
            }
        }
    }

    #[test]
    fn a_letterboxed_frame_keeps_its_shape_and_mean() {
        for (width, height) in [(640, 360), (360, 640), (96, 54)] {
            let frame = Rgb8::filled(width, height, [200, 100, 50]);
            let (out, map) = letterbox(&frame, 192, 0.0);
            let filled = out.chunks(3).filter(|p| p[0] > 1.0).count();
            assert!(
                out.chunks(3)
                    .all(|p| p[0] < 1.0 || (p[0] - 200.0).abs() < 0.01)
            );
            assert!(
                (filled as f32 / (192.0 * 108.0) - 1.0).abs() < 0.02,
                "{filled}"
            );
            let (x, y) = map.apply(0.5, 0.5);
            assert_eq!((x, y), (width as f32 / 2.0, height as f32 / 2.0));
        }
    }

    #[test]
    fn a_letterboxed_ramp_stays_in_place() {
        let (out, map) = letterbox(&ramp(250, 240), 100, 0.0);
        for i in [20 * 100 + 30, 70 * 100 + 80] {
            let (u, v) = map.apply(
                ((i % 100) as f32 + 0.5) / 100.0,
                ((i / 100) as f32 + 0.5) / 100.0,
            );
            assert!(
                (out[3 * i] - (u - 0.5)).abs() < 1.0 && (out[3 * i + 1] - (v - 0.5)).abs() < 1.0
            );
        }
    }

    #[test]
    fn an_empty_frame_gives_the_fill() {
        let (out, _) = letterbox(&Rgb8::new(0, 0), 8, 3.0);
        assert!(out.iter().all(|&value| value == 3.0));
    }
}
