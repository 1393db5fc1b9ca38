//! What of a head decides how lips lie over it, and the map from one head to another.

use crate::geometry::Point;
use media::image::Affine;

/// Points around nose and cheeks, which tell how a head is turned and hardly move with the mouth.
pub(super) const STABLE: [usize; 18] = [
    1, 2, 4, 5, 6, 168, 197, 195, 98, 327, 50, 280, 205, 425, 36, 266, 101, 330,
];

/// Which of them is brought to its place exactly: the base of the nose.
const ANCHOR: usize = 1;

/// Pull of the affine map towards a shift, squared crop pixels.
const RIDGE: f64 = 2000.0;

/// Points of the face's outline from the height of the lips to beside the chin: on the picture's left, on its right.
pub(super) const JAW: [[usize; 5]; 2] = [[132, 58, 172, 136, 150], [361, 288, 397, 365, 379]];

/// What laying lips over needs to know of a head, crop pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LipPose {
    pub(super) stable: [Point; STABLE.len()],
    /// The middle of the lips.
    pub(super) lips: Point,
    /// The lowest point of the jaw.
    pub(super) chin: Point,
    pub(super) jaw: [[Point; 5]; 2],
}

/// How wide an outline is at a height: as at its ends above and below them.
pub(super) fn width_at(outline: &[Point], y: f32) -> f32 {
    let &[mut before, ref rest @ ..] = outline else {
        return f32::MAX;
    };
    for &[width, height] in rest {
        if y < height {
            let share = (y - before[1]) / (height - before[1]).max(1e-3);
            return before[0] + (width - before[0]) * share.max(0.0);
        }
        before = [width, height];
    }
    before[0]
}

/// The affine map from the source's crop pixels to the target's: least squares over the stable
/// points with a pull towards no turn and no stretch, exact at the base of the nose.
pub(super) fn affine(source: &LipPose, target: &LipPose) -> Affine {
    let mut pairs = [[[0.0_f64; 2]; 2]; STABLE.len()];
    let points = source.stable.iter().zip(&target.stable);
    for (pair, (from, to)) in pairs.iter_mut().zip(points) {
        *pair = [from, to].map(|point| point.map(f64::from));
    }
    let count = STABLE.len() as f64;
    let mean = |side: usize| -> [f64; 2] {
        [0, 1].map(|axis| pairs.iter().map(|pair| pair[side][axis]).sum::<f64>() / count)
    };
    let (from, to) = (mean(0), mean(1));
    // Normal equations: (A'A + ridge) M' = A'B + ridge.
    let mut square = [[RIDGE, 0.0], [0.0, RIDGE]];
    let mut cross = [[RIDGE, 0.0], [0.0, RIDGE]];
    for [a, b] in &pairs {
        let a = [a[0] - from[0], a[1] - from[1]];
        let b = [b[0] - to[0], b[1] - to[1]];
        for i in 0..2 {
            for j in 0..2 {
                square[i][j] += a[i] * a[j];
                cross[i][j] += a[i] * b[j];
            }
        }
    }
    let [[p, q], [r, s]] = square;
    let whole = p * s - q * r;
    let solve = |j: usize| {
        let (x, y) = (cross[0][j], cross[1][j]);
        [(s * x - q * y) / whole, (p * y - r * x) / whole]
    };
    let [[xx, xy], [yx, yy]] = [solve(0), solve(1)];
    let [anchor, goal] = pairs[ANCHOR];
    let x = goal[0] - xx * anchor[0] - xy * anchor[1];
    let y = goal[1] - yx * anchor[0] - yy * anchor[1];
    Affine([xx, xy, x, yx, yy, y].map(|value| value as f32))
}
