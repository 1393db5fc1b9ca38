//! The parts of the head that are not skin of the face: eyeballs, teeth, tongue, ears
//! and the clothed shoulders.

use std::f32::consts::{FRAC_PI_2, TAU};

use crate::cage::{Eyeball, Material};
use crate::subdivide::Subdivision;
use crate::vec::{Vec3, bell, lerp, smoothstep};

/// A surface in head space at rest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    pub(crate) points: Vec<Vec3>,
    pub(crate) triangles: Vec<[u32; 3]>,
    pub(crate) materials: Vec<Material>,
    /// Meaning by material: redness of the lips, gum on teeth.
    pub(crate) tint: Vec<f32>,
}

impl Part {
    /// A grid of `rows` by `columns` points given by `at(row, column) -> (point, tint)`.
    fn grid(
        rows: usize,
        columns: usize,
        material: Material,
        at: impl Fn(usize, usize) -> (Vec3, f32),
    ) -> Self {
        let mut part = Self::default();
        part.add_grid(rows, columns, material, at);
        part
    }

    fn add_grid(
        &mut self,
        rows: usize,
        columns: usize,
        material: Material,
        at: impl Fn(usize, usize) -> (Vec3, f32),
    ) {
        let first = self.points.len();
        for row in 0..rows {
            for column in 0..columns {
                let (point, tint) = at(row, column);
                self.points.push(point);
                self.tint.push(tint);
            }
        }
        for row in 0..rows - 1 {
            for column in 0..columns - 1 {
                let a = (first + row * columns + column) as u32;
                let (b, c, d) = (a + 1, a + columns as u32, a + columns as u32 + 1);
                self.triangles.extend([[a, c, b], [b, c, d]]);
                self.materials.extend([material; 2]);
            }
        }
    }
}

/// The front of an eyeball, seen from the pole in the middle.
pub(crate) fn eyeball(eye: &Eyeball, side: u8) -> Part {
    Part::grid(14, 29, Material::Eye(side), |row, column| {
        let polar = row as f32 / 13.0 * FRAC_PI_2;
        let (sin, cos) = polar.sin_cos();
        let (s, c) = (column as f32 / 28.0 * TAU).sin_cos();
        (
            eye.centre + Vec3::new(sin * c, sin * s, cos) * eye.radius,
            0.0,
        )
    })
}

/// Where the rows of teeth stand: the middle of the cutting edge of the upper front
/// teeth, in head space.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bite {
    pub(crate) edge: Vec3,
}

/// A row of fourteen teeth with gum. `upper` teeth hang, lower ones stand.
pub(crate) fn teeth(bite: &Bite, upper: bool) -> Part {
    let widths: [f32; 7] = if upper {
        [0.86, 0.66, 0.78, 0.70, 0.68, 1.0, 0.95]
    } else {
        [0.54, 0.60, 0.70, 0.70, 0.72, 1.1, 1.0]
    };
    let heights: [f32; 7] = if upper {
        [1.02, 0.90, 0.98, 0.82, 0.78, 0.72, 0.7]
    } else {
        [0.85, 0.86, 0.92, 0.82, 0.76, 0.7, 0.68]
    };
    let (a, b) = if upper { (2.55, 3.3) } else { (2.35, 3.1) };
    let down = if upper { -1.0 } else { 1.0 };
    let edge = if upper {
        bite.edge
    } else {
        bite.edge + Vec3::new(0.0, 0.10, -0.26)
    };
    let mut part = Part::default();
    for side in [-1.0_f32, 1.0] {
        let mut angle = 0.0_f32;
        for tooth in 0..7 {
            // Arc length to angle on the ellipse of the row.
            let (s, c) = angle.sin_cos();
            let speed = ((a * c).powi(2) + (b * s).powi(2)).sqrt();
            let span = widths[tooth] / speed;
            let height = heights[tooth];
            let short = [0.0, 0.06, 0.02, 0.05, 0.09, 0.12, 0.14][tooth];
            part.add_grid(9, 9, Material::Tooth, |row, column| {
                let u = column as f32 / 4.0 - 1.0;
                // 0..5 the crown, 6.. the edge and back, with gum above.
                let v = [-0.45, -0.02, 0.06, 0.35, 0.7, 0.93, 1.0, 0.98, 0.5][row];
                let back = [0.0, 0.0, 0.0, 0.0, 0.02, 0.05, 0.13, 0.24, 0.42][row];
                let squeeze = lerp(0.90, 1.0, smoothstep(0.0, 0.6, v)) * 0.985;
                let at = side * (angle + span * (0.5 + 0.5 * u * squeeze));
                let (sin, cos) = at.sin_cos();
                let normal = Vec3::new(b * sin, 0.0, a * cos).normalized();
                let bulge = 0.13 * (1.0 - u.powi(4)) * (1.0 - 0.35 * (v - 0.3).abs());
                let gum = if row < 2 { 1.0 } else { 0.0 };
                let scallop = if row < 3 { 0.10 * u * u } else { 0.0 };
                let cut = 0.05 * u.powi(4) * smoothstep(0.7, 1.0, v);
                let y = (v - 1.0) * height - short + scallop - cut;
                let out = if row < 2 { 0.09 } else { bulge };
                let spine = edge + Vec3::new(a * sin, down * y, b * (cos - 1.0));
                (spine + normal * (out - back), gum)
            });
            angle += span;
        }
    }
    part
}

/// The tongue for a jaw turned down by `jaw` radians (already applied by `turn`) with
/// its tip raised by `raise` (0..1).
pub(crate) fn tongue(bite: &Bite, raise: f32, turn: impl Fn(Vec3) -> Vec3) -> Part {
    let tip_up = smoothstep(0.1, 0.75, raise);
    let between = smoothstep(0.75, 1.0, raise);
    let floor = bite.edge.y - 0.52;
    let target = bite.edge.y - 0.10 + 0.30 * (1.0 - between);
    Part::grid(14, 15, Material::Tongue, |row, column| {
        let v = row as f32 / 13.0;
        let around = column as f32 / 14.0 * TAU;
        let (s, c) = around.sin_cos();
        let body = (1.0 - v.powi(7)).max(0.0).sqrt();
        let x = 1.75 * c * body * lerp(1.0, 0.72, v);
        let thick = if s > 0.0 { 0.55 } else { 0.75 };
        let groove = 0.12 * bell(x * x, 0.35) * s.max(0.0);
        let z = lerp(-1.2, bite.edge.z - 0.55, v);
        let rest = Vec3::new(x, floor + s * thick * body - groove - 0.3 * (1.0 - v), z);
        let mut p = turn(rest);
        // The tip leaves the jaw for the teeth.
        let lift = tip_up * smoothstep(0.35, 1.0, v);
        p.y = lerp(p.y, p.y.max(target - 0.16 + 0.20 * s * body), lift);
        p.z += between * 0.62 * smoothstep(0.5, 1.0, v);
        (p, 0.0)
    })
}

/// An ear; `side` -1 for the head's right, 1 for its left, at `place` on the head.
pub(crate) fn ear(place: Vec3, side: f32, size: f32) -> Part {
    let (rings, spokes) = (15, 49);
    let up = Vec3::new(0.0, 0.975, -0.22);
    let back = Vec3::new(side * 0.46, -0.19, -0.87).normalized();
    let out = Vec3::new(side * 0.88, 0.05, 0.47).normalized();
    // Outline from the ear's hole by angle from straight up through the back.
    let outline = [
        3.3, 3.15, 2.75, 2.35, 2.05, 1.85, 1.9, 2.35, 2.55, 1.75, 1.05, 0.85, 0.85, 1.0, 1.5, 2.6,
    ];
    let radius = |angle: f32| {
        let at = angle / TAU * outline.len() as f32;
        let i = at.floor() as usize % outline.len();
        let t = at - at.floor();
        let t = t * t * (3.0 - 2.0 * t);
        lerp(outline[i], outline[(i + 1) % outline.len()], t) * size
    };
    Part::grid(rings, spokes, Material::Skin, |ring, spoke| {
        let angle = spoke as f32 / (spokes - 1) as f32 * TAU;
        let rho: f32 = [
            0.0, 0.12, 0.24, 0.36, 0.46, 0.55, 0.63, 0.71, 0.79, 0.86, 0.92, 0.97, 1.0, 0.97, 0.80,
        ][ring];
        let (sin, cos) = angle.sin_cos();
        // 1 along the back and top, 0 at the lobe and the front.
        let rim = smoothstep(-0.7, 0.2, sin + 0.55 * cos) * smoothstep(-1.02, -0.55, cos);
        let front = smoothstep(0.2, 0.9, -sin) * smoothstep(-0.9, -0.2, cos + 0.3);
        let helix = 0.42 * rim * bell((rho - 0.93).powi(2), 0.075);
        let scapha = -0.10 * rim * bell((rho - 0.78).powi(2), 0.09);
        let fold = 0.30 * rim * bell((rho - 0.60).powi(2), 0.10);
        let concha = -0.62 * smoothstep(0.52, 0.15, rho);
        let tragus = 0.30 * front * bell((rho - 0.75).powi(2), 0.25);
        let turned = [0.0, 0.0, -0.18, -0.45][ring.saturating_sub(11)];
        let height = helix + scapha + fold + concha + tragus + turned;
        // The front is grown to the head.
        let sink = -0.55 * front * smoothstep(0.7, 1.0, rho);
        let r = radius(angle) * rho;
        (
            place + up * (r * cos) + back * (r * sin) + out * ((height + sink) * size),
            0.0,
        )
    })
}

/// The clothed shoulders, in world space. `broad` is 0 for slight, 1 for broad.
pub(crate) fn torso(broad: f32, collar: f32) -> Part {
    let k = lerp(0.90, 1.06, broad);
    let neck = lerp(0.93, 1.07, broad);
    // Half width, half depth, height, middle's depth, dip of the front.
    let high = collar;
    let open = (1.0 - collar).max(0.0) * 1.6;
    let rings = [
        (
            6.3 * neck + open,
            5.7 * neck + 0.5 * open,
            -14.2 + 0.7 * high,
            -6.0,
            2.6,
        ),
        (
            6.6 * neck + open,
            6.0 * neck + 0.5 * open,
            -13.7 + high,
            -6.0,
            2.6,
        ),
        (
            7.0 * neck + open,
            6.3 * neck + 0.5 * open,
            -14.1 + 0.8 * high,
            -6.0,
            2.6,
        ),
        (
            8.2 * neck + open,
            6.9 * neck + 0.5 * open,
            -14.9 + 0.2 * high,
            -6.0,
            2.5,
        ),
        (11.8 * k, 8.2, -15.9, -6.0, 2.0),
        (15.2 * k, 9.0, -17.2, -6.0, 1.4),
        (18.2 * k, 9.6, -19.2, -6.0, 0.8),
        (20.2 * k, 10.2, -22.4, -5.8, 0.4),
        (20.8 * k, 11.0, -28.0, -5.4, 0.0),
        (20.6 * k, 11.8, -40.0, -5.0, 0.0),
        (20.6 * k, 11.8, -60.0, -5.0, 0.0),
    ];
    let spokes = 28;
    let mut cage = Vec::new();
    for &(a, b, y, z, dip) in &rings {
        for spoke in 0..spokes {
            let (s, c) = (spoke as f32 / spokes as f32 * TAU).sin_cos();
            let x = a * s.signum() * s.abs().powf(0.92);
            let front = c.max(0.0);
            cage.push(Vec3::new(
                x,
                y - dip * front * front,
                z + b * c.signum() * c.abs().powf(0.85),
            ));
        }
    }
    let mut triangles = Vec::new();
    for ring in 0..rings.len() - 1 {
        for spoke in 0..spokes {
            let next = (spoke + 1) % spokes;
            let at = |r: usize, s: usize| (r * spokes + s) as u32;
            let (a, b, c, d) = (
                at(ring, spoke),
                at(ring, next),
                at(ring + 1, spoke),
                at(ring + 1, next),
            );
            triangles.extend([[a, c, b], [b, c, d]]);
        }
    }
    let fine = Subdivision::new(cage.len(), &triangles, 2);
    // The inside of the collar is tinted, so that it can be shaded as a fold.
    let tint: Vec<f32> = (0..cage.len())
        .map(|i| if i < 3 * spokes { 1.0 } else { 0.0 })
        .collect();
    Part {
        points: fine.points(&cage),
        tint: fine.values(&tint),
        materials: vec![Material::Cloth; fine.triangles.len()],
        triangles: fine.triangles,
    }
}

/// Height of the ears' holes.
pub(crate) const EAR_HEIGHT: f32 = 1.0;

/// Where an ear sits on a skull of half axes `axes` about `centre`.
pub(crate) fn ear_place(centre: Vec3, axes: Vec3, side: f32) -> Vec3 {
    let y = EAR_HEIGHT;
    let z = -3.6;
    let (dy, dz) = ((y - centre.y) / axes.y, (z - centre.z) / axes.z);
    let x = axes.x * (1.0 - dy * dy - dz * dz).max(0.0).sqrt();
    Vec3::new(side * (x - 0.1), y, z)
}

/// A microphone on a stand in front of the person, the middle of its head at 0.
pub(crate) fn microphone() -> Part {
    let (rings, spokes) = (26, 25);
    Part::grid(rings, spokes, Material::Prop, |ring, spoke| {
        let (s, c) = (spoke as f32 / (spokes - 1) as f32 * TAU).sin_cos();
        // A ball of foam, a collar, and a pole to below the picture.
        let (y, radius, tint) = if ring < 18 {
            let (sin, cos) = (ring as f32 / 17.0 * 2.75).sin_cos();
            (2.5 * cos, 2.1 * sin, 0.0)
        } else {
            let down = [2.3, 2.9, 3.0, 3.9, 4.0, 20.0, 50.0, 50.0][ring - 18];
            let wide = [0.8, 0.95, 1.1, 1.1, 0.75, 0.75, 0.75, 0.0][ring - 18];
            (-down, wide, 1.0)
        };
        (Vec3::new(radius * c, y, radius * s), tint)
    })
}

/// An upright card, 12 cm by 16 cm, its middle at 0.
pub(crate) fn card() -> Part {
    Part::grid(2, 2, Material::Prop, |row, column| {
        let place = Vec3::new(column as f32 * 12.0 - 6.0, 8.0 - row as f32 * 16.0, 0.0);
        (place, 2.0)
    })
}
