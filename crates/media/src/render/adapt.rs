//! Pictures in a format that the encoder takes.

use crate::frame::{Frame, Plane, Samples};
use crate::info::{Chroma, PixelFormat};

/// The nearest format that an encoder takes for pictures of a format and size, and why it is
/// another, where it is.
pub(super) fn encodable(
    encoder: &str,
    format: PixelFormat,
    (width, height): (usize, usize),
) -> (PixelFormat, Option<String>) {
    let mut result = format;
    let mut why = None;
    if format.chroma == Chroma::Gray {
        // Grey is written as 4:2:0 without colour, which every player shows.
        result.chroma = Chroma::C420;
    }
    match encoder {
        "libx264" | "prores_ks" if format.bits > 10 => {
            result.bits = 10;
            why = Some(format!(
                "{} bit pictures are written with 10 bit",
                format.bits
            ));
        }
        _ => {}
    }
    if encoder == "prores_ks" {
        result.bits = 10;
        if result.chroma == Chroma::C420 {
            result.chroma = Chroma::C422;
        }
    }
    if matches!(encoder, "libx264" | "libx265") {
        let odd_width = !width.is_multiple_of(2) && result.chroma != Chroma::C444;
        let odd_height = !height.is_multiple_of(2) && result.chroma == Chroma::C420;
        if odd_width || odd_height {
            result.chroma = Chroma::C444;
            why = Some(format!(
                "the odd size {width}x{height} needs colour at full resolution (4:4:4)"
            ));
        }
    }
    (result, why)
}

/// The planes of a frame in another format. Chroma is repeated where it gets more samples; bits
/// are rounded where they get fewer.
pub(super) fn planes(frame: &Frame, to: PixelFormat) -> Vec<Plane> {
    let from = frame.format();
    let (width, height) = frame.stored_size();
    (0..to.chroma.planes())
        .map(|index| {
            let (plane_width, plane_height) = to.plane_size(index, width, height);
            let neutral = 1_u16 << (to.bits - 1);
            let mut values = Vec::with_capacity(plane_width * plane_height);
            match frame.planes().get(index) {
                None => values.resize(plane_width * plane_height, neutral),
                Some(plane) => {
                    let (wide, high) = if index == 0 {
                        ((1, 1), (1, 1))
                    } else {
                        let (from, to) = (from.chroma.step(), to.chroma.step());
                        ((to.0, from.0), (to.1, from.1))
                    };
                    for y in 0..plane_height {
                        let source_y = (y * high.0 / high.1).min(plane.height - 1);
                        for x in 0..plane_width {
                            let source_x = (x * wide.0 / wide.1).min(plane.width - 1);
                            let value = plane.samples.get(source_y * plane.width + source_x);
                            values.push(rescale(value, from.bits, to.bits));
                        }
                    }
                }
            }
            Plane {
                width: plane_width,
                height: plane_height,
                samples: if to.bits == 8 {
                    Samples::Bytes(values.into_iter().map(|value| value as u8).collect())
                } else {
                    Samples::Words(values)
                },
            }
        })
        .collect()
}

/// The planes of a frame in another format and a smaller size: each sample is the mean of those that it covers.
pub(super) fn shrunk(
    frame: &Frame,
    to: PixelFormat,
    (width, height): (usize, usize),
) -> Vec<Plane> {
    let from = frame.format();
    (0..to.chroma.planes())
        .map(|index| {
            let (columns, rows) = to.plane_size(index, width, height);
            let values = match frame
                .planes()
                .get(index)
                .map(|plane| (plane, &plane.samples))
            {
                None => vec![1_u16 << (to.bits - 1); columns * rows],
                Some((plane, Samples::Bytes(samples))) => means(
                    samples,
                    (plane.width, plane.height),
                    (columns, rows),
                    |mean| rescale(mean, from.bits, to.bits),
                ),
                Some((plane, Samples::Words(samples))) => means(
                    samples,
                    (plane.width, plane.height),
                    (columns, rows),
                    |mean| rescale(mean, from.bits, to.bits),
                ),
            };
            Plane {
                width: columns,
                height: rows,
                samples: if to.bits == 8 {
                    Samples::Bytes(values.into_iter().map(|value| value as u8).collect())
                } else {
                    Samples::Words(values)
                },
            }
        })
        .collect()
}

/// The means of the samples that each of a smaller plane's covers, row by row.
fn means<T: Copy + Into<u32>>(
    samples: &[T],
    (width, height): (usize, usize),
    (columns, rows): (usize, usize),
    write: impl Fn(f32) -> u16,
) -> Vec<u16> {
    let covers = |at: usize, parts: usize, whole: usize| {
        let start = at * whole / parts;
        start..((at + 1) * whole / parts).max(start + 1).min(whole.max(1))
    };
    let across: Vec<_> = (0..columns).map(|at| covers(at, columns, width)).collect();
    let mut sums = vec![0_u32; columns];
    let mut values = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        let lines = covers(row, rows, height);
        sums.fill(0);
        for y in lines.clone() {
            let line = samples.get(y * width..(y + 1) * width).unwrap_or_default();
            for (sum, range) in sums.iter_mut().zip(&across) {
                let part = line.get(range.clone()).unwrap_or_default();
                *sum += part.iter().map(|&sample| sample.into()).sum::<u32>();
            }
        }
        values.extend(
            sums.iter()
                .zip(&across)
                .map(|(&sum, range)| write(sum as f32 / (range.len() * lines.len()).max(1) as f32)),
        );
    }
    values
}

fn rescale(value: f32, from: u8, to: u8) -> u16 {
    let factor = f32::from(to).exp2() / f32::from(from).exp2();
    let maximum = f32::from(to).exp2() - 1.0;
    (value * factor + 0.5).min(maximum) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::RgbF32;
    use crate::info::{ColourTags, Rotation};

    #[test]
    fn colours_survive_a_change_of_format() {
        let image = RgbF32::filled(5, 3, [0.7, 0.3, 0.2]);
        let tags = ColourTags::default();
        let frame = Frame::from_rgb(
            &image,
            PixelFormat {
                chroma: Chroma::C420,
                bits: 12,
            },
            tags,
            Rotation::None,
        )
        .unwrap();
        for chroma in [Chroma::C422, Chroma::C444] {
            let to = PixelFormat { chroma, bits: 10 };
            let changed = Frame::from_planes(5, 3, to, planes(&frame, to), tags).unwrap();
            let back = changed.to_rgb_f32();
            assert!((back.pixel(4, 2)[0] - 0.7).abs() < 0.01);
        }
    }

    #[test]
    fn small_pictures_show_the_same_colours() {
        let tags = ColourTags::default();
        let mut image = RgbF32::filled(640, 362, [0.7, 0.3, 0.2]);
        for y in 0..362 {
            for x in 320..640 {
                image.set_pixel(x, y, [0.1, 0.2, 0.8]);
            }
        }
        let format = PixelFormat {
            chroma: Chroma::C422,
            bits: 10,
        };
        let frame = Frame::from_rgb(&image, format, tags, Rotation::None).unwrap();
        let to = PixelFormat::YUV420;
        let planes = shrunk(&frame, to, (160, 90));
        let small = Frame::from_planes(160, 90, to, planes, tags)
            .unwrap()
            .to_rgb_f32();
        assert!((small.pixel(40, 45)[0] - 0.7).abs() < 0.02);
        assert!((small.pixel(120, 45)[2] - 0.8).abs() < 0.02);
    }

    #[test]
    fn odd_h264_gets_full_colour_and_odd_vp9_does_not() {
        assert_eq!(
            encodable("libx264", PixelFormat::YUV420, (131, 98))
                .0
                .chroma,
            Chroma::C444
        );
        assert_eq!(
            encodable("libvpx-vp9", PixelFormat::YUV420, (131, 97))
                .0
                .chroma,
            Chroma::C420
        );
        assert_eq!(
            encodable("libx265", PixelFormat::YUV420, (132, 98))
                .0
                .chroma,
            Chroma::C420
        );
    }
}
