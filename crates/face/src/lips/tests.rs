//! Lips laid over themselves, elsewhere, and over other chins.

use super::*;

fn placement(x: f64, y: f64) -> Placement {
    Placement {
        a: 256.0,
        b: 0.0,
        x,
        y,
    }
}

/// A mesh whose points lie on a grid of crop pixels, shifted in the frame.
fn mesh(x: f32, y: f32) -> Vec<Point> {
    (0..468)
        .map(|index| {
            let lips = LIPS_OUTER.contains(&index) || LIPS_INNER.contains(&index);
            let place = [
                90.0 + (index * 37 % 75) as f32,
                if lips {
                    180.0
                } else {
                    80.0 + (index * 53 % 80) as f32
                },
            ];
            [place[0] + x, place[1] + y]
        })
        .collect()
}

fn picture(x: i64, y: i64, width: usize, height: usize) -> Rgb8 {
    let mut image = Rgb8::new(width, height);
    for row in 0..height {
        for column in 0..width {
            let (u, v) = (x + column as i64, y + row as i64);
            image.set_pixel(column, row, [(u % 200) as u8, (v % 200) as u8, 90]);
        }
    }
    image
}

#[test]
fn a_mouth_laid_over_itself_changes_nothing() {
    let (place, points) = (placement(10.0, 4.0), mesh(10.0, 4.0));
    let head = Head {
        placement: &place,
        landmarks: &points,
    };
    let fit = LipFit::new(head, head).unwrap();
    let (x, y, width, height) = fit.area();
    let recorded = picture(x, y, width, height).to_f32();
    let (px, py, pw, ph) = head.mouth_area().unwrap();
    let piece = Piece {
        x: px,
        y: py,
        image: picture(px, py, pw, ph),
    };
    let (drawn, alpha) = fit.draw(&recorded, (x, y), &piece);
    assert!(alpha.contains(&1.0));
    for (drawn, recorded) in drawn.data.iter().zip(&recorded.data) {
        assert!((drawn - recorded).abs() < 2e-3, "{drawn} {recorded}");
    }
}

#[test]
fn a_head_elsewhere_in_the_frame_gives_the_same_mouth_in_its_place() {
    // The same head and the same pixels, 30 to the right and 20 down, all brighter.
    let (near, far) = (placement(0.0, 0.0), placement(30.0, 20.0));
    let (points, moved) = (mesh(0.0, 0.0), mesh(30.0, 20.0));
    let target = Head {
        placement: &near,
        landmarks: &points,
    };
    let source = Head {
        placement: &far,
        landmarks: &moved,
    };
    let fit = LipFit::new(target, source).unwrap();
    let (x, y, width, height) = fit.area();
    let recorded = picture(x, y, width, height).to_f32();
    let (px, py, pw, ph) = source.mouth_area().unwrap();
    let mut image = picture(px - 30, py - 20, pw, ph);
    for value in &mut image.data {
        *value += 20;
    }
    let piece = Piece {
        x: px,
        y: py,
        image,
    };
    let (drawn, alpha) = fit.draw(&recorded, (x, y), &piece);
    for (index, weight) in alpha.iter().enumerate() {
        if *weight > 0.0 {
            let (column, row) = (index % width, index / width);
            let (a, b) = (drawn.pixel(column, row), recorded.pixel(column, row));
            assert!(
                a.iter().zip(b).all(|(a, b)| (a - b).abs() < 4e-3),
                "{a:?} {b:?}"
            );
        }
    }
}

#[test]
fn what_is_laid_over_reaches_below_the_lower_chin_and_ends_at_the_jaw() {
    let place = placement(0.0, 0.0);
    let (closed, mut open) = (mesh(0.0, 0.0), mesh(0.0, 0.0));
    open[CHIN] = [128.0, 245.0];
    // A jaw that ends 20 pixels beside the lips on the left.
    for index in JAW[0] {
        open[index][0] = 105.0;
    }
    let head = |landmarks| Head {
        placement: &place,
        landmarks,
    };
    let fit = LipFit::new(head(&open), head(&closed)).unwrap();
    let (_, y, _, height) = fit.area();
    assert!(y + height as i64 >= 253, "{y} {height}");
    assert!(fit.weight([125.0, 240.0]) > 0.9);
    assert!(fit.weight([96.0, 190.0]) < 1e-6);
    let plain = LipFit::new(head(&closed), head(&closed)).unwrap();
    assert!(plain.weight([125.0, 250.0]) < 1e-6);
}

#[test]
fn an_outline_is_read_between_its_points() {
    let outline = [[60.0, 100.0], [40.0, 140.0], [20.0, 150.0]];
    for (height, width) in [(80.0, 60.0), (120.0, 50.0), (145.0, 30.0), (200.0, 20.0)] {
        assert!(
            (width_at(&outline, height) - width).abs() < 1e-4,
            "{height}"
        );
    }
}

#[test]
fn too_few_points_give_no_fit() {
    let place = placement(0.0, 0.0);
    let head = Head {
        placement: &place,
        landmarks: &[[1.0, 2.0]],
    };
    assert!(LipFit::new(head, head).is_none());
    assert!(head.mouth_area().is_none());
}
