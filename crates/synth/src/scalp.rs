//! Where hair grows.

use crate::noise;
use crate::vec::{Vec3, lerp, smoothstep};

/// Height of the hairline by the angle from the front (degrees), at rest.
const HAIRLINE: [(f32, f32); 12] = [
    (0.0, 7.85),
    (18.0, 7.85),
    (32.0, 7.5),
    (45.0, 6.6),
    (56.0, 5.6),
    (64.0, 3.9),
    (70.0, 2.3),
    (79.0, 2.2),
    (84.0, 3.6),
    (102.0, 2.6),
    (125.0, -3.6),
    (180.0, -6.6),
];

/// Angle from the front around the skull's axis, in degrees.
pub(crate) fn azimuth(p: Vec3) -> f32 {
    p.x.abs().atan2(p.z + 3.2).to_degrees()
}

/// Height of the hairline at an azimuth.
pub(crate) fn hairline(azimuth: f32) -> f32 {
    let mut last = HAIRLINE[0];
    for &next in &HAIRLINE[1..] {
        if azimuth <= next.0 {
            let t = (azimuth - last.0) / (next.0 - last.0);
            return lerp(last.1, next.1, t.clamp(0.0, 1.0));
        }
        last = next;
    }
    last.1
}

/// How densely hair grows at a point of the skin at rest, 0..1.
pub(crate) fn density(p: Vec3, recede: f32, salt: u32) -> f32 {
    let angle = azimuth(p);
    // Receding temples.
    let back = recede * smoothstep(12.0, 30.0, angle) * smoothstep(62.0, 40.0, angle);
    let ragged = 0.35 * noise::fractal(p * 1.4, 2, salt);
    smoothstep(-0.35, 0.55, p.y - hairline(angle) - back + ragged)
}
