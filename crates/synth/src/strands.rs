//! Hair as thin lines: shape at rest, movement, and shading.

use crate::canonical::{BROWS, EYELIDS};
use crate::config::HeadConfig;
use crate::light::Lamps;
use crate::model::{DepthPicture, DepthView, Model, Posed};
use crate::noise;
use crate::vec::{Vec3, lerp, smoothstep};

/// One hair of the head, brows or lashes.
#[derive(Debug, Clone)]
pub(crate) struct Strand {
    /// Points in head space at rest, from the root; for hairs of the face relative to
    /// the root.
    pub(crate) points: Vec<Vec3>,
    /// Share of the head's movement at each point (1 for hairs of the face).
    pub(crate) follow: Vec<f32>,
    pub(crate) root: Root,
    /// Brightness against the others, about 0.7..1.3.
    pub(crate) tone: f32,
    /// Thickness in centimetres.
    pub(crate) thick: f32,
    /// Light that gets to it through the other hair, 0..1.
    pub(crate) open: f32,
}

/// What a hair hangs on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Root {
    Head,
    /// Between two points of the face.
    Face {
        a: usize,
        b: usize,
        t: f32,
        lash: bool,
    },
}

/// Hair in the world with its light, ready to draw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drawn {
    pub(crate) points: Vec<Vec3>,
    pub(crate) colours: Vec<Vec3>,
    /// First point of each line, and its thickness in centimetres.
    pub(crate) lines: Vec<(u32, f32)>,
}

impl Strand {
    fn in_world(&self, posed: &Posed, out: &mut Vec<Vec3>) {
        match self.root {
            Root::Head => out.extend(
                self.points
                    .iter()
                    .zip(&self.follow)
                    .map(|(&p, &share)| posed.placement.apply_share(p, share)),
            ),
            Root::Face { a, b, t, lash } => {
                let root = posed.points[a].lerp(posed.points[b], t);
                let swing = if lash { posed.head.blink * 0.9 } else { 0.0 };
                let (s, c) = swing.sin_cos();
                out.extend(self.points.iter().map(|&p| {
                    let p = Vec3::new(p.x, p.y * c - p.z * s, p.y * s + p.z * c);
                    root + posed.placement.turn.apply(p)
                }));
            }
        }
    }
}

/// Places and lights all strands.
pub(crate) fn draw(
    strands: &[Strand],
    posed: &Posed,
    colour: Vec3,
    lamps: &Lamps,
    view: &DepthView,
    shadow: &DepthPicture,
    eye: Vec3,
) -> Drawn {
    use rayon::prelude::*;
    let middle = posed.placement.apply(Vec3::new(0.0, 2.0, -4.0));
    let chunks: Vec<Drawn> = strands
        .par_chunks(512)
        .map(|chunk| {
            let mut drawn = Drawn::default();
            for strand in chunk {
                let first = drawn.points.len();
                strand.in_world(posed, &mut drawn.points);
                let count = drawn.points.len() - first;
                for i in 0..count {
                    let at = first + i;
                    let before = drawn.points[if i > 0 { at - 1 } else { at }];
                    let after = drawn.points[if i + 1 < count { at + 1 } else { at }];
                    let p = drawn.points[at];
                    let along = (after - before).normalized();
                    let lit = shadow.lit(view, p, 1.1);
                    let depth = strand.open * lerp(0.6, 1.0, (i as f32 / 4.0).min(1.0));
                    let base = colour * strand.tone;
                    // The head of hair as a whole has a lit and a dark side.
                    let (out, sheen) = match strand.root {
                        Root::Head => ((p - middle).normalized(), 1.0),
                        Root::Face { .. } => (posed.normals[168], 0.12),
                    };
                    let view = (eye - p).normalized();
                    drawn
                        .colours
                        .push(shade(base, along, (out, sheen), view, lamps, lit, depth));
                    if i + 1 < count {
                        let end = if i + 3 < count { 1.0 } else { 0.45 };
                        drawn.lines.push((at as u32, strand.thick * end));
                    }
                }
            }
            drawn
        })
        .collect();
    let mut all = Drawn::default();
    for chunk in chunks {
        let shift = all.points.len() as u32;
        all.points.extend(chunk.points);
        all.colours.extend(chunk.colours);
        all.lines
            .extend(chunk.lines.iter().map(|&(i, t)| (i + shift, t)));
    }
    all
}

/// Kajiya and Kay, "Rendering fur with three dimensional textures" (1989), with a
/// second, coloured highlight shifted towards the tip as in Marschner et al. (2003).
fn shade(
    base: Vec3,
    along: Vec3,
    (out, sheen): (Vec3, f32),
    view: Vec3,
    lamps: &Lamps,
    lit: f32,
    open: f32,
) -> Vec3 {
    let tv = along.dot(view);
    let sin_v = (1.0 - tv * tv).max(0.0).sqrt();
    let lamp = |to: Vec3, strength: Vec3, arrives: f32| {
        let tl = along.dot(to);
        let sin_l = (1.0 - tl * tl).max(0.0).sqrt();
        let mirror =
            |shift: f32, sharp: i32| (sin_l * sin_v - (tl + shift) * tv).max(0.0).powi(sharp);
        let shine = Vec3::splat(0.024 * mirror(0.10, 60));
        let glow = (base * 1.1 + Vec3::splat(0.012)) * (0.55 * mirror(-0.16, 16));
        let facing = (0.35 + 0.65 * out.dot(to)).max(0.0);
        strength.times(base * (0.85 * sin_l) + (shine + glow) * sheen) * (arrives * facing)
    };
    lamp(lamps.key, lamps.key_colour, lit * open)
        + lamp(lamps.fill, lamps.fill_colour, open)
        + lamp(lamps.rim, lamps.rim_colour, 0.5 * open * open)
        + lamps.around(Vec3::new(0.0, 0.4, 0.0)).times(base) * (0.9 * open)
}

/// Brows and lashes.
pub(crate) fn face_hair(config: &HeadConfig, model: &Model) -> Vec<Strand> {
    let salt = noise::mix(config.seed as u32 ^ 0xb405);
    let draw = |i: usize, k: i32| noise::cell(i as i32, k, 0, salt);
    let mut strands = Vec::new();
    let brow_rows = lerp(1.0, 1.55, config.masculine);
    for (side, brow) in BROWS.iter().enumerate() {
        let sign = if side == 0 { -1.0 } else { 1.0 };
        for i in 0..400 {
            let k = side * 1000 + i;
            // 0 at the outer end.
            let along = draw(k, 0);
            let at = along * 4.0;
            let column = (at as usize).min(3);
            let t = at - column as f32;
            // Thin at the outer end, highest in the middle.
            let width = 0.52 * brow_rows * smoothstep(-0.15, 0.45, along) * lerp(1.0, 0.8, along);
            let across = draw(k, 1) - 0.5;
            let (a, b) = (brow[column], brow[column + 1]);
            let root_down = -0.40 - width * across - 0.10 * (1.0 - along) - 0.24 * along * along;
            let inward = smoothstep(0.82, 1.0, along);
            let mut dir = Vec3::new(
                sign * lerp(1.0, 0.25, inward),
                lerp(0.18, 0.50, inward) + 0.75 * across - 0.42 * (1.0 - along),
                0.1,
            )
            .normalized();
            dir = (dir + Vec3::new(draw(k, 2) - 0.5, draw(k, 3) - 0.5, 0.0) * 0.22).normalized();
            let length = lerp(0.35, 0.70, draw(k, 4));
            let root = Vec3::new(0.0, root_down, 0.0);
            // Find the skin's depth under the root: the brow's own height is enough.
            let base = model.rest[a].lerp(model.rest[b], t);
            let p = base + root;
            let depth = surface_depth(model, p) - base.z + 0.02;
            let points = (0..4)
                .map(|s| {
                    let d = length * s as f32 / 3.0;
                    let q = Vec3::new(dir.x * d, root_down + dir.y * d, 0.0);
                    Vec3::new(q.x, q.y, depth + 0.03 - 0.20 * d)
                })
                .collect();
            strands.push(Strand {
                points,
                follow: Vec::new(),
                root: Root::Face {
                    a,
                    b,
                    t,
                    lash: false,
                },
                tone: lerp(0.8, 1.5, draw(k, 5)),
                thick: 0.02,
                open: 0.9,
            });
        }
    }
    for (side, lids) in EYELIDS.iter().enumerate() {
        let sign = if side == 0 { -1.0 } else { 1.0 };
        for (which, lid) in lids.iter().enumerate() {
            let count = if which == 0 { 54 } else { 26 };
            for i in 0..count {
                let k = 4000 + side * 1000 + which * 400 + i;
                let at = 0.15 + 7.6 * (i as f32 + draw(k, 0)) / count as f32;
                let column = (at as usize).min(7);
                let outer = 1.0 - at / 8.0;
                let long = if which == 0 { 0.56 } else { 0.24 } * lerp(1.0, 0.72, config.masculine);
                let length = long * lerp(0.55, 1.0, outer) * lerp(0.75, 1.0, draw(k, 1));
                let out = sign * lerp(-0.25, 0.75, outer) + 0.25 * (draw(k, 2) - 0.5);
                let rise = if which == 0 { 1.0 } else { -0.8 };
                let points = (0..5)
                    .map(|s| {
                        let d = s as f32 / 4.0;
                        Vec3::new(
                            out * d * length,
                            rise * length * (0.75 * d * d - 0.05 * d),
                            length * (0.85 * d - 0.25 * d * d) + 0.02,
                        )
                    })
                    .collect();
                strands.push(Strand {
                    points,
                    follow: Vec::new(),
                    root: Root::Face {
                        a: lid[column],
                        b: lid[column + 1],
                        t: at - column as f32,
                        lash: which == 0,
                    },
                    tone: 0.45,
                    thick: if which == 0 { 0.016 } else { 0.008 },
                    open: 0.6,
                });
            }
        }
    }
    strands
}

/// Depth of the face's front at a place.
fn surface_depth(model: &Model, p: Vec3) -> f32 {
    let mut sum = (0.0, 0.0);
    for r in &model.rest[..model.head_points()] {
        let (dx, dy) = (r.x - p.x, r.y - p.y);
        let d = dx * dx + dy * dy;
        if d < 0.5 && r.z > 0.0 {
            let w = 1.0 / (0.01 + d * d);
            sum = (sum.0 + w * r.z, sum.1 + w);
        }
    }
    if sum.1 > 0.0 { sum.0 / sum.1 } else { p.z }
}
