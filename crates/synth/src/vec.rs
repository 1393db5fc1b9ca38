//! Small vector algebra in single precision.

use std::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub};

/// A point, direction or linear colour.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Vec3 {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) z: f32,
}

impl Vec3 {
    pub(crate) const ZERO: Self = Self::splat(0.0);
    pub(crate) const ONE: Self = Self::splat(1.0);

    pub(crate) const fn new(x: f32, y: f32, z: f32) -> Self {
        Self { x, y, z }
    }

    pub(crate) const fn splat(v: f32) -> Self {
        Self { x: v, y: v, z: v }
    }

    pub(crate) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub(crate) fn cross(self, other: Self) -> Self {
        Self::new(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    pub(crate) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The direction of this vector; zero stays zero.
    pub(crate) fn normalized(self) -> Self {
        let length = self.length();
        if length > 1e-12 {
            self * (1.0 / length)
        } else {
            self
        }
    }

    /// The product by components, as of light and a surface's colour.
    pub(crate) fn times(self, other: Self) -> Self {
        Self::new(self.x * other.x, self.y * other.y, self.z * other.z)
    }

    pub(crate) fn lerp(self, other: Self, t: f32) -> Self {
        self + (other - self) * t
    }

    pub(crate) fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self::new(f(self.x), f(self.y), f(self.z))
    }

    pub(crate) fn max_part(self) -> f32 {
        self.x.max(self.y).max(self.z)
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self::new(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl AddAssign for Vec3 {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self::new(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, s: f32) -> Self {
        Self::new(self.x * s, self.y * s, self.z * s)
    }
}

impl MulAssign<f32> for Vec3 {
    fn mul_assign(&mut self, s: f32) {
        *self = *self * s;
    }
}

impl Neg for Vec3 {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}

/// A rotation (or any linear map) by rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mat3(pub(crate) [Vec3; 3]);

impl Mat3 {
    /// Turns by `yaw` about y, then `pitch` about x, then `roll` about z (radians,
    /// applied to a vector in the order roll, pitch, yaw).
    pub(crate) fn from_angles(yaw: f32, pitch: f32, roll: f32) -> Self {
        let (sy, cy) = yaw.sin_cos();
        let (sp, cp) = pitch.sin_cos();
        let (sr, cr) = roll.sin_cos();
        let about_y = Self([
            Vec3::new(cy, 0.0, sy),
            Vec3::new(0.0, 1.0, 0.0),
            Vec3::new(-sy, 0.0, cy),
        ]);
        let about_x = Self([
            Vec3::new(1.0, 0.0, 0.0),
            Vec3::new(0.0, cp, -sp),
            Vec3::new(0.0, sp, cp),
        ]);
        let about_z = Self([
            Vec3::new(cr, -sr, 0.0),
            Vec3::new(sr, cr, 0.0),
            Vec3::new(0.0, 0.0, 1.0),
        ]);
        about_y.then_inner(about_x).then_inner(about_z)
    }

    pub(crate) fn apply(&self, v: Vec3) -> Vec3 {
        Vec3::new(self.0[0].dot(v), self.0[1].dot(v), self.0[2].dot(v))
    }

    /// The transpose, which undoes a rotation.
    pub(crate) fn transposed(&self) -> Self {
        let [a, b, c] = self.0;
        Self([
            Vec3::new(a.x, b.x, c.x),
            Vec3::new(a.y, b.y, c.y),
            Vec3::new(a.z, b.z, c.z),
        ])
    }

    /// The product `self * inner`.
    fn then_inner(&self, inner: Self) -> Self {
        let columns = inner.transposed();
        Self(self.0.map(|row| {
            Vec3::new(
                row.dot(columns.0[0]),
                row.dot(columns.0[1]),
                row.dot(columns.0[2]),
            )
        }))
    }
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(crate) fn smoothstep(low: f32, high: f32, v: f32) -> f32 {
    let t = ((v - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

pub(crate) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// `exp(-(distance / radius)^2)` for a squared distance.
pub(crate) fn bell(squared_distance: f32, radius: f32) -> f32 {
    (-squared_distance / (radius * radius)).exp()
}

/// The whole number below `v`, without a call to the mathematics library.
pub(crate) fn floor(v: f32) -> i32 {
    let whole = v as i32;
    if whole as f32 > v {
        whole.wrapping_sub(1)
    } else {
        whole
    }
}
