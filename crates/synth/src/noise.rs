//! Repeatable noise: integer hashing and smooth value noise.

use crate::vec::{Vec3, floor};

/// Mixes 32 bits thoroughly (the finaliser of `MurmurHash3`, public domain constants).
pub(crate) fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

/// A number in 0..1 from three cell coordinates and a salt.
pub(crate) fn cell(x: i32, y: i32, z: i32, salt: u32) -> f32 {
    let h = mix((x as u32)
        .wrapping_mul(0x9e37_79b1)
        .wrapping_add((y as u32).wrapping_mul(0x85eb_ca77))
        .wrapping_add((z as u32).wrapping_mul(0xc2b2_ae3d))
        ^ salt);
    (h >> 8) as f32 * (1.0 / 16_777_216.0)
}

fn fade(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

/// Smooth noise in -1..1 with one feature per unit.
pub(crate) fn value(p: Vec3, salt: u32) -> f32 {
    let (x, y, z) = (floor(p.x), floor(p.y), floor(p.z));
    let (tx, ty, tz) = (
        fade(p.x - x as f32),
        fade(p.y - y as f32),
        fade(p.z - z as f32),
    );
    let along = |a: f32, b: f32, t: f32| a + (b - a) * t;
    let row = |dy: i32, dz: i32| {
        along(
            cell(x, y.wrapping_add(dy), z.wrapping_add(dz), salt),
            cell(
                x.wrapping_add(1),
                y.wrapping_add(dy),
                z.wrapping_add(dz),
                salt,
            ),
            tx,
        )
    };
    let plane = |dz: i32| along(row(0, dz), row(1, dz), ty);
    along(plane(0), plane(1), tz) * 2.0 - 1.0
}

/// `octaves` layers of [`value`], each of twice the frequency and half the strength.
pub(crate) fn fractal(p: Vec3, octaves: u32, salt: u32) -> f32 {
    let (mut sum, mut weight, mut total, mut at) = (0.0, 1.0, 0.0, p);
    for octave in 0..octaves {
        sum += weight * value(at, salt.wrapping_add(octave * 977));
        total += weight;
        weight *= 0.5;
        at *= 2.03;
    }
    if total > 0.0 { sum / total } else { 0.0 }
}

/// Smooth noise over time in -1..1, about one swing per second at `rate` 1.
pub(crate) fn over_time(time: f64, rate: f64, salt: u32) -> f32 {
    let t = time * rate;
    // Split before going to single precision: hours of video keep their smoothness.
    let whole = t.floor();
    let index = whole.rem_euclid(1_000_000_000.0) as i32;
    let part = fade((t - whole) as f32);
    let a = cell(index, 0, 0, salt);
    let b = cell(index.wrapping_add(1), 0, 0, salt);
    (a + (b - a) * part) * 2.0 - 1.0
}
