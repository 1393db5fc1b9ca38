//! Light of a scene and how surfaces answer it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::config::Colour;
use crate::vec::Vec3;

/// The lamps of a scene. Directions point from the head to the lamp: x to the head's
/// left (the picture's right), y up, z to the camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lighting {
    /// Direction and strength of the main lamp.
    pub key: [f32; 3],
    /// Colour of the main lamp times its strength.
    pub key_colour: Colour,
    /// Direction of the lamp that lifts the shadows.
    pub fill: [f32; 3],
    /// Colour of the fill times its strength.
    pub fill_colour: Colour,
    /// Direction of the lamp behind that edges hair and shoulders.
    pub rim: [f32; 3],
    /// Colour of the rim light times its strength.
    pub rim_colour: Colour,
    /// Light from all around from above.
    pub sky: Colour,
    /// Light from all around from below.
    pub ground: Colour,
}

impl Lighting {
    /// Soft portrait light from the upper left of the picture.
    pub fn portrait() -> Self {
        Self {
            key: [-0.55, 0.55, 0.75],
            key_colour: [1.86, 1.72, 1.52],
            fill: [0.8, 0.15, 0.7],
            fill_colour: [0.27, 0.30, 0.35],
            rim: [0.75, 0.5, -0.65],
            rim_colour: [0.75, 0.8, 0.9],
            sky: [0.40, 0.43, 0.48],
            ground: [0.20, 0.17, 0.15],
        }
    }

    /// Portrait light with the seed's own side, height and colour.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7265_776f_7264_0003);
        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        let mut base = Self::portrait();
        let key_x: f32 = rng.random_range(0.15..0.85);
        base.key = [
            side * key_x,
            rng.random_range(0.3..0.75),
            rng.random_range(0.6..0.95),
        ];
        base.fill = [-side * 0.8, 0.15, 0.7];
        base.rim = [-side * rng.random_range(0.5..0.9), 0.5, -0.65];
        let warm: f32 = rng.random_range(-0.08..0.08);
        let strength: f32 = rng.random_range(0.88..1.08);
        let tinted =
            |c: Colour, k: f32| [c[0] * (1.0 + warm) * k, c[1] * k, c[2] * (1.0 - warm) * k];
        base.key_colour = tinted(base.key_colour, strength);
        let lift: f32 = rng.random_range(0.7..1.3);
        base.fill_colour = base.fill_colour.map(|v| v * lift);
        base.sky = tinted(base.sky, rng.random_range(0.8..1.15));
        let edge: f32 = rng.random_range(0.2..1.2);
        base.rim_colour = base.rim_colour.map(|v| v * edge);
        base
    }
}

/// A [`Lighting`] ready for shading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lamps {
    pub(crate) key: Vec3,
    pub(crate) key_colour: Vec3,
    pub(crate) fill: Vec3,
    pub(crate) fill_colour: Vec3,
    pub(crate) rim: Vec3,
    pub(crate) rim_colour: Vec3,
    pub(crate) sky: Vec3,
    pub(crate) ground: Vec3,
}

fn colour(c: Colour) -> Vec3 {
    Vec3::new(c[0], c[1], c[2])
}

impl From<&Lighting> for Lamps {
    fn from(l: &Lighting) -> Self {
        Self {
            key: colour(l.key).normalized(),
            key_colour: colour(l.key_colour),
            fill: colour(l.fill).normalized(),
            fill_colour: colour(l.fill_colour),
            rim: colour(l.rim).normalized(),
            rim_colour: colour(l.rim_colour),
            sky: colour(l.sky),
            ground: colour(l.ground),
        }
    }
}

/// What a surface needs to be lit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lit {
    pub(crate) normal: Vec3,
    /// Direction to the camera.
    pub(crate) view: Vec3,
    /// Share of the main lamp that arrives, 0..1.
    pub(crate) key: f32,
    /// Share of the light from all around that arrives, 0..1.
    pub(crate) open: f32,
}

impl Lamps {
    /// Light from all around at a normal.
    pub(crate) fn around(&self, n: Vec3) -> Vec3 {
        self.ground.lerp(self.sky, 0.5 + 0.5 * n.y)
    }

    /// Light scattered by a matt surface, per unit of its colour.
    pub(crate) fn matt(&self, s: &Lit) -> Vec3 {
        let lambert = |d: Vec3| s.normal.dot(d).max(0.0);
        self.key_colour * (lambert(self.key) * s.key)
            + self.fill_colour * (lambert(self.fill) * s.open)
            + self.rim_colour * (lambert(self.rim) * s.open)
            + self.around(s.normal) * s.open
    }

    /// Light scattered by skin: it bleeds past the edge of the shadow, red farthest.
    /// (A wrapped Lambert term per channel, as in Green, "Real-time approximations to
    /// subsurface scattering", GPU Gems 16, 2004.)
    pub(crate) fn skin(&self, s: &Lit) -> Vec3 {
        const WRAP: Vec3 = Vec3::new(0.30, 0.16, 0.11);
        let wrapped = |d: Vec3| {
            let cos = s.normal.dot(d);
            WRAP.map(|w| {
                let v = ((cos + w) / (1.0 + w)).max(0.0);
                v * (0.55 + 0.45 * v)
            })
        };
        // The edge of a cast shadow reddens in the same way.
        let edge = Vec3::new(
            0.5 * (s.key + s.key.sqrt()),
            s.key,
            s.key * (0.8 + 0.2 * s.key),
        );
        let shut = 1.0 - s.open;
        let hollow = Vec3::new(1.0 - shut * 0.72, 1.0 - shut * 0.84, 1.0 - shut * 0.86);
        self.key_colour.times(wrapped(self.key)).times(edge)
            + self.fill_colour.times(wrapped(self.fill)).times(hollow)
            + self.rim_colour.times(wrapped(self.rim)) * (0.7 * s.open)
            + self.around(s.normal).times(hollow)
    }

    /// Light mirrored by a surface of a roughness (0.05 polished, 0.6 dull) that
    /// reflects `base` straight on (0.028 skin, 0.04 enamel). GGX with Schlick's
    /// Fresnel term and a fitted visibility term.
    pub(crate) fn shine(&self, s: &Lit, roughness: f32, base: f32) -> Vec3 {
        let one = |to: Vec3, strength: Vec3, arrives: f32| {
            let nl = s.normal.dot(to);
            if nl <= 0.0 || arrives <= 0.0 {
                return Vec3::ZERO;
            }
            let h = (to + s.view).normalized();
            let nh = s.normal.dot(h).max(0.0);
            let nv = s.normal.dot(s.view).max(0.05);
            let vh = s.view.dot(h).max(0.0);
            let a2 = roughness.powi(4);
            let d = nh * nh * (a2 - 1.0) + 1.0;
            let spread = a2 / (std::f32::consts::PI * d * d);
            let fresnel = base + (1.0 - base) * (1.0 - vh).powi(5);
            let k = 0.5 * roughness * roughness;
            let hidden = 0.25 / ((nl * (1.0 - k) + k) * (nv * (1.0 - k) + k));
            strength * (spread * fresnel * hidden * nl * arrives * std::f32::consts::PI)
        };
        let grazing = (1.0 - s.normal.dot(s.view).max(0.0)).powi(5);
        let mirrored = s.normal * (2.0 * s.normal.dot(s.view)) - s.view;
        one(self.key, self.key_colour, s.key)
            + one(self.fill, self.fill_colour, s.open)
            + one(self.rim, self.rim_colour, s.open * s.open) * 0.6
            + self.around(mirrored)
                * ((base + (1.0 - base) * grazing * (1.0 - roughness)) * s.open * s.open)
    }
}

/// Linear light to display code values 0..1: a filmic shoulder (Hill's fit of the ACES
/// curve in its simple form by Narkowicz), then the sRGB curve.
pub(crate) fn to_display(linear: Vec3) -> Vec3 {
    linear.map(|v| {
        let v = (v * 0.62).max(0.0);
        let toned = (v * (2.51 * v + 0.03)) / (v * (2.43 * v + 0.59) + 0.14);
        let t = toned.clamp(0.0, 1.0);
        if t <= 0.003_130_8 {
            12.92 * t
        } else {
            // Within a thousandth of 1.055 t^(1/2.4) - 0.055, without a power (fit by
            // I. Taylor, "sRGB approximations for HLSL").
            let a = t.sqrt();
            let b = a.sqrt();
            0.662_002_7 * a + 0.684_122_1 * b - 0.323_583_6 * b.sqrt() - 0.022_541_15 * t
        }
    })
}
