//! Regions are read and written exactly, turned or not, in all formats.

use super::super::{Plane, Samples};
use super::*;
use crate::info::{Chroma, ColourRange, ColourTags, PixelFormat};
use proptest::prelude::*;

fn noise(seed: u64, length: usize, maximum: u16) -> Vec<u16> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % (u64::from(maximum) + 1)) as u16
        })
        .collect()
}

fn frame(seed: u64, width: usize, height: usize, format: PixelFormat, colour: ColourTags) -> Frame {
    let maximum = (1_u32 << format.bits) as u16 - 1;
    let planes = (0..format.chroma.planes())
        .map(|index| {
            let (w, h) = format.plane_size(index, width, height);
            let values = noise(seed + index as u64, w * h, maximum);
            let samples = if format.bits == 8 {
                Samples::Bytes(values.iter().map(|&v| v as u8).collect())
            } else {
                Samples::Words(values)
            };
            Plane {
                width: w,
                height: h,
                samples,
            }
        })
        .collect();
    Frame::from_planes(width, height, format, planes, colour).unwrap()
}

fn formats() -> impl Strategy<Value = PixelFormat> {
    (
        prop::sample::select(vec![Chroma::Gray, Chroma::C420, Chroma::C422, Chroma::C444]),
        prop::sample::select(vec![8_u8, 10, 12]),
    )
        .prop_map(|(chroma, bits)| PixelFormat { chroma, bits })
}

fn tags() -> impl Strategy<Value = ColourTags> {
    (
        prop::sample::select(vec![1_u8, 2, 5, 6, 7, 9]),
        prop::sample::select(vec![
            ColourRange::Limited,
            ColourRange::Full,
            ColourRange::Unspecified,
        ]),
    )
        .prop_map(|(matrix, range)| ColourTags {
            matrix,
            range,
            ..ColourTags::default()
        })
}

fn rotations() -> impl Strategy<Value = Rotation> {
    prop::sample::select(vec![
        Rotation::None,
        Rotation::Quarter,
        Rotation::Half,
        Rotation::ThreeQuarters,
    ])
}

fn largest_difference(one: &Frame, two: &Frame) -> f32 {
    let mut largest = 0.0_f32;
    for (a, b) in one.planes().iter().zip(two.planes()) {
        for (a, b) in a.samples.to_f32().iter().zip(b.samples.to_f32()) {
            largest = largest.max((a - b).abs());
        }
    }
    largest
}

proptest! {
    #[test]
    fn writing_back_what_was_read_changes_no_sample_by_more_than_one(
        seed in any::<u32>(), width in 1_usize..19, height in 1_usize..19,
        format in formats(), colour in tags(), rotation in rotations(),
        x in 0_i64..8, y in 0_i64..8, w in 1_usize..19, h in 1_usize..19,
    ) {
        let mut before = frame(u64::from(seed), width, height, format, colour);
        before.rotation = rotation;
        let mut after = before.clone();
        // A region that lies partly outside repeats the border there and is cut when written.
        let region = before.region_rgb(x, y, w, h);
        after.put_region_rgb(x, y, &region, &vec![1.0; w * h]).unwrap();
        prop_assert!(largest_difference(&before, &after) <= 1.0);
    }

    #[test]
    fn only_samples_under_the_mask_are_touched(
        seed in any::<u32>(), format in formats(), rotation in rotations(),
        x in -4_i64..12, y in -4_i64..12,
    ) {
        let mut before = frame(u64::from(seed), 13, 11, format, ColourTags::default());
        before.rotation = rotation;
        let mut after = before.clone();
        let image = RgbF32::filled(5, 4, [0.9, 0.1, 0.4]);
        let mut alpha = vec![0.0; 20];
        alpha[7] = 0.6; // column 2, row 1
        after.put_region_rgb(x, y, &image, &alpha).unwrap();
        let (px, py) = (x + 2, y + 1);
        // Undo the rotation for the one touched pixel.
        let (sx, sy, _, _) = turn::stored_rectangle((px, py, 1, 1), 13, 11, rotation);
        for (index, (old, new)) in before.planes().iter().zip(after.planes()).enumerate() {
            let (across, down) = if index == 0 { (1, 1) } else { format.chroma.step() };
            for row in 0..old.height {
                for column in 0..old.width {
                    let at = row * old.width + column;
                    let hit = sx >= 0 && sy >= 0
                        && sx as usize / across == column && sy as usize / down == row
                        && (sx as usize) < 13 && (sy as usize) < 11;
                    if !hit {
                        prop_assert!((old.samples.get(at) - new.samples.get(at)).abs() < 0.5);
                    }
                }
            }
        }
    }

    #[test]
    fn a_flat_colour_survives_the_frame(
        red in 0.0_f32..1.0, green in 0.0_f32..1.0, blue in 0.0_f32..1.0,
        colour in tags(), rotation in rotations(), chroma in prop::sample::select(vec![Chroma::C420, Chroma::C422, Chroma::C444]),
    ) {
        let format = PixelFormat { chroma, bits: 10 };
        let image = RgbF32::filled(7, 5, [red, green, blue]);
        let frame = Frame::from_rgb(&image, format, colour, rotation).unwrap();
        prop_assert_eq!((frame.width(), frame.height()), (7, 5));
        let back = frame.to_rgb_f32();
        for (a, b) in image.data.iter().zip(&back.data) {
            prop_assert!((a - b).abs() < 0.004, "{} {}", a, b);
        }
    }

    #[test]
    fn the_8_bit_picture_is_the_float_picture_rounded(
        seed in any::<u32>(), format in formats(), colour in tags(), rotation in rotations(),
    ) {
        let mut frame = frame(u64::from(seed), 9, 7, format, colour);
        frame.rotation = rotation;
        let exact = frame.to_rgb_f32().to_rgb8();
        let fast = frame.to_rgb8();
        for (a, b) in exact.data.iter().zip(&fast.data) {
            prop_assert!(a.abs_diff(*b) <= 1);
        }
    }
}

#[test]
fn a_region_of_8_bits_is_cut_out_of_the_whole() {
    for rotation in [Rotation::None, Rotation::Quarter, Rotation::Half] {
        let mut frame = frame(5, 13, 10, PixelFormat::YUV420, ColourTags::default());
        frame.rotation = rotation;
        let whole = frame.to_rgb8();
        for (x, y, width, height) in [(0, 0, 13, 10), (3, 1, 5, 4), (7, 8, 9, 9), (40, 2, 3, 3)] {
            let part = frame.region_rgb8(x, y, width, height);
            let inside = |at: usize, size: usize, limit: usize| size.min(limit - at.min(limit));
            assert_eq!(part.width, inside(x, width, frame.width()));
            assert_eq!(part.height, inside(y, height, frame.height()));
            for row in 0..part.height {
                for column in 0..part.width {
                    assert_eq!(part.pixel(column, row), whole.pixel(x + column, y + row));
                }
            }
        }
    }
}

#[test]
fn white_and_black_have_their_codes() {
    let colour = ColourTags {
        matrix: 1,
        range: ColourRange::Limited,
        ..ColourTags::default()
    };
    let white = Frame::from_rgb(
        &RgbF32::filled(4, 4, [1.0; 3]),
        PixelFormat::YUV420,
        colour,
        Rotation::None,
    )
    .unwrap();
    let codes: Vec<f32> = white
        .planes()
        .iter()
        .map(|plane| plane.samples.get(0))
        .collect();
    assert_eq!(codes, [235.0, 128.0, 128.0]);
    let black = Frame::black(
        4,
        4,
        PixelFormat {
            chroma: Chroma::C420,
            bits: 10,
        },
        colour,
    )
    .unwrap();
    let codes: Vec<f32> = black
        .planes()
        .iter()
        .map(|plane| plane.samples.get(0))
        .collect();
    assert_eq!(codes, [64.0, 512.0, 512.0]);
}

#[test]
fn half_a_mask_moves_half_the_way() {
    let mut frame = Frame::from_rgb(
        &RgbF32::filled(4, 4, [0.2; 3]),
        PixelFormat::YUV420,
        ColourTags::default(),
        Rotation::None,
    )
    .unwrap();
    frame
        .put_region_rgb(0, 0, &RgbF32::filled(4, 4, [0.6; 3]), &[0.5; 16])
        .unwrap();
    assert!((frame.to_rgb_f32().pixel(1, 1)[0] - 0.4).abs() < 0.01);
    assert!(
        frame
            .put_region_rgb(0, 0, &RgbF32::new(4, 4), &[0.5; 15])
            .is_err()
    );
}

#[test]
fn scaling_averages() {
    let mut image = RgbF32::new(8, 8);
    for y in 0..8 {
        for x in 0..8 {
            image.set_pixel(x, y, [(x % 2) as f32; 3]);
        }
    }
    let frame = Frame::from_rgb(
        &image,
        PixelFormat::YUV420,
        ColourTags::default(),
        Rotation::Quarter,
    )
    .unwrap();
    let small = frame.to_rgb8_scaled(4, 2);
    assert_eq!((small.width, small.height), (4, 2));
    assert!(
        small.data.iter().all(|&value| (126..=130).contains(&value)),
        "{:?}",
        small.data
    );
}

#[test]
fn blending_needs_one_format() {
    let one = frame(1, 4, 4, PixelFormat::YUV420, ColourTags::default());
    let two = frame(9, 4, 4, PixelFormat::YUV420, ColourTags::default());
    assert_eq!(one.blend(&two, 0.0).unwrap().planes(), one.planes());
    assert_eq!(one.blend(&two, 1.0).unwrap().planes(), two.planes());
    let other = frame(9, 5, 4, PixelFormat::YUV420, ColourTags::default());
    assert!(one.blend(&other, 0.5).is_err());
}
