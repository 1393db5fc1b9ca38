//! The hair of the head: strands that grow from the scalp, follow the comb, fall by
//! their weight and lie on what is under them.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::cage::Material;
use crate::config::{HairStyle, HeadConfig};
use crate::model::Model;
use crate::noise;
use crate::scalp;
use crate::skin::recede;
use crate::strands::{Root, Strand};
use crate::subdivide::normals;
use crate::vec::{Vec3, bell, lerp, smoothstep};

/// How a style grows.
#[derive(Debug, Clone, Copy)]
struct Cut {
    strands: usize,
    /// Distance between points of a strand in centimetres.
    step: f32,
    /// Length on top and at the sides.
    top: f32,
    sides: f32,
    /// Thickness of the layer of hair.
    volume: f32,
    /// How upright hair leaves the scalp.
    lift: f32,
    /// Pull downwards per centimetre.
    weight: f32,
    thick: f32,
}

fn cut(style: HairStyle) -> Cut {
    let base = Cut {
        strands: 15_000,
        step: 0.55,
        top: 5.5,
        sides: 2.2,
        volume: 1.1,
        lift: 0.55,
        weight: 0.10,
        thick: 0.050,
    };
    match style {
        HairStyle::Cropped => Cut {
            strands: 22_000,
            step: 0.35,
            top: 1.1,
            sides: 0.6,
            volume: 0.8,
            lift: 0.75,
            weight: 0.05,
            ..base
        },
        HairStyle::SideParting => base,
        HairStyle::BrushedBack => Cut {
            top: 7.5,
            sides: 2.6,
            volume: 1.3,
            lift: 0.7,
            weight: 0.04,
            ..base
        },
        HairStyle::Bob => Cut {
            strands: 9_500,
            step: 0.75,
            top: 27.0,
            sides: 14.0,
            volume: 1.15,
            lift: 0.16,
            weight: 0.42,
            ..base
        },
        HairStyle::Long => Cut {
            strands: 9_000,
            step: 0.95,
            top: 44.0,
            sides: 32.0,
            volume: 1.25,
            lift: 0.16,
            weight: 0.42,
            ..base
        },
        HairStyle::Tied => Cut {
            strands: 11_000,
            step: 0.8,
            top: 26.0,
            sides: 22.0,
            volume: 0.55,
            lift: 0.12,
            weight: 0.0,
            ..base
        },
    }
}

/// Where tied hair is gathered, and the size of the knot.
const KNOT: (Vec3, f32) = (Vec3::new(0.0, 8.6, -12.6), 3.0);

/// All strands of the head.
pub(crate) fn grow(config: &HeadConfig, model: &Model) -> Vec<Strand> {
    let cut = cut(config.hair);
    let comb = Comb::new(config, model, cut);
    let mut strands: Vec<Strand> = roots(config, model, cut.strands)
        .into_par_iter()
        .map(|root| comb.strand(&root))
        .filter(|s| s.points.len() > 1)
        .collect();
    if config.hair == HairStyle::Tied {
        strands.extend(comb.knot());
    }
    strands
}

/// A place where a hair grows, with numbers of its own.
struct RootPoint {
    place: Vec3,
    normal: Vec3,
    density: f32,
    seed: u64,
}

fn roots(config: &HeadConfig, model: &Model, count: usize) -> Vec<RootPoint> {
    let salt = noise::mix(config.seed as u32 ^ 0x51e1);
    let back = recede(config);
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed ^ 0x7265_776f_7264_0005);
    let points = &model.rest[..model.head_points()];
    let mut cumulative = Vec::new();
    let mut total = 0.0_f32;
    for (t, &material) in model.triangles.iter().zip(&model.materials) {
        if t.iter().any(|&i| i as usize >= points.len()) {
            break;
        }
        let [a, b, c] = t.map(|i| points[i as usize]);
        let middle = (a + b + c) * (1.0 / 3.0);
        if material == Material::Skin && middle.y > -8.0 {
            let dense = scalp::density(middle, back, salt);
            total +=
                (b - a).cross(c - a).length() * dense.max(if dense > 0.01 { 0.2 } else { 0.0 });
        }
        cumulative.push(total);
    }
    if total <= 0.0 {
        return Vec::new();
    }
    let surface = normals(points, &model.triangles[..cumulative.len()]);
    (0..count)
        .filter_map(|_| {
            let pick: f32 = rng.random_range(0.0..total);
            let (mut u, mut v): (f32, f32) = (rng.random(), rng.random());
            let seed: u64 = rng.random();
            let keep: f32 = rng.random();
            let index = cumulative
                .partition_point(|&c| c <= pick)
                .min(cumulative.len() - 1);
            if u + v > 1.0 {
                (u, v) = (1.0 - u, 1.0 - v);
            }
            let [a, b, c] = model.triangles[index].map(|i| i as usize);
            let mix = |p: &[Vec3]| p[a] * (1.0 - u - v) + p[b] * u + p[c] * v;
            let place = mix(points);
            let density = scalp::density(place, back, salt);
            (keep < density * 1.4).then(|| RootPoint {
                place,
                normal: mix(&surface).normalized(),
                density,
                seed,
            })
        })
        .collect()
}

/// Directions of a style, and what hair lies on.
struct Comb {
    style: HairStyle,
    cut: Cut,
    centre: Vec3,
    axes: Vec3,
    /// Where the parting is (x), and to which side most hair goes.
    part: f32,
    wave: f32,
    salt: u32,
    end: f32,
    masculine: f32,
}

impl Comb {
    fn new(config: &HeadConfig, model: &Model, cut: Cut) -> Self {
        let (centre, axes) = model.cage.skull;
        let salt = noise::mix(config.seed as u32 ^ 0xc0_4b);
        let draw = |k: i32| noise::cell(k, 3, 0, salt);
        let side = if draw(0) < 0.5 { -1.0 } else { 1.0 };
        let part = match config.hair {
            HairStyle::SideParting => side * lerp(2.6, 3.6, draw(1)),
            _ => side * lerp(0.2, 2.2, draw(1)),
        };
        let end = match config.hair {
            HairStyle::Bob => lerp(-9.5, -6.0, draw(2)),
            _ => lerp(-25.0, -17.0, draw(2)),
        };
        let wave = draw(3) * draw(3);
        Self {
            style: config.hair,
            cut,
            centre,
            axes,
            part,
            wave,
            salt,
            end,
            masculine: config.masculine,
        }
    }

    /// Height above the skull in about centimetres, and the direction away from it.
    fn above_skull(&self, p: Vec3) -> (f32, Vec3) {
        let d = p - self.centre;
        let q = Vec3::new(d.x / self.axes.x, d.y / self.axes.y, d.z / self.axes.z);
        let length = q.length().max(1e-4);
        let out = Vec3::new(q.x / self.axes.x, q.y / self.axes.y, q.z / self.axes.z).normalized();
        ((length - 1.0) * self.axes.x * 1.1, out)
    }

    /// Direction of the comb at a place for a hair that grows at `root`.
    fn direction(&self, p: Vec3, root: Vec3) -> Vec3 {
        let side = if root.x > self.part { 1.0 } else { -1.0 };
        let upper = smoothstep(4.5, 8.5, root.y);
        match self.style {
            HairStyle::Cropped => Vec3::new(0.1 * root.x, -0.35, 0.35 * upper - 0.25),
            HairStyle::SideParting => {
                let long_side = (side * self.part) < 0.0;
                let sweep = if long_side { 1.0 } else { 0.55 };
                let top = Vec3::new(
                    side * 1.0 * sweep,
                    0.05,
                    0.10 - 0.5 * (1.0 - smoothstep(-4.0, 3.0, root.z)),
                );
                let flank = Vec3::new(0.0, -0.9, -0.55);
                flank.lerp(top, upper)
            }
            HairStyle::BrushedBack => {
                let top = Vec3::new(0.05 * root.x, 0.10, -1.0);
                Vec3::new(0.0, -0.45, -0.9).lerp(top, upper)
            }
            HairStyle::Bob | HairStyle::Long => {
                let fall = smoothstep(7.0, 2.0, p.y);
                let front = smoothstep(-2.0, 4.0, root.z);
                let top = Vec3::new(side, -0.05, -0.30 - 0.35 * front);
                let down = Vec3::new(0.0, -1.0, -0.10 * front);
                top.lerp(down, fall)
            }
            HairStyle::Tied => {
                let to = (KNOT.0 - p).normalized();
                let (_, out) = self.above_skull(p);
                (to - out * to.dot(out).min(0.0)).normalized()
            }
        }
    }

    fn strand(&self, root: &RootPoint) -> Strand {
        let mut rng = ChaCha8Rng::seed_from_u64(root.seed);
        let mut jitter = || -> f32 { rng.random_range(-1.0..1.0) };
        let cut = &self.cut;
        let layer: f32 = 0.5 + 0.5 * jitter();
        // Hairs of one tuft lean the same way.
        let tuft = root.place * 0.75;
        let lean = |k: u32| noise::value(tuft, self.salt ^ k);
        let on_top = smoothstep(3.5, 8.0, root.place.y);
        let length = lerp(cut.sides, cut.top, on_top)
            * (1.0 + 0.18 * jitter() + 0.12 * lean(1))
            * lerp(0.35, 1.0, root.density)
            * if matches!(
                self.style,
                HairStyle::Cropped | HairStyle::SideParting | HairStyle::BrushedBack
            ) {
                // Short at the nape and before the ears.
                lerp(0.25, 1.0, smoothstep(-4.0, 4.0, root.place.y))
            } else {
                1.0
            };
        let own = Vec3::new(jitter(), jitter(), jitter()) * 0.10
            + Vec3::new(lean(2), lean(3), lean(4)) * 0.16;
        let stop = self.end + 1.3 * jitter() + 1.2 * lean(5);
        let front = smoothstep(-2.5, 2.0, root.place.z);
        let volume = cut.volume * lerp(0.30, 1.0, layer) * lerp(0.25, 1.0, smoothstep(0.2, 0.8, root.density))
            * (1.0 + 0.25 * lean(6))
            // Flat along the parting.
            * lerp(1.0, smoothstep(-0.8, 4.6, (root.place.x - self.part).abs()), on_top);
        let mut p = root.place - root.normal * 0.06;
        let mut heading = (root.normal * cut.lift + self.direction(p, root.place)).normalized();
        let mut points = vec![p];
        let count = (length / cut.step).ceil().max(1.0) as usize;
        let phase = 6.0 * lean(7);
        for step in 0..count {
            let done = step as f32 * cut.step;
            let mut want = self.direction(p, root.place);
            // Combed hair follows the head's curve.
            let (height, out) = self.above_skull(p);
            let near_head = smoothstep(-1.5, 2.5, p.y);
            want += out
                * (-near_head
                    * (want.dot(out).max(0.0) + 0.25 * (height - volume).clamp(0.0, 3.0)));
            want += own;
            let pull = if step == 0 { 0.15 } else { 0.42 };
            heading = (heading + want * pull - Vec3::new(0.0, cut.weight * 0.6, 0.0)).normalized();
            let mut next = p + heading * cut.step;
            if self.wave > 0.05 && done > 3.0 {
                let swing = (done * 1.15 + phase).sin() * self.wave * 0.32;
                next += Vec3::new(swing, 0.0, swing * 0.6 * (phase.sin()));
            }
            next = self.keep_out(next, volume * smoothstep(0.0, 2.6, done), front, layer);
            heading = (next - p).normalized();
            p = next;
            points.push(p);
            if matches!(self.style, HairStyle::Bob | HairStyle::Long) && p.y < stop {
                break;
            }
            if self.style == HairStyle::Tied && (KNOT.0 - p).length() < KNOT.1 * 0.8 {
                break;
            }
        }
        let follow = points
            .iter()
            .map(|p| {
                if p.y > -5.0 {
                    1.0
                } else {
                    smoothstep(-17.5, -5.0, p.y)
                }
            })
            .collect();
        Strand {
            points,
            follow,
            root: Root::Head,
            tone: 1.0 + 0.28 * jitter() + 0.22 * lean(8),
            thick: cut.thick,
            open: lerp(0.35, 1.0, layer * layer.sqrt()),
        }
    }

    /// Moves a point out of the head, neck and shoulders, and off the face.
    fn keep_out(&self, mut p: Vec3, volume: f32, front: f32, layer: f32) -> Vec3 {
        let (height, out) = self.above_skull(p);
        let least = 0.12 + volume;
        if height < least && p.y > -5.0 {
            p += out * (least - height);
        }
        if !matches!(self.style, HairStyle::Bob | HairStyle::Long) {
            if height > least + 0.9 {
                p += -out * (0.5 * (height - least - 0.9));
            }
            return p;
        }
        // Hair hugs the head from outside: volume is a limit on both sides.
        if height > least + 0.8 && p.y > 1.0 {
            p += -out * (0.35 * (height - least - 0.8));
        }
        // Neck and jaw.
        let thick = 6.3 + 0.6 * self.masculine + 0.5 * layer;
        let across = Vec3::new(p.x, 0.0, p.z + 4.6);
        let reach = across.length();
        if p.y <= 2.0 && reach < thick {
            p += across * (thick / reach.max(0.1) - 1.0);
        }
        let jaw = 7.3 + 0.7 * layer - 0.30 * (-2.0 - p.y).max(0.0);
        if p.y < 3.5 && p.y > -12.0 && p.z > -7.0 && p.x.abs() < jaw {
            let to = jaw - p.x.abs();
            p.x += p.x.signum() * to * 0.6;
        }
        // Off the face.
        let limit = lerp(0.2, 1.4, front) - 0.4 * layer;
        if p.z > limit && p.y < 6.5 && p.y > -14.0 {
            p.z = lerp(p.z, limit, 0.45);
        }
        // Shoulders: hair slides off them to the front or to the back.
        let d = p - Vec3::new(0.0, -30.5, -5.8);
        let q = Vec3::new(d.x / 22.0, d.y / 17.3, d.z / 10.6);
        let flat = 1.0 - q.x * q.x - q.y * q.y;
        if flat > 0.0 && q.dot(q) < 1.0 {
            let side = if front > 0.55 - 0.3 * layer {
                1.0
            } else {
                -1.0
            };
            let to = side * 10.6 * (flat.sqrt() + 0.03 + 0.03 * layer) - d.z;
            p.z += to.clamp(-0.9, 0.9);
        }
        p
    }

    /// The knot of tied hair.
    fn knot(&self) -> Vec<Strand> {
        (0..1400)
            .map(|i| {
                let draw = |k: i32| noise::cell(i, k, 5, self.salt);
                let (centre, size) = KNOT;
                let turn = draw(0) * std::f32::consts::TAU;
                let tilt = (draw(1) - 0.5) * 2.2;
                let layer = draw(2);
                let radius = size * lerp(0.75, 1.05, layer);
                let points: Vec<Vec3> = (0..9)
                    .map(|s| {
                        let a = turn + s as f32 * 0.28;
                        let (sa, ca) = a.sin_cos();
                        let (st, ct) = (tilt + 0.12 * (a * 3.0).sin()).sin_cos();
                        centre + Vec3::new(ca * ct, sa * ct * 0.92, st) * radius
                    })
                    .collect();
                let shade = bell((1.0 - layer).powi(2), 0.8);
                Strand {
                    follow: vec![1.0; points.len()],
                    points,
                    root: Root::Head,
                    tone: lerp(0.7, 1.25, draw(3)),
                    thick: self.cut.thick,
                    open: shade,
                }
            })
            .collect()
    }
}
