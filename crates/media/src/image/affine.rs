//! Affine maps of the plane.

use serde::{Deserialize, Serialize};

/// The map `(x, y) -> (a x + b y + c, d x + e y + f)`, stored as `[a, b, c, d, e, f]`.
///
/// Coordinates are in pixels with integer positions at pixel **centres**: the top left pixel of
/// an image lies at `(0, 0)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Affine(pub [f32; 6]);

impl Affine {
    /// The map that changes nothing.
    pub const IDENTITY: Self = Self([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);

    /// Moves by `(x, y)` pixels.
    pub fn translation(x: f32, y: f32) -> Self {
        Self([1.0, 0.0, x, 0.0, 1.0, y])
    }

    /// Stretches about the origin.
    pub fn scale(x: f32, y: f32) -> Self {
        Self([x, 0.0, 0.0, 0.0, y, 0.0])
    }

    /// Scales by `scale`, turns by `angle` radians (x towards y), then moves by `(x, y)`.
    pub fn similarity(scale: f32, angle: f32, x: f32, y: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self([scale * cos, -scale * sin, x, scale * sin, scale * cos, y])
    }

    /// Where the map takes a point.
    pub fn apply(&self, x: f32, y: f32) -> (f32, f32) {
        let [a, b, c, d, e, f] = self.0;
        (a * x + b * y + c, d * x + e * y + f)
    }

    /// The map that applies `self` first and `next` second.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        next.compose(self)
    }

    /// The map that applies `first` and then `self` (the matrix product `self * first`).
    #[must_use]
    pub fn compose(&self, first: &Self) -> Self {
        let [a, b, c, d, e, f] = self.0;
        let [p, q, r, s, t, u] = first.0;
        Self([
            a * p + b * s,
            a * q + b * t,
            a * r + b * u + c,
            d * p + e * s,
            d * q + e * t,
            d * r + e * u + f,
        ])
    }

    /// The determinant of the linear part: the area that a unit square is taken to.
    pub fn determinant(&self) -> f32 {
        let [a, b, _, d, e, _] = self.0;
        a * e - b * d
    }

    /// The map back; `None` where the map flattens the plane or is not finite.
    pub fn inverse(&self) -> Option<Self> {
        let [a, b, c, d, e, f] = self.0.map(f64::from);
        let determinant = a * e - b * d;
        if !determinant.is_finite() || determinant.abs() < 1e-12 {
            return None;
        }
        let (ia, ib, id, ie) = (
            e / determinant,
            -b / determinant,
            -d / determinant,
            a / determinant,
        );
        let inverse = [ia, ib, -(ia * c + ib * f), id, ie, -(id * c + ie * f)];
        inverse
            .iter()
            .all(|value| value.is_finite())
            .then(|| Self(inverse.map(|value| value as f32)))
    }
}

impl Default for Affine {
    fn default() -> Self {
        Self::IDENTITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map() -> impl Strategy<Value = Affine> {
        (
            0.2_f32..4.0,
            -3.2_f32..3.2,
            -200.0_f32..200.0,
            -200.0_f32..200.0,
            -0.5_f32..0.5,
        )
            .prop_map(|(scale, angle, x, y, shear)| {
                Affine::similarity(scale, angle, x, y)
                    .compose(&Affine([1.0, shear, 0.0, 0.0, 1.0, 0.0]))
            })
    }

    fn near(left: (f32, f32), right: (f32, f32)) -> bool {
        (left.0 - right.0).abs() < 0.05 && (left.1 - right.1).abs() < 0.05
    }

    proptest! {
        #[test]
        fn the_inverse_undoes_the_map(map in map(), x in -500.0_f32..500.0, y in -500.0_f32..500.0) {
            let inverse = map.inverse().unwrap();
            let (u, v) = map.apply(x, y);
            prop_assert!(near(inverse.apply(u, v), (x, y)));
        }

        #[test]
        fn composition_applies_the_second_map_first(one in map(), two in map(), x in -100.0_f32..100.0, y in -100.0_f32..100.0) {
            let (u, v) = two.apply(x, y);
            let expected = one.apply(u, v);
            prop_assert!(near(one.compose(&two).apply(x, y), expected));
            prop_assert!(near(two.then(&one).apply(x, y), expected));
        }

        #[test]
        fn composition_is_associative(a in map(), b in map(), c in map(), x in -50.0_f32..50.0, y in -50.0_f32..50.0) {
            let left = a.compose(&b).compose(&c).apply(x, y);
            let right = a.compose(&b.compose(&c)).apply(x, y);
            prop_assert!((left.0 - right.0).abs() < 0.2 && (left.1 - right.1).abs() < 0.2);
        }
    }

    #[test]
    fn a_flat_map_has_no_inverse() {
        assert!(Affine([1.0, 2.0, 0.0, 2.0, 4.0, 0.0]).inverse().is_none());
        assert!(
            Affine([f32::NAN, 0.0, 0.0, 0.0, 1.0, 0.0])
                .inverse()
                .is_none()
        );
    }
}
