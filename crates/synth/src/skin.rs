//! The skin's colour, shine and relief as a picture wrapped around the head.

use rayon::prelude::*;

use crate::cage::{Cage, Material};
use crate::canonical::{BROWS, EYELIDS, UPPER_LIP};
use crate::config::{HairStyle, HeadConfig};
use crate::noise;
use crate::raster::{Band, NOTHING, Seen, weights};
use crate::scalp;
use crate::vec::{Vec3, bell, floor, lerp, smoothstep};

/// What the skin is like at one point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texel {
    /// Colour in linear light.
    pub(crate) albedo: Vec3,
    /// Strength of the shine, 1 is average.
    pub(crate) gloss: f32,
    /// Slope of the relief at rest, to be taken off the normal.
    pub(crate) slope: Vec3,
}

/// The wrapped picture.
#[derive(Debug, Clone)]
pub(crate) struct SkinMap {
    width: usize,
    height: usize,
    /// Square roots of the colour and the gloss, then the slope, as bytes.
    texels: Vec<[u8; 8]>,
}

const TOP: f32 = 14.0;
const BOTTOM: f32 = -21.0;
const AXIS: f32 = -3.0;
const SLOPE: f32 = 0.6;

/// Skin tones from light to dark, linear light.
const TONES: [Vec3; 6] = [
    Vec3::new(0.620, 0.395, 0.300),
    Vec3::new(0.565, 0.340, 0.240),
    Vec3::new(0.470, 0.265, 0.170),
    Vec3::new(0.325, 0.165, 0.096),
    Vec3::new(0.200, 0.097, 0.055),
    Vec3::new(0.105, 0.052, 0.032),
];

fn tone(t: f32) -> Vec3 {
    let at = t.clamp(0.0, 1.0) * (TONES.len() - 1) as f32;
    let i = (at as usize).min(TONES.len() - 2);
    TONES[i].lerp(TONES[i + 1], at - i as f32)
}

/// Where a point of the skin at rest lies in the picture, 0..1 each way.
fn place(p: Vec3) -> (f32, f32) {
    let u = p.x.atan2(p.z - AXIS) / std::f32::consts::TAU + 0.5;
    (u, (TOP - p.y) / (TOP - BOTTOM))
}

impl SkinMap {
    /// Paints the skin of the head whose fine surface at rest is given.
    pub(crate) fn paint(
        config: &HeadConfig,
        cage: &Cage,
        rest: &[Vec3],
        tint: &[f32],
        triangles: &[[u32; 3]],
        materials: &[Material],
        width: usize,
    ) -> Self {
        let height = width * 3 / 4;
        let painter = Painter::new(config, cage);
        let rows = 16;
        let seen: Vec<Seen> = rest
            .iter()
            .map(|&p| {
                let (u, v) = place(p);
                Seen {
                    x: u * width as f32,
                    y: v * height as f32,
                    near: 1.0,
                }
            })
            .collect();
        let corner = |t: &[u32; 3]| t.map(|i| seen[i as usize]);
        let drawn: Vec<usize> = (0..triangles.len())
            .filter(|&i| {
                let [a, b, c] = corner(&triangles[i]);
                let span = a.x.max(b.x).max(c.x) - a.x.min(b.x).min(c.x);
                materials[i] == Material::Skin && span < 0.4 * width as f32
            })
            .collect();
        // Colour, shine and the relief's height come first, then slopes from heights.
        let mut layer = vec![(Vec3::ZERO, 0.0_f32, 0.0_f32); width * height];
        layer
            .par_chunks_mut(width * rows)
            .enumerate()
            .for_each(|(index, chunk)| {
                let top = index * rows;
                let count = chunk.len() / width;
                let mut band = Band::new(width, top, count);
                for &i in &drawn {
                    let t = corner(&triangles[i]);
                    let low = t[0].y.min(t[1].y).min(t[2].y);
                    let high = t[0].y.max(t[1].y).max(t[2].y);
                    if high >= top as f32 && low <= (top + count) as f32 {
                        band.triangle(t, i as u32);
                    }
                }
                for (at, out) in chunk.iter_mut().enumerate() {
                    let what = band.what[at];
                    let (x, y) = ((at % width) as f32 + 0.5, (top + at / width) as f32 + 0.5);
                    let (p, lip) = if what == NOTHING {
                        let angle = (x / width as f32 - 0.5) * std::f32::consts::TAU;
                        let y = TOP - y / height as f32 * (TOP - BOTTOM);
                        (
                            Vec3::new(7.0 * angle.sin(), y, AXIS + 8.5 * angle.cos()),
                            0.0,
                        )
                    } else {
                        let t = triangles[what as usize];
                        let w = weights(corner(&t), x, y);
                        let mix =
                            |k: usize| (rest[t[k] as usize] * w[k], tint[t[k] as usize] * w[k]);
                        let (a, b, c) = (mix(0), mix(1), mix(2));
                        (a.0 + b.0 + c.0, a.1 + b.1 + c.1)
                    };
                    *out = painter.at(p, lip);
                }
            });
        let step_x = std::f32::consts::TAU * 8.0 / width as f32;
        let step_y = (TOP - BOTTOM) / height as f32;
        let texels = (0..width * height)
            .into_par_iter()
            .map(|at| {
                let (x, y) = (at % width, at / width);
                let relief = |x: usize, y: usize| layer[y.min(height - 1) * width + x % width].2;
                let dx = (relief(x + 1, y) - relief(x + width - 1, y)) / (2.0 * step_x);
                let dy = (relief(x, y.saturating_sub(1)) - relief(x, y + 1)) / (2.0 * step_y);
                let angle = (x as f32 / width as f32 - 0.5) * std::f32::consts::TAU;
                let slope = Vec3::new(dx * angle.cos(), dy, -dx * angle.sin());
                let (albedo, gloss, _) = layer[at];
                let byte = |v: f32| (v.clamp(0.0, 1.0).sqrt() * 255.0).round() as u8;
                let signed = |v: f32| ((v / SLOPE).clamp(-1.0, 1.0) * 127.0 + 128.0) as u8;
                [
                    byte(albedo.x),
                    byte(albedo.y),
                    byte(albedo.z),
                    byte(gloss * 0.25),
                    signed(slope.x),
                    signed(slope.y),
                    signed(slope.z),
                    0,
                ]
            })
            .collect();
        Self {
            width,
            height,
            texels,
        }
    }

    /// The skin at a point given at rest.
    pub(crate) fn at(&self, p: Vec3) -> Texel {
        let (u, v) = place(p);
        let x = u * self.width as f32 - 0.5;
        let y = (v * self.height as f32 - 0.5).clamp(0.0, self.height as f32 - 1.001);
        let (fx, fy) = (floor(x), floor(y));
        let (tx, ty) = (x - fx as f32, y - fy as f32);
        let x0 = fx.rem_euclid(self.width as i32) as usize;
        let x1 = (x0 + 1) % self.width;
        let row = fy as usize * self.width;
        let corners = [
            (self.texels[row + x0], (1.0 - tx) * (1.0 - ty)),
            (self.texels[row + x1], tx * (1.0 - ty)),
            (self.texels[row + self.width + x0], (1.0 - tx) * ty),
            (self.texels[row + self.width + x1], tx * ty),
        ];
        let mut sum = [0.0_f32; 7];
        for (texel, weight) in corners {
            for (s, &b) in sum.iter_mut().zip(&texel) {
                *s += f32::from(b) * weight;
            }
        }
        let square = |v: f32| (v * (1.0 / 255.0)) * (v * (1.0 / 255.0));
        let signed = |v: f32| (v - 128.0) * (SLOPE / 127.0);
        Texel {
            albedo: Vec3::new(square(sum[0]), square(sum[1]), square(sum[2])),
            gloss: square(sum[3]) * 4.0,
            slope: Vec3::new(signed(sum[4]), signed(sum[5]), signed(sum[6])),
        }
    }
}

/// Points around the nostrils.
const NOSTRILS: [[usize; 6]; 2] = [[79, 166, 75, 60, 20, 238], [309, 392, 305, 290, 250, 458]];

/// Draws the skin by places of the face.
struct Painter<'a> {
    config: &'a HeadConfig,
    salt: u32,
    base: Vec3,
    nose: Vec3,
    mouth: Vec3,
    eyes: [Vec3; 2],
    lids: [[Vec<Vec3>; 2]; 2],
    nostrils: [Vec3; 2],
    brows: [Vec<Vec3>; 2],
    recede: f32,
    hair: f32,
}

impl<'a> Painter<'a> {
    fn new(config: &'a HeadConfig, cage: &Cage) -> Self {
        let lips = (cage.rest[UPPER_LIP[0][0]] + cage.rest[UPPER_LIP[0][10]]) * 0.5;
        Self {
            config,
            salt: noise::mix(config.seed as u32 ^ 0x51e1),
            base: tone(config.skin_tone),
            nose: cage.rest[4],
            mouth: Vec3::new(lips.x, lips.y, cage.rest[13].z),
            eyes: cage.eyes.map(|e| e.centre),
            lids: EYELIDS
                .map(|pair| pair.map(|row| row.iter().map(|&i| cage.rest[i]).collect::<Vec<_>>())),
            nostrils: NOSTRILS.map(|ring| {
                ring.iter().fold(Vec3::ZERO, |sum, &i| sum + cage.rest[i])
                    * (1.0 / ring.len() as f32)
            }),
            brows: BROWS.map(|row| {
                row.iter()
                    .map(|&i| Vec3 {
                        z: 0.0,
                        y: cage.rest[i].y - 0.62,
                        ..cage.rest[i]
                    })
                    .collect()
            }),
            recede: recede(config),
            hair: if config.hair == HairStyle::Cropped {
                0.8
            } else {
                0.95
            },
        }
    }

    /// Colour, gloss and height of the relief in centimetres.
    fn at(&self, p: Vec3, lip: f32) -> (Vec3, f32, f32) {
        let c = self.config;
        let n =
            |scale: f32, octaves: u32, k: u32| noise::fractal(p * scale, octaves, self.salt ^ k);
        let front = smoothstep(-1.0, 2.0, p.z);
        let mut colour = self.base;
        let tint = |colour: Vec3, by: Vec3, k: f32| colour.times(Vec3::ONE.lerp(by, k));
        let red = Vec3::new(1.10, 0.80, 0.80);
        let light = 1.0 - 0.6 * c.skin_tone;
        // Blood near the surface: cheeks, nose, chin, ears.
        let side = p.x.signum();
        let spot = |centre: Vec3, r: f32| {
            let d = p - centre;
            bell(d.dot(d), r)
        };
        let cheek = spot(Vec3::new(side * 4.6, self.nose.y - 0.9, 3.4), 2.5);
        let nose = spot(self.nose + Vec3::new(0.0, -0.4, -0.6), 1.7);
        let chin = spot(self.mouth + Vec3::new(0.0, -3.2, 0.0), 1.5);
        let ear = smoothstep(7.6, 8.4, p.x.abs()) * smoothstep(5.0, 0.0, (p.y - 1.0).abs());
        let blood = (cheek * 0.85 + nose * 0.8 + chin * 0.35 + ear * 0.9) * (0.45 + 0.75 * c.ruddy);
        colour = tint(
            colour,
            red,
            (blood * (1.0 + 0.35 * n(0.9, 2, 1)) * light).clamp(0.0, 1.5),
        );
        // Forehead yellower, hollows around the eyes browner.
        let forehead = smoothstep(4.5, 7.0, p.y) * front;
        colour = tint(colour, Vec3::new(1.02, 1.01, 0.92), forehead);
        for (eye, lids) in self.eyes.iter().zip(&self.lids) {
            let d = Vec3::new((p.x - eye.x) / 2.3, (p.y - eye.y + 0.25) / 1.25, 0.0);
            let hollow = bell(d.dot(d), 1.0) * front;
            colour = tint(
                colour,
                Vec3::new(0.84, 0.76, 0.78),
                hollow * (0.40 + 0.3 * c.age),
            );
            // A darker line where the lashes grow.
            for (which, row) in lids.iter().enumerate() {
                let near = row
                    .windows(2)
                    .map(|s| to_segment(p, s[0], s[1]))
                    .fold(9.0, f32::min);
                let reach = if which == 0 { 0.15 } else { 0.09 };
                if which == 0 {
                    // The fold above the lid.
                    let flat = Vec3::new(p.x, p.y - 0.44, 0.0);
                    let fold = row[1..8]
                        .windows(2)
                        .map(|s| to_segment(flat, Vec3 { z: 0.0, ..s[0] }, Vec3 { z: 0.0, ..s[1] }))
                        .fold(9.0, f32::min);
                    let crease = bell(fold * fold, 0.075) * front;
                    colour = tint(colour, Vec3::new(0.52, 0.42, 0.40), crease * 0.75);
                }
                let line = bell(near * near, reach) * if which == 0 { 0.75 } else { 0.4 };
                colour = tint(colour, Vec3::new(0.30, 0.22, 0.20), line);
            }
        }
        for nostril in self.nostrils {
            let d = p - nostril;
            let d = Vec3::new(d.x / 0.42, (d.y + 0.02) / 0.24, d.z / 0.55);
            let hole = smoothstep(1.25, 0.55, d.length());
            colour = tint(colour, Vec3::new(0.10, 0.055, 0.05), hole);
        }
        for brow in &self.brows {
            let flat = Vec3::new(p.x, p.y, 0.0);
            let near = brow
                .windows(2)
                .map(|s| to_segment(flat, s[0], s[1]))
                .fold(9.0, f32::min);
            let under = bell(near * near, 0.25 + 0.10 * c.masculine) * front;
            let hair = Vec3::new(c.hair_colour[0], c.hair_colour[1], c.hair_colour[2]);
            colour = colour.lerp(hair.lerp(self.base * 0.5, 0.4), 0.45 * under);
        }
        // Mottling.
        let mottle = 0.045 * n(0.8, 3, 2) + 0.03 * n(5.0, 2, 3);
        colour = colour.times(Vec3::new(1.0 + mottle * 0.7, 1.0 + mottle, 1.0 + mottle));
        let flush = 0.06 * n(1.7, 3, 4) * light;
        colour = colour.times(Vec3::new(1.0 + 0.2 * flush, 1.0 - flush, 1.0 - flush));
        if c.freckles > 0.0 {
            let where_ = spot(Vec3::new(side * 2.8, self.nose.y + 0.5, 4.5), 3.6);
            let speck = smoothstep(0.42, 0.62, n(4.4, 1, 5)) * where_;
            colour = tint(colour, Vec3::new(0.66, 0.50, 0.40), speck * c.freckles);
        }
        // A mole or two.
        for k in 0..2 {
            let draw = |j: u32| noise::cell(k, j as i32, 7, self.salt) - 0.5;
            let at = Vec3::new(draw(0) * 11.0, draw(1) * 9.0 - 1.0, p.z);
            let d = p - at;
            let mole = bell(d.dot(d), 0.10 + 0.04 * draw(2)) * front;
            colour = tint(colour, Vec3::new(0.42, 0.30, 0.26), mole * 0.7);
        }
        // Shaved beard.
        let beard = self.beard(p) * front.max(smoothstep(-4.0, 1.0, p.z)) * (1.0 - lip);
        if c.stubble > 0.0 {
            let grain = 0.75 + 0.5 * n(14.0, 1, 6);
            let grey = Vec3::new(0.60, 0.60, 0.64);
            colour = tint(
                colour,
                grey,
                (beard * c.stubble * 0.72 * grain).clamp(0.0, 0.9),
            );
        }
        // Lips.
        let red_part = smoothstep(0.30, 0.62, lip + 0.05 * n(4.0, 2, 8));
        let lips = self.lip_colour();
        let crease =
            0.5 + 0.5 * noise::fractal(Vec3::new(p.x * 7.5, p.y * 0.9, 1.0), 2, self.salt ^ 9);
        colour = colour.lerp(lips * (0.90 + 0.16 * crease), red_part);
        // Roots of hair.
        let root = scalp::density(p, self.recede, self.salt);
        let hair = Vec3::new(c.hair_colour[0], c.hair_colour[1], c.hair_colour[2]);
        colour = colour.lerp(hair * 0.8, root * self.hair);
        let zone = spot(self.nose, 2.4) + 0.6 * forehead * bell(p.x * p.x, 4.0) + 0.3 * chin;
        let gloss =
            lerp(0.75 + 0.55 * zone + 0.25 * n(2.2, 2, 10), 2.2, red_part) * (1.0 - 0.8 * root);
        let relief = self.relief(p, red_part, crease, root);
        (colour, gloss.max(0.1), relief)
    }

    fn lip_colour(&self) -> Vec3 {
        let k = self.config.lip_colour.clamp(0.0, 1.0);
        let rose = self.base.times(Vec3::new(0.92, 0.60, 0.66));
        let full = self.base.times(Vec3::new(0.84, 0.36, 0.42));
        rose.lerp(full, k)
    }

    fn beard(&self, p: Vec3) -> f32 {
        let low = smoothstep(
            self.mouth.y + 0.4,
            self.mouth.y - 1.6,
            p.y + 0.16 * (p.x.abs() - 3.0).max(0.0) * -2.0,
        );
        let lip = bell(
            ((p.x - self.mouth.x) / 2.6).powi(2) + ((p.y - self.mouth.y - 1.15) / 0.75).powi(2),
            1.0,
        );
        let throat = smoothstep(-14.0, -10.5, p.y);
        (low.max(lip) * throat).clamp(0.0, 1.0)
    }

    fn relief(&self, p: Vec3, lip: f32, crease: f32, root: f32) -> f32 {
        let n =
            |scale: f32, octaves: u32, k: u32| noise::fractal(p * scale, octaves, self.salt ^ k);
        let age = self.config.age;
        let pores = 0.0045 * n(11.0, 2, 11);
        let uneven = 0.006 * n(2.6, 2, 12);
        // Lines across the forehead and beside the eyes, faint.
        let forehead = smoothstep(5.6, 7.0, p.y) * smoothstep(0.0, 2.5, p.z);
        let wave = p.y * 5.2 + 0.5 * n(0.5, 1, 13);
        let lines = 0.012 * age * forehead * wave.sin();
        let skin = pores + uneven + lines;
        lerp(skin, -0.016 * crease, lip) * (1.0 - root)
    }
}

/// How far the hair has gone back from the temples.
pub(crate) fn recede(config: &HeadConfig) -> f32 {
    config.masculine * (0.2 + config.age)
}

fn to_segment(p: Vec3, a: Vec3, b: Vec3) -> f32 {
    let ab = b - a;
    let t = ((p - a).dot(ab) / ab.dot(ab).max(1e-9)).clamp(0.0, 1.0);
    (p - a - ab * t).length()
}
