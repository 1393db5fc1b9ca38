//! The bicubic resize that clean-fid asks for (Parmar, Zhang, Zhu 2022): Pillow's, on floats.
//!
//! Keys' kernel with a = -1/2, widened when it shrinks, so that nothing aliases; across, then down, in floats without
//! rounding between. The result is clamped to 0..255 and not rounded.

use media::image::Rgb8;

/// Half the width of the kernel at scale 1.
const SUPPORT: f64 = 2.0;

fn kernel(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// First input position and weights of every output position.
fn weights(from: usize, to: usize) -> Vec<(usize, Vec<f64>)> {
    let scale = from as f64 / to as f64;
    let wide = scale.max(1.0);
    let reach = SUPPORT * wide;
    (0..to)
        .map(|index| {
            let centre = (index as f64 + 0.5) * scale;
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let last = ((centre + reach + 0.5) as usize).min(from);
            let mut taps: Vec<f64> = (first..last)
                .map(|place| kernel((place as f64 - centre + 0.5) / wide))
                .collect();
            let sum: f64 = taps.iter().sum();
            for tap in &mut taps {
                *tap /= sum;
            }
            (first, taps)
        })
        .collect()
}

/// The picture at `width` x `height` as planes: all of red, then green, then blue, each row by row, 0..255.
pub fn clean_resize(image: &Rgb8, width: usize, height: usize) -> Vec<f32> {
    let mut planes = Vec::with_capacity(3 * width * height);
    for channel in 0..3 {
        let plane = super::channel(image, channel);
        let resized = resize_plane(&plane, image.width, image.height, width, height);
        planes.extend(resized.into_iter().map(|value| value.clamp(0.0, 255.0)));
    }
    planes
}

/// A plane of `from_width` x `from_height` at `width` x `height`, not clamped.
pub(crate) fn resize_plane(
    plane: &[f32],
    from_width: usize,
    from_height: usize,
    width: usize,
    height: usize,
) -> Vec<f32> {
    let across = weights(from_width.max(1), width);
    let down = weights(from_height.max(1), height);
    let rows: Vec<Vec<f32>> = plane
        .chunks_exact(from_width.max(1))
        .map(|row| {
            across
                .iter()
                .map(|(first, taps)| {
                    let values = row.get(*first..).unwrap_or_default();
                    taps.iter()
                        .zip(values)
                        .map(|(t, v)| t * f64::from(*v))
                        .sum::<f64>() as f32
                })
                .collect()
        })
        .collect();
    let mut resized = Vec::with_capacity(width * height);
    for (first, taps) in &down {
        let mut sums = vec![0.0_f64; width];
        for (tap, row) in taps.iter().zip(rows.get(*first..).unwrap_or_default()) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += tap * f64::from(*value);
            }
        }
        resized.extend(sums.into_iter().map(|value| value as f32));
    }
    resized
}

#[cfg(test)]
mod tests {
    use super::clean_resize;
    use media::image::Rgb8;

    #[test]
    fn one_colour_stays_and_the_same_size_changes_nothing() {
        let plain = Rgb8::filled(40, 30, [10, 200, 77]);
        for (width, height) in [(13, 9), (80, 77), (40, 30)] {
            let planes = clean_resize(&plain, width, height);
            for (plane, wanted) in planes.chunks_exact(width * height).zip([10.0, 200.0, 77.0]) {
                assert!(plane.iter().all(|v| (v - wanted).abs() < 1e-3));
            }
        }
        let mut image = Rgb8::new(17, 11);
        for (index, value) in image.data.iter_mut().enumerate() {
            *value = (index * 53 % 256) as u8;
        }
        let planes = clean_resize(&image, 17, 11);
        for (index, value) in image.data.iter().enumerate() {
            let at = index % 3 * 17 * 11 + index / 3;
            assert!((planes[at] - f32::from(*value)).abs() < 1e-3);
        }
    }

    /// `np.asarray(Image.fromarray(x, "F").resize((3, 2), Image.BICUBIC)).clip(0, 255)` of `x[j, i] = 9 (7 j + i) mod
    /// 256`, 7 columns and 5 rows, by Pillow.
    const PILLOW: [f32; 6] = [
        65.37743, 89.22999, 109.52586, 149.66402, 133.45428, 156.70695,
    ];

    #[test]
    fn it_is_pillows() {
        let mut image = Rgb8::new(7, 5);
        for index in 0..35 {
            let value = (index * 9 % 256) as u8;
            image.set_pixel(index % 7, index / 7, [value; 3]);
        }
        for (found, wanted) in clean_resize(&image, 3, 2).iter().zip(PILLOW) {
            assert!((found - wanted).abs() < 1e-4, "{found} {wanted}");
        }
    }
}
