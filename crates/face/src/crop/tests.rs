use super::*;
use media::Frame;
use media::compose::Mask;
use media::image::RgbF32;
use media::info::{ColourTags, Rotation};
use proptest::prelude::*;

/// A face whose template points lie exactly where `place` puts them.
fn face(place: &Placement) -> Vec<Point> {
    let mut points = vec![place.to_frame([0.5, 0.6]); 468];
    for (index, unit) in TEMPLATE {
        points[index] = place.to_frame(unit);
    }
    points
}

fn placement() -> impl Strategy<Value = Placement> {
    (
        40.0_f64..900.0,
        -1.2_f64..1.2,
        -300.0_f64..900.0,
        -300.0_f64..900.0,
    )
        .prop_map(|(side, angle, x, y)| Placement {
            a: side * angle.cos(),
            b: side * angle.sin(),
            x,
            y,
        })
}

fn near(a: Point, b: Point, tolerance: f32) -> bool {
    crate::geometry::distance(a, b) < tolerance
}

proptest! {
    #[test]
    fn a_similarity_is_recovered_exactly(place in placement()) {
        let fitted = Placement::fit(&face(&place)).unwrap();
        prop_assert!((fitted.a - place.a).abs() < 1e-2 && (fitted.b - place.b).abs() < 1e-2);
        for corner in [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]] {
            prop_assert!(near(fitted.to_frame(corner), place.to_frame(corner), 0.02));
        }
    }

    #[test]
    fn no_similarity_near_the_fit_is_better(
        place in placement(), noise in prop::collection::vec(-6.0_f32..6.0, 16),
        change in (-0.02_f64..0.02, -0.02_f64..0.02, -3.0_f64..3.0, -3.0_f64..3.0),
    ) {
        let mut points = face(&place);
        for (i, (index, _)) in TEMPLATE.iter().enumerate() {
            points[*index][0] += noise[2 * i];
            points[*index][1] += noise[2 * i + 1];
        }
        let error = |p: &Placement| -> f64 {
            TEMPLATE.iter().map(|&(index, [u, v])| {
                let (u, v) = (f64::from(u), f64::from(v));
                let [x, y] = points[index].map(f64::from);
                (p.a * u - p.b * v + p.x - x).powi(2) + (p.b * u + p.a * v + p.y - y).powi(2)
            }).sum()
        };
        let fitted = Placement::fit(&points).unwrap();
        let other = Placement {
            a: fitted.a + change.0 * place.side(), b: fitted.b + change.1 * place.side(),
            x: fitted.x + change.2, y: fitted.y + change.3,
        };
        prop_assert!(error(&fitted) <= error(&other) + 1e-6);
    }

    #[test]
    fn units_and_frame_positions_are_inverse(place in placement(), u in -0.5_f32..1.5, v in -0.5_f32..1.5) {
        prop_assert!(near(place.to_unit(place.to_frame([u, v])), [u, v], 2e-3));
        let back = place.crop_to_frame(256).inverse().unwrap().apply(place.to_frame([u, v])[0], place.to_frame([u, v])[1]);
        prop_assert!(near([back.0 / 256.0, back.1 / 256.0], [u, v], 2e-3));
    }

    #[test]
    fn bounds_hold_every_point_of_the_box(place in placement(), u in 0.0_f32..1.0, v in 0.0_f32..1.0) {
        let area = Rect::new(0.125, 0.5, 0.875, 1.0);
        let inside = [0.125 + 0.75 * u, 0.5 + 0.5 * v];
        prop_assert!(place.bounds(&area).grow(0.01).contains(place.to_frame(inside)));
    }

    #[test]
    fn smoothing_does_not_lag(slope in -5.0_f64..5.0, offset in -50.0_f64..50.0, length in 30_usize..60) {
        // A straight line is unchanged away from the ends: any delay would shift it.
        let line: Vec<[f64; 1]> = (0..length).map(|i| [offset + slope * i as f64]).collect();
        let smooth = smooth::gaussian(&line, 2.0);
        for i in 8..length - 8 {
            prop_assert!((smooth[i][0] - line[i][0]).abs() < 1e-9);
        }
    }

    #[test]
    fn smoothing_backwards_is_smoothing_reversed(values in prop::collection::vec(-9.0_f64..9.0, 1..40)) {
        let forward: Vec<[f64; 1]> = values.iter().map(|&v| [v]).collect();
        let mut backward = forward.clone();
        backward.reverse();
        let mut reversed = smooth::gaussian(&backward, 2.0);
        reversed.reverse();
        for (a, b) in smooth::gaussian(&forward, 2.0).iter().zip(&reversed) {
            prop_assert!((a[0] - b[0]).abs() < 1e-9);
        }
    }
}

/// Expected values: the same kernel in numpy (edge padding, radius 8) over a step.
#[test]
fn smoothing_matches_the_training_preparation() {
    let step: Vec<[f64; 1]> = [0., 0., 0., 1., 1., 1.].map(|v| [v]).to_vec();
    let expected = [
        0.103_239_4,
        0.224_226_9,
        0.400_262_7,
        0.599_737_3,
        0.775_773_1,
        0.896_760_6,
    ];
    for (value, right) in smooth::gaussian(&step, 2.0).iter().zip(expected) {
        assert!((value[0] - right).abs() < 1e-6, "{} {right}", value[0]);
    }
}

#[test]
fn a_break_separates_the_smoothing() {
    let place = |x: f64| Placement {
        a: 100.0,
        b: 0.0,
        x,
        y: 0.0,
    };
    let faces: Vec<Option<Vec<Point>>> = (0..20)
        .map(|i| match i {
            10 => None,
            i if i < 10 => Some(face(&place(0.0))),
            _ => Some(face(&place(500.0))),
        })
        .collect();
    let crop = HeadCrop::of_points(FrameIndex(5), faces.iter().map(|f| f.as_deref()));
    assert_eq!(crop.frames(), FrameIndex(5)..FrameIndex(25));
    assert!(crop.placement(FrameIndex(15)).is_none());
    assert!(crop.placement(FrameIndex(4)).is_none() && crop.placement(FrameIndex(25)).is_none());
    assert!(crop.placement(FrameIndex(14)).unwrap().x.abs() < 1e-3);
    assert!((crop.placement(FrameIndex(16)).unwrap().x - 500.0).abs() < 1e-3);
}

fn gradient(width: usize, height: usize) -> Rgb8 {
    let mut frame = Rgb8::new(width, height);
    for y in 0..height {
        for x in 0..width {
            frame.set_pixel(x, y, [(x / 2) as u8, (y / 2) as u8, ((x + y) / 4) as u8]);
        }
    }
    frame
}

#[test]
fn a_crop_pasted_back_is_the_frame_again() {
    let frame = gradient(480, 400);
    for (side, angle) in [(150.0_f64, 0.2_f64), (256.0, 0.0), (380.0, -0.3)] {
        let place = Placement {
            a: side * angle.cos(),
            b: side * angle.sin(),
            x: 90.0,
            y: 80.0,
        };
        let crop = place.extract(&frame, CROP_SIZE).to_f32();
        let area = Rect::new(0.125, 0.25, 0.875, 0.875);
        let patch = place.paste(&crop, &area, 0.05, 480, 400).unwrap();
        let mut checked = 0;
        for (i, &alpha) in patch.alpha.iter().enumerate() {
            if alpha == 1.0 {
                let (x, y) = (i % patch.image.width, i / patch.image.width);
                let made = patch.image.pixel(x, y);
                let recorded = frame.pixel(patch.x + x, patch.y + y);
                for c in 0..3 {
                    assert!(
                        (made[c] * 255.0 - f32::from(recorded[c])).abs() < 1.6,
                        "{side} {x} {y}"
                    );
                }
                checked += 1;
            }
        }
        assert!(f64::from(checked) > 0.3 * side * side, "{checked}");
        let corner = place.to_frame([0.12, 0.24]);
        let at = (corner[1] as usize - patch.y.min(corner[1] as usize)) * patch.image.width;
        assert!(patch.alpha.get(at).copied().unwrap_or(0.0) < 0.1);
    }
}

#[test]
fn a_part_of_a_crop_is_that_of_the_whole_crop_straight_from_the_frame() {
    let mut image = gradient(480, 400).to_f32();
    for (index, value) in image.data.iter_mut().enumerate() {
        *value += ((index * 7919) % 31) as f32 / 255.0;
    }
    let format = media::PixelFormat::YUV420;
    let (tags, turn) = (ColourTags::default(), Rotation::Quarter);
    let frame = Frame::from_rgb(&image, format, tags, turn).unwrap();
    for (side, angle, x) in [
        (90.0_f64, 0.2_f64, 90.0),
        (600.0, -0.1, -150.0),
        (300.0, 0.4, 460.0),
    ] {
        let place = Placement {
            a: side * angle.cos(),
            b: side * angle.sin(),
            x,
            y: 80.0,
        };
        let whole = place.extract(&frame.to_rgb8(), 128);
        for part in [(0, 0, 128, 128), (20, 40, 60, 70), (100, 0, 28, 9)] {
            let cut = place.extract_part(&frame, 128, part);
            assert_eq!((cut.width, cut.height), (part.2, part.3));
            for y in 0..part.3 {
                for x in 0..part.2 {
                    let (a, b) = (cut.pixel(x, y), whole.pixel(part.0 + x, part.1 + y));
                    for c in 0..3 {
                        assert!(a[c].abs_diff(b[c]) <= 1, "{side} {x},{y}: {a:?} {b:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_masked_paste_is_the_paste_where_the_mask_is() {
    let crop = gradient(128, 128).to_f32();
    let mask = Mask::ellipse(128, 128, (64.0, 80.0), (40.0, 30.0));
    for (side, angle) in [(60.0_f64, 0.2_f64), (128.0, 0.0), (380.0, -0.3)] {
        let place = Placement {
            a: side * angle.cos(),
            b: side * angle.sin(),
            x: 90.0,
            y: 80.0,
        };
        let area = Rect::new(0.0, 0.0, 1.0, 1.0);
        let whole = place.paste(&crop, &area, 0.01, 480, 400).unwrap();
        let part = crop.crop(20, 40, 90, 80);
        let window = Mask {
            width: 90,
            height: 80,
            values: (0..90 * 80)
                .map(|i| mask.get(20 + i % 90, 40 + i / 90))
                .collect(),
        };
        let patch = place
            .paste_masked(&part, &window, (20, 40), 128, 480, 400)
            .unwrap();
        let (mut full, mut none) = (0, 0);
        for (i, &alpha) in patch.alpha.iter().enumerate() {
            let (x, y) = (
                patch.x + i % patch.image.width,
                patch.y + i / patch.image.width,
            );
            let [u, v] = place
                .to_unit([x as f32 + 0.5, y as f32 + 0.5])
                .map(|u| u * 128.0 - 0.5);
            let from_edge = ((u - 64.0) / 40.0).hypot((v - 80.0) / 30.0);
            if from_edge < 0.95 {
                assert!(alpha > 0.999, "{u} {v} {alpha}");
                full += 1;
            } else if from_edge > 1.08 {
                assert!(alpha < 1e-6, "{u} {v} {alpha}");
                none += 1;
            }
            if alpha > 0.0 {
                let (a, b) = (
                    patch.image.data[i * 3],
                    whole.image.pixel(x - whole.x, y - whole.y)[0],
                );
                assert!((a - b).abs() < 2e-3, "{side} {x},{y}: {a} {b}");
            }
        }
        assert!(full > 500 && none > 50, "{full} {none}");
    }
}

#[test]
fn a_paste_outside_of_the_frame_is_nothing() {
    let place = Placement {
        a: 50.0,
        b: 0.0,
        x: 500.0,
        y: 10.0,
    };
    let crop = RgbF32::new(256, 256);
    assert!(
        place
            .paste(&crop, &Rect::new(0.0, 0.0, 1.0, 1.0), 0.1, 480, 400)
            .is_none()
    );
}

#[test]
fn the_mask_is_whole_token_cells() {
    for edge in [MASK.left, MASK.top, MASK.right, MASK.bottom] {
        assert_eq!(edge % 32.0, 0.0);
    }
}

#[test]
fn verify_crop_parity_with_the_training_preparation() {
    let networks = include_bytes!("../../tests/fixtures/networks.safetensors");
    let networks = safetensors::SafeTensors::deserialize(networks).unwrap();
    let small = networks.tensor("input.0").unwrap();
    let mut frame = Rgb8::new(768, 768);
    for y in 0..768 {
        for x in 0..768 {
            let at = (y / 4 * 192 + x / 4) * 3;
            frame.set_pixel(x, y, [0, 1, 2].map(|i| small.data()[at + i]));
        }
    }
    let fixture = include_bytes!("../../tests/fixtures/head_crop.safetensors");
    let fixture = safetensors::SafeTensors::deserialize(fixture).unwrap();
    for case in 0..3 {
        let numbers = fixture.tensor(&format!("{case}.placement")).unwrap();
        let numbers = numbers.data().as_chunks::<8>().0;
        let [a, b, x, y] = [0, 1, 2, 3].map(|i| f64::from_le_bytes(numbers[i]));
        let crop = Placement { a, b, x, y }.extract(&frame, CROP_SIZE);
        let expected = fixture.tensor(&format!("{case}.crop")).unwrap();
        let (mut worst, mut sum) = (0, 0_u32);
        for (i, pixel) in expected.data().as_chunks::<3>().0.iter().enumerate() {
            let ours = crop.pixel(4 * (i % 64) + 1, 4 * (i / 64) + 1);
            for (ours, theirs) in ours.iter().zip(pixel) {
                worst = worst.max(ours.abs_diff(*theirs));
                sum += u32::from(ours.abs_diff(*theirs));
            }
        }
        // OpenCV places its samples on a grid of 1/32 pixel, which shows at hard edges.
        let mean = sum as f32 / expected.data().len() as f32;
        println!("case {case}: worst {worst}, mean {mean}");
        assert!(
            worst <= 4 && mean < 0.05,
            "case {case}: worst {worst}, mean {mean}"
        );
    }
}
