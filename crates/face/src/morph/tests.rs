use super::*;

/// A textured frame with its content moved by `(x, y)` pixels.
fn textured(x: f32, y: f32) -> Rgb8 {
    let mut frame = Rgb8::new(320, 280);
    for row in 0..280 {
        for column in 0..320 {
            let (u, v) = (column as f32 - x, row as f32 - y);
            let wave = (u / 13.0).sin() * (v / 17.0).cos();
            let colour = [128.0 + 90.0 * wave, 100.0 + u / 4.0, 90.0 + v / 4.0];
            frame.set_pixel(column, row, colour.map(|value| value as u8));
        }
    }
    frame
}

/// A face of made-up points, moved by `(x, y)`.
fn face(x: f32, y: f32) -> Vec<Point> {
    let place = Placement {
        a: 160.0,
        b: 0.0,
        x: f64::from(80.0 + x),
        y: f64::from(60.0 + y),
    };
    let mut points: Vec<Point> = (0..468)
        .map(|i| {
            let turn = i as f32 * 0.7;
            let radius = 0.1 + 0.2 * (i as f32 / 468.0);
            place.to_frame([0.5 + radius * turn.cos(), 0.55 + radius * turn.sin()])
        })
        .collect();
    for (index, unit) in crate::crop::TEMPLATE {
        points[index] = place.to_frame(unit);
    }
    points
}

/// Mean difference between a patch, where it fully counts, and a frame; levels of 255.
fn difference(patch: &Patch, frame: &Rgb8) -> f32 {
    let (mut sum, mut count) = (0.0, 0);
    for (i, &alpha) in patch.alpha.iter().enumerate() {
        if alpha > 0.95 {
            let (x, y) = (i % patch.image.width, i / patch.image.width);
            let recorded = frame.pixel(patch.x + x, patch.y + y);
            for (made, recorded) in patch.image.pixel(x, y).iter().zip(recorded) {
                sum += (made * 255.0 - f32::from(recorded)).abs();
                count += 1;
            }
        }
    }
    assert!(count > 1000);
    sum / count as f32
}

#[test]
fn a_frame_morphed_into_itself_is_the_frame() {
    let (frame, face) = (textured(0.0, 0.0), face(0.0, 0.0));
    let side = Side {
        frame: &frame,
        landmarks: &face,
    };
    let patch = morph(side, side, 0.4).unwrap();
    assert!(difference(&patch, &frame) < 0.6);
}

#[test]
fn the_ends_are_the_two_frames_and_the_middle_lies_between() {
    let (one, other) = (textured(0.0, 0.0), textured(12.0, 6.0));
    let (here, there) = (face(0.0, 0.0), face(12.0, 6.0));
    let from = Side {
        frame: &one,
        landmarks: &here,
    };
    let to = Side {
        frame: &other,
        landmarks: &there,
    };
    assert!(difference(&morph(from, to, 0.0).unwrap(), &one) < 0.6);
    assert!(difference(&morph(from, to, 1.0).unwrap(), &other) < 0.6);
    let middle = morph(from, to, 0.5).unwrap();
    let (right, crossfaded) = (textured(6.0, 3.0), {
        let mut both = one.clone();
        for (a, b) in both.data.iter_mut().zip(&other.data) {
            *a = u8::midpoint(*a, *b);
        }
        both
    });
    let (by_morph, by_fade) = (
        difference(&middle, &right),
        difference(
            &Patch {
                image: crossfaded.to_f32().crop(
                    middle.x as i64,
                    middle.y as i64,
                    middle.image.width,
                    middle.image.height,
                ),
                ..middle.clone()
            },
            &right,
        ),
    );
    assert!(
        by_morph < 0.35 * by_fade,
        "{by_morph} and {by_fade} by a crossfade"
    );
}

#[test]
fn the_patch_fades_out_around_the_head() {
    let (frame, face) = (textured(0.0, 0.0), face(0.0, 0.0));
    let side = Side {
        frame: &frame,
        landmarks: &face,
    };
    let patch = morph(side, side, 0.5).unwrap();
    let width = patch.image.width;
    let border = (0..width).map(|x| patch.alpha[x]);
    assert!(
        border
            .chain(patch.alpha.iter().step_by(width).copied())
            .all(|a| a < 0.05)
    );
    assert_eq!(
        patch.alpha[(patch.image.height / 2) * width + width / 2],
        1.0
    );
}

#[test]
fn unlike_frames_are_refused() {
    let (frame, small) = (textured(0.0, 0.0), Rgb8::new(64, 64));
    let points = face(0.0, 0.0);
    let side = Side {
        frame: &frame,
        landmarks: &points,
    };
    assert!(
        morph(
            side,
            Side {
                frame: &small,
                landmarks: &points
            },
            0.5
        )
        .is_none()
    );
    assert!(
        morph(
            side,
            Side {
                frame: &frame,
                landmarks: &points[..9]
            },
            0.5
        )
        .is_none()
    );
}
