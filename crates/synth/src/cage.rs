//! The coarse head: the face, and what hangs on its outline and openings (skull,
//! neck, the inside of the mouth, the rims of the eyelids).

use std::f32::consts::FRAC_PI_2;

use crate::canonical::{self, EYELIDS, LOWER_LIP, OVAL, UPPER_LIP};
use crate::config::HeadConfig;
use crate::shape;
use crate::vec::{Vec3, lerp, smoothstep};

/// Which surface a triangle belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Material {
    Skin,
    MouthLining,
    LidRim,
    Eye(u8),
    Tooth,
    Tongue,
    Cloth,
    Prop,
}

/// A closed loop of points inside an opening, grown inwards ring by ring.
#[derive(Debug, Clone)]
pub(crate) struct InnerRing {
    /// The point of the opening's edge that each point of the ring hangs on.
    pub(crate) edge: Vec<usize>,
    /// Index of the ring's first point.
    pub(crate) first: usize,
}

/// An eyeball in head space.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Eyeball {
    pub(crate) centre: Vec3,
    pub(crate) radius: f32,
}

/// A point of the skin near an upper eyelid that follows it.
#[derive(Debug, Clone)]
pub(crate) struct LidFollower {
    pub(crate) point: usize,
    /// Column of the lid and share of its movement.
    pub(crate) columns: Vec<(usize, f32)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Cage {
    pub(crate) rest: Vec<Vec3>,
    pub(crate) triangles: Vec<[u32; 3]>,
    pub(crate) materials: Vec<Material>,
    /// 1 on the red of the lips.
    pub(crate) lip: Vec<f32>,
    /// Share of the jaw's movement.
    pub(crate) jaw: Vec<f32>,
    /// Share of the head's movement (0 at the foot of the neck).
    pub(crate) head: Vec<f32>,
    pub(crate) mouth_rings: Vec<InnerRing>,
    pub(crate) lid_rings: [Vec<InnerRing>; 2],
    pub(crate) eyes: [Eyeball; 2],
    pub(crate) lid_followers: [Vec<LidFollower>; 2],
    /// Centre of the skull and its half axes.
    pub(crate) skull: (Vec3, Vec3),
}

/// The axis that the jaw turns about (x is free), canonical position.
pub(crate) const HINGE: Vec3 = Vec3::new(0.0, 0.6, -3.0);

const SKULL_RINGS: usize = 9;

impl Cage {
    pub(crate) fn new(config: &HeadConfig) -> Self {
        let rest = shape::face_points(config);
        // Loops run counter-clockwise seen from the front.
        let eye_loops = [
            loop_of(&EYELIDS[0][1], &EYELIDS[0][0]),
            loop_of(&EYELIDS[1][0], &EYELIDS[1][1]),
        ];
        let mouth_loop = loop_of(&LOWER_LIP[3], &UPPER_LIP[3]);
        let inside = |t: &[u32; 3], edge: &[usize]| t.iter().all(|&i| edge.contains(&(i as usize)));
        let triangles: Vec<[u32; 3]> = canonical::triangles()
            .into_iter()
            .filter(|t| !inside(t, &mouth_loop) && !eye_loops.iter().any(|edge| inside(t, edge)))
            .collect();
        let breadth = 0.975 + 0.02 * config.masculine + 0.025 * config.shape.breadth;
        let skull = (
            Vec3::new(0.0, 3.2, -3.2),
            Vec3::new(7.75 * breadth, 9.5, 9.7),
        );
        let mut cage = Self {
            materials: vec![Material::Skin; triangles.len()],
            lip: vec![0.0; rest.len()],
            jaw: rest.iter().map(|&p| jaw_share(p)).collect(),
            head: vec![1.0; rest.len()],
            mouth_rings: Vec::new(),
            lid_rings: [Vec::new(), Vec::new()],
            eyes: [0, 1].map(|side| eyeball(&rest, side)),
            lid_followers: [Vec::new(), Vec::new()],
            skull,
            rest,
            triangles,
        };
        cage.mark_lips();
        cage.lid_followers = [0, 1].map(|side| cage.followers(side));
        cage.add_skull(config);
        cage.add_inner_rings(&mouth_loop, Material::MouthLining, 4);
        for (side, edge) in eye_loops.iter().enumerate() {
            let first = cage.rest.len();
            cage.lid_rings[side] = (0..2)
                .map(|r| InnerRing {
                    edge: edge.clone(),
                    first: first + r * edge.len(),
                })
                .collect();
            cage.add_rings(edge, Material::LidRim, 2, false);
        }
        cage
    }

    fn mark_lips(&mut self) {
        for rows in [&UPPER_LIP, &LOWER_LIP] {
            for (row, points) in rows.iter().enumerate() {
                for (column, &i) in points.iter().enumerate() {
                    // The outer contour is the border itself; corners fade.
                    let end = if column == 0 || column == 10 {
                        0.6
                    } else {
                        1.0
                    };
                    self.lip[i] = if row == 0 { 0.45 * end } else { end };
                }
            }
        }
        for column in 0..11 {
            let s = (column as f32 - 5.0) / 5.0;
            let centre = (1.0 - s * s).max(0.0).powf(0.35);
            for row in 0..4 {
                let corner = column == 0 || column == 10;
                self.jaw[UPPER_LIP[row][column]] =
                    if corner { 0.42 } else { 0.10 * (1.0 - centre) };
                self.jaw[LOWER_LIP[row][column]] =
                    if corner { 0.42 } else { lerp(0.5, 1.0, centre) };
            }
        }
    }

    /// Skin within two steps above the upper eyelid.
    fn followers(&self, side: usize) -> Vec<LidFollower> {
        let [upper, lower] = EYELIDS[side];
        let mut distance = vec![usize::MAX; self.rest.len()];
        for &i in upper.iter().chain(&lower) {
            distance[i] = 0;
        }
        for step in 1..3 {
            for t in &self.triangles {
                let nearest = t.iter().map(|&i| distance[i as usize]).min();
                for &i in t {
                    if nearest == Some(step - 1) && distance[i as usize] > step {
                        distance[i as usize] = step;
                    }
                }
            }
        }
        let middle = self.eyes[side].centre.y;
        (0..canonical::POINTS)
            .filter(|&i| matches!(distance[i], 1 | 2) && self.rest[i].y > middle + 0.1)
            .map(|point| {
                let mut columns: Vec<(usize, f32)> = (1..8)
                    .map(|c| {
                        let d = self.rest[upper[c]] - self.rest[point];
                        (c, 1.0 / (0.02 + d.dot(d)).powi(2))
                    })
                    .collect();
                let total: f32 = columns.iter().map(|c| c.1).sum();
                let share = if distance[point] == 1 { 0.5 } else { 0.16 };
                for c in &mut columns {
                    c.1 *= share / total;
                }
                LidFollower { point, columns }
            })
            .collect()
    }

    /// Rings from the outline of the face over the skull to the foot of the neck.
    /// They are circles of a family that sweeps the sphere from the circle around the
    /// face to the circle around the neck.
    fn add_skull(&mut self, config: &HeadConfig) {
        let (centre, axes) = self.skull;
        let thick = 0.90 + 0.14 * config.masculine;
        let on_unit = |p: Vec3| {
            let d = p - centre;
            Vec3::new(d.x / axes.x, d.y / axes.y, d.z / axes.z).normalized()
        };
        let out = |d: Vec3| centre + Vec3::new(d.x * axes.x, d.y * axes.y, d.z * axes.z);
        // Neck rings: height, depth, half width, half depth, slant, share of head.
        let neck = [
            (-8.2, -4.6, 5.6, 5.3, 1.5, 0.78),
            (-10.4, -5.0, 5.45, 5.2, 1.1, 0.5),
            (-12.3, -5.5, 5.7, 5.4, 1.0, 0.2),
            (-13.8, -5.9, 6.9, 6.0, 1.9, 0.0),
            (-15.9, -6.1, 9.2, 6.7, 2.3, 0.0),
            (-18.6, -6.2, 11.5, 7.4, 1.6, 0.0),
        ];
        let angle_of = |p: Vec3| {
            let d = on_unit(p);
            d.y.atan2(d.x)
        };
        let neck_point = |ring: usize, angle: f32| {
            let (y, z, a, b, slant, _) = neck[ring];
            let (sin, cos) = angle.sin_cos();
            // sin -1 is the throat (front), +1 the nape.
            Vec3::new(a * thick * cos, y + slant * sin, z - b * thick * sin)
        };
        let start: Vec<Vec3> = OVAL.iter().map(|&i| self.rest[i]).collect();
        let mut previous: Vec<usize> = OVAL.to_vec();
        for ring in 1..=SKULL_RINGS {
            let t = ring as f32 / SKULL_RINGS as f32;
            let turn = t * FRAC_PI_2 * 1.08;
            let (sin, cos) = turn.sin_cos();
            let normal = Vec3::new(0.0, sin, cos);
            let up = Vec3::new(0.0, cos, -sin);
            let mut row = Vec::new();
            for (k, &p) in start.iter().enumerate() {
                let unit = on_unit(p);
                let height = lerp(unit.z, -0.74, t);
                let radius = (1.0 - height * height).max(0.0).sqrt();
                let angle = angle_of(p);
                let (s, c) = angle.sin_cos();
                let d = normal * height + Vec3::new(c, 0.0, 0.0) * radius + up * (s * radius);
                let end = neck_point(0, angle) - out(end_direction(angle));
                let begin = p - out(unit);
                let fade = (1.0 - t) * (1.0 - t);
                let point = out(d) + begin * fade + end * (t * t * t);
                row.push(self.push(
                    point,
                    lerp(1.0, neck[0].5, t.powi(3)),
                    jaw_fade(self.jaw[OVAL[k]], t),
                ));
            }
            self.bridge(&row, &previous, Material::Skin);
            previous = row;
        }
        for (ring, &(.., share)) in neck.iter().enumerate().skip(1) {
            let row: Vec<usize> = start
                .iter()
                .map(|&p| self.push(neck_point(ring, angle_of(p)), share, 0.0))
                .collect();
            self.bridge(&row, &previous, Material::Skin);
            previous = row;
        }
    }

    fn push(&mut self, point: Vec3, head: f32, jaw: f32) -> usize {
        self.rest.push(point);
        self.head.push(head);
        self.jaw.push(jaw);
        self.lip.push(0.0);
        self.rest.len() - 1
    }

    fn add_inner_rings(&mut self, edge: &[usize], material: Material, rings: usize) {
        let first = self.rest.len();
        self.mouth_rings = (0..rings)
            .map(|r| InnerRing {
                edge: edge.to_vec(),
                first: first + r * edge.len(),
            })
            .collect();
        self.add_rings(edge, material, rings, true);
    }

    /// Rings whose points the pose places; closes the last one with a fan if asked.
    fn add_rings(&mut self, edge: &[usize], material: Material, rings: usize, close: bool) {
        let mut previous = edge.to_vec();
        for _ in 0..rings {
            let row: Vec<usize> = edge
                .iter()
                .map(|&i| self.push(self.rest[i], 1.0, self.jaw[i]))
                .collect();
            self.bridge(&row, &previous, material);
            previous = row;
        }
        if close {
            for k in 1..previous.len() - 1 {
                self.triangles
                    .push([previous[0], previous[k + 1], previous[k]].map(|i| i as u32));
                self.materials.push(material);
            }
        }
    }

    /// Triangles between two closed loops of equal length.
    fn bridge(&mut self, inner: &[usize], outer: &[usize], material: Material) {
        let n = inner.len();
        for k in 0..n {
            let next = (k + 1) % n;
            let (a, b, c, d) = (inner[k], inner[next], outer[k], outer[next]);
            self.triangles.push([a, c, b].map(|i| i as u32));
            self.triangles.push([b, c, d].map(|i| i as u32));
            self.materials.extend([material; 2]);
        }
    }
}

fn end_direction(angle: f32) -> Vec3 {
    let turn = FRAC_PI_2 * 1.08;
    let (sin, cos) = turn.sin_cos();
    let height = -0.74_f32;
    let radius = (1.0 - height * height).sqrt();
    let (s, c) = angle.sin_cos();
    Vec3::new(0.0, sin, cos) * height
        + Vec3::new(c, 0.0, 0.0) * radius
        + Vec3::new(0.0, cos, -sin) * (s * radius)
}

fn jaw_fade(share: f32, t: f32) -> f32 {
    share * smoothstep(0.75, 0.1, t)
}

/// First row forwards, then the second backwards without its ends: a closed loop.
fn loop_of<const N: usize>(forward: &[usize; N], back: &[usize; N]) -> Vec<usize> {
    forward
        .iter()
        .chain(back[1..N - 1].iter().rev())
        .copied()
        .collect()
}

/// Share of the jaw's movement by the angle around the hinge: nothing above the line
/// from the ear to the upper lip, everything below the one to the lower lip.
fn jaw_share(p: Vec3) -> f32 {
    let angle = (HINGE.y - p.y).atan2(p.z - HINGE.z);
    smoothstep(0.44, 0.76, angle)
}

fn eyeball(rest: &[Vec3], side: usize) -> Eyeball {
    let [upper, lower] = EYELIDS[side];
    let corners = (rest[upper[0]] + rest[upper[8]]) * 0.5;
    let lids = (rest[upper[4]] + rest[lower[4]]) * 0.5;
    let radius = 1.24;
    Eyeball {
        centre: Vec3::new(corners.x, lids.y + 0.04, lids.z - 0.99 * radius),
        radius,
    }
}
