//! A face brought to the template that face recognisers were trained on.

use face::geometry::{Point, to_pixel_centres};
use face::mesh;
use media::image::{Affine, Rgb8};
use models::face_id::TEMPLATE;

/// A face turned, scaled and moved so that its eyes, nose and mouth lie on the template, in the least-squares sense.
pub(crate) fn aligned(frame: &Rgb8, points: &[Point], width: usize, height: usize) -> Option<Rgb8> {
    let middle = |a: usize, b: usize| -> Option<Point> {
        let (a, b) = (points.get(a)?, points.get(b)?);
        Some([f32::midpoint(a[0], b[0]), f32::midpoint(a[1], b[1])])
    };
    let found = [
        middle(mesh::EYE_OUTER_LEFT, mesh::EYE_INNER_LEFT)?,
        middle(mesh::EYE_INNER_RIGHT, mesh::EYE_OUTER_RIGHT)?,
        *points.get(mesh::NOSE_TIP)?,
        *points.get(mesh::MOUTH_LEFT)?,
        *points.get(mesh::MOUTH_RIGHT)?,
    ];
    // The template is 112 wide; narrower crops lose the same on both sides. Its positions are pixel centres.
    let cut = (112.0 - width as f32) / 2.0;
    let wanted = TEMPLATE.map(|[x, y]| [x - cut + 0.5, y + 0.5]);
    // Nearest in the template's pixels, as the recognisers' own programs align: the other way round the scale differs.
    let map = similarity(&found, &wanted)?.inverse()?;
    Some(frame.warp_affine(width, height, &to_pixel_centres(&map)))
}

/// The similarity that takes `from` nearest to `to` (least squares, without reflection).
fn similarity(from: &[Point; 5], to: &[Point; 5]) -> Option<Affine> {
    let mean = |points: &[Point; 5]| {
        let sum = points
            .iter()
            .fold([0.0; 2], |sum, p| [sum[0] + p[0], sum[1] + p[1]]);
        [sum[0] / 5.0, sum[1] / 5.0]
    };
    let (p, q) = (mean(from), mean(to));
    let (mut a, mut b, mut size) = (0.0, 0.0, 0.0);
    for (f, t) in from.iter().zip(to) {
        let (x, y) = (f[0] - p[0], f[1] - p[1]);
        let (u, v) = (t[0] - q[0], t[1] - q[1]);
        a += x * u + y * v;
        b += x * v - y * u;
        size += x * x + y * y;
    }
    if size <= 0.0 || (a == 0.0 && b == 0.0) {
        return None;
    }
    let (a, b) = (a / size, b / size);
    Some(Affine([
        a,
        -b,
        q[0] - a * p[0] + b * p[1],
        b,
        a,
        q[1] - b * p[0] - a * p[1],
    ]))
}

#[cfg(test)]
mod tests {
    use super::{aligned, similarity};
    use face::mesh;
    use media::image::Rgb8;
    use models::face_id::TEMPLATE;

    #[test]
    fn a_similarity_is_found_again() {
        let to = TEMPLATE.map(|[x, y]| [1.5 * x - 0.7 * y + 20.0, 0.7 * x + 1.5 * y - 9.0]);
        let map = similarity(&TEMPLATE, &to).unwrap();
        for ([x, y], wanted) in TEMPLATE.into_iter().zip(to) {
            let (u, v) = map.apply(x, y);
            assert!((u - wanted[0]).abs() < 1e-3 && (v - wanted[1]).abs() < 1e-3);
        }
        assert!(similarity(&[[1.0, 1.0]; 5], &to).is_none());
    }

    #[test]
    fn features_land_on_the_template() {
        // A face twice the template's size, its points marked by bright dots of 3 x 3.
        let mut frame = Rgb8::new(300, 300);
        let mut points = vec![[0.0; 2]; 468];
        let place = |[x, y]: [f32; 2]| [2.0 * (x + 0.5) + 10.0, 2.0 * (y + 0.5) + 20.0];
        let [left, right, nose, mouth_left, mouth_right] = TEMPLATE.map(place);
        for (index, at) in [
            (mesh::EYE_OUTER_LEFT, left),
            (mesh::EYE_INNER_LEFT, left),
            (mesh::EYE_OUTER_RIGHT, right),
            (mesh::EYE_INNER_RIGHT, right),
            (mesh::NOSE_TIP, nose),
            (mesh::MOUTH_LEFT, mouth_left),
            (mesh::MOUTH_RIGHT, mouth_right),
        ] {
            points[index] = at;
            for y in 0..3 {
                for x in 0..3 {
                    frame.set_pixel(at[0] as usize + x - 1, at[1] as usize + y - 1, [255; 3]);
                }
            }
        }
        for (width, cut) in [(112, 0.0), (96, 8.0)] {
            let crop = aligned(&frame, &points, width, 112).unwrap();
            for [x, y] in TEMPLATE {
                let value = crop.pixel((x - cut).round() as usize, y.round() as usize)[0];
                assert!(value > 120, "{x} {y}: {value}");
            }
        }
        assert!(aligned(&frame, &[], 112, 112).is_none());
    }
}
