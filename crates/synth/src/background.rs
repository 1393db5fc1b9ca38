//! The room behind: out of focus, still.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::noise;
use crate::vec::{Vec3, bell, smoothstep};

/// What is behind the person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Background {
    /// A plain wall with a soft gradient.
    Wall {
        /// Picks the colour.
        seed: u64,
    },
    /// A blurred room: a wall, a window or lamp, furniture.
    Room {
        /// Picks what stands where.
        seed: u64,
    },
}

const WALLS: [Vec3; 6] = [
    Vec3::new(0.42, 0.40, 0.37),
    Vec3::new(0.27, 0.34, 0.38),
    Vec3::new(0.46, 0.40, 0.32),
    Vec3::new(0.20, 0.28, 0.29),
    Vec3::new(0.32, 0.37, 0.31),
    Vec3::new(0.22, 0.22, 0.26),
];

/// A soft rectangle: middle, half size, softness, colour, opacity.
#[derive(Debug, Clone, Copy)]
struct Shape {
    x: f32,
    y: f32,
    w: f32,
    h: f32,
    soft: f32,
    colour: Vec3,
    opacity: f32,
}

/// A background ready to be looked up.
#[derive(Debug, Clone)]
pub(crate) struct Backdrop {
    wall: Vec3,
    shapes: Vec<Shape>,
    glow: (f32, f32),
    salt: u32,
}

impl Backdrop {
    pub(crate) fn new(background: &Background) -> Self {
        let (seed, room) = match *background {
            Background::Wall { seed } => (seed, false),
            Background::Room { seed } => (seed, true),
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7265_776f_7264_0004);
        let wall = WALLS[rng.random_range(0..WALLS.len())] * rng.random_range(0.5..0.85);
        let glow = (rng.random_range(-0.5..0.5), rng.random_range(0.0..0.6));
        let mut shapes = Vec::new();
        if room {
            let side: f32 = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
            // A window: sky over greenery, bars, curtains at its sides.
            let (x, y): (f32, f32) = (
                side * rng.random_range(0.68..0.92),
                rng.random_range(0.15..0.3),
            );
            let (w, h): (f32, f32) = (rng.random_range(0.20..0.27), rng.random_range(0.48..0.62));
            let day = rng.random_range(0.6..0.95);
            let pane = |dy: f32, half: f32, colour: Vec3, soft: f32| Shape {
                x,
                y: y + dy,
                w,
                h: half,
                soft,
                colour: colour * day,
                opacity: 0.92,
            };
            shapes.push(pane(0.0, h, Vec3::new(0.92, 1.02, 1.12), 0.06));
            shapes.push(pane(-0.45 * h, 0.5 * h, Vec3::new(0.48, 0.62, 0.40), 0.22));
            shapes.push(pane(-0.85 * h, 0.12 * h, Vec3::new(0.30, 0.40, 0.22), 0.12));
            let frame = wall * 1.15;
            let bar = |x: f32, y: f32, w: f32, h: f32| Shape {
                x,
                y,
                w,
                h,
                soft: 0.035,
                colour: frame,
                opacity: 0.75,
            };
            shapes.push(bar(x, y, 0.008, h));
            shapes.push(bar(x, y + 0.1 * h, w, 0.008));
            let cloth = Vec3::new(0.62, 0.58, 0.52);
            for edge in [-1.0, 1.0] {
                shapes.push(Shape {
                    x: x + edge * (w + 0.02),
                    y,
                    w: 0.055,
                    h: h + 0.12,
                    soft: 0.06,
                    colour: cloth * if edge * side < 0.0 { 0.75 } else { 0.55 },
                    opacity: 0.95,
                });
            }
            // Shelves with things on them on the other side.
            let left = -side * rng.random_range(0.7..0.85);
            for shelf in 0..4 {
                let y = 0.75 - 0.42 * shelf as f32;
                shapes.push(Shape {
                    x: left,
                    y: y - 0.15,
                    w: 0.34,
                    h: 0.02,
                    soft: 0.045,
                    colour: wall * 0.35,
                    opacity: 0.8,
                });
                let mut x = left - 0.28;
                while x < left + 0.26 {
                    let w: f32 = rng.random_range(0.02..0.06);
                    let h: f32 = rng.random_range(0.07..0.13);
                    let hue = Vec3::new(
                        rng.random_range(0.06..0.34),
                        rng.random_range(0.06..0.26),
                        rng.random_range(0.05..0.24),
                    );
                    if rng.random_bool(0.75) {
                        shapes.push(Shape {
                            x: x + w,
                            y: y - 0.13 + h,
                            w,
                            h,
                            soft: 0.055,
                            colour: hue,
                            opacity: 0.75,
                        });
                    }
                    x += 2.0 * w + 0.01;
                }
            }
            // A lamp with a warm shade, and its glow on the wall.
            let (x, y): (f32, f32) = (
                -side * rng.random_range(0.38..0.5),
                rng.random_range(-0.05..0.25),
            );
            let warm = Vec3::new(1.25, 0.86, 0.50) * rng.random_range(0.5..0.8);
            for (size, soft, opacity) in [(0.05, 0.45, 0.35), (0.055, 0.07, 0.85)] {
                shapes.push(Shape {
                    x,
                    y,
                    w: size,
                    h: size * 1.1,
                    soft,
                    colour: warm,
                    opacity,
                });
            }
        }
        Self {
            wall,
            shapes,
            glow,
            salt: noise::mix(seed as u32 ^ 0xbac),
        }
    }

    /// Linear light at a place of the picture; x and y in units of half the picture's
    /// height from its middle, y up.
    pub(crate) fn at(&self, x: f32, y: f32) -> Vec3 {
        let d = (x - self.glow.0).powi(2) + (y - self.glow.1).powi(2);
        let mut colour = self.wall * (0.55 + 0.65 * bell(d, 1.3) + 0.08 * y);
        for s in &self.shapes {
            let edge = |v: f32, half: f32| smoothstep(half + s.soft, half - s.soft, v.abs());
            let k = edge(x - s.x, s.w) * edge(y - s.y, s.h) * s.opacity;
            if k > 0.0 {
                colour = colour.lerp(s.colour, k);
            }
        }
        let unevenness = noise::fractal(Vec3::new(x * 1.1, y * 1.1, 0.0), 2, self.salt);
        colour * (1.0 + 0.06 * unevenness)
    }
}
