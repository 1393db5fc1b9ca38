//! A whole person as one surface: built once, posed for every frame.

use rayon::prelude::*;

use crate::cage::{Cage, Material};
use crate::canonical::UPPER_LIP;
use crate::config::{Clothing, HeadConfig};
use crate::expression::{jaw_angle, turn_jaw};
use crate::motion::HeadPose;
use crate::mouth::MouthShape;
use crate::occluder::Occluder;
use crate::parts::{self, Bite, Part};
use crate::raster::{Band, Seen};
use crate::skin::SkinMap;
use crate::subdivide::{Subdivision, normals};
use crate::vec::{Mat3, Vec3, floor, lerp};

/// The point that the head turns about.
const PIVOT: Vec3 = Vec3::new(0.0, -7.0, -4.6);

/// How a stretch of points moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moves {
    WithHead,
    WithJaw,
    Tongue,
    Still,
    Prop,
}

#[derive(Debug, Clone)]
struct Stretch {
    first: usize,
    points: usize,
    moves: Moves,
}

/// A person's surface, skin and how it moves.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) cage: Cage,
    surface: Subdivision,
    /// All points at rest (head space; the clothes in world space).
    pub(crate) rest: Vec<Vec3>,
    pub(crate) triangles: Vec<[u32; 3]>,
    pub(crate) materials: Vec<Material>,
    pub(crate) tint: Vec<f32>,
    /// Share of the head's movement of the fine head's points.
    follow: Vec<f32>,
    /// Light from all around that reaches a point at rest, 0..1.
    pub(crate) open: Vec<f32>,
    stretches: Vec<Stretch>,
    bite: Bite,
    pub(crate) skin: SkinMap,
}

/// A person at one time.
#[derive(Debug, Clone)]
pub(crate) struct Posed {
    pub(crate) points: Vec<Vec3>,
    pub(crate) normals: Vec<Vec3>,
    pub(crate) placement: Placement,
    pub(crate) mouth: MouthShape,
    pub(crate) head: HeadPose,
}

/// Where the head is: rotation about the neck, then a shift.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placement {
    pub(crate) turn: Mat3,
    pub(crate) shift: Vec3,
}

impl Placement {
    pub(crate) fn of(head: &HeadPose) -> Self {
        let [x, y, z] = head.shift;
        Self {
            turn: Mat3::from_angles(head.yaw, head.pitch, head.roll),
            shift: Vec3::new(x, y, z),
        }
    }

    /// From head space to the world.
    pub(crate) fn apply(&self, p: Vec3) -> Vec3 {
        self.turn.apply(p - PIVOT) + PIVOT + self.shift
    }

    /// For a point that follows the head by `share`.
    pub(crate) fn apply_share(&self, p: Vec3, share: f32) -> Vec3 {
        if share >= 1.0 {
            self.apply(p)
        } else {
            p.lerp(self.apply(p), share)
        }
    }
}

impl Model {
    pub(crate) fn new(config: &HeadConfig, occluder: &Occluder, skin_width: usize) -> Self {
        let cage = Cage::new(config);
        let surface = Subdivision::new(cage.rest.len(), &cage.triangles, 2);
        let neutral = cage.posed(&MouthShape::default(), &HeadPose::default());
        let rest = surface.points(&neutral);
        let tint = surface.values(&cage.lip);
        let follow = surface.values(&cage.head);
        let materials: Vec<Material> = surface
            .parents
            .iter()
            .map(|&p| cage.materials[p as usize])
            .collect();
        let skin = SkinMap::paint(
            config,
            &cage,
            &rest,
            &tint,
            &surface.triangles,
            &materials,
            skin_width,
        );
        let lip = neutral[UPPER_LIP[3][5]];
        let bite = Bite {
            edge: lip + Vec3::new(0.0, -0.20, -0.58),
        };
        let mut model = Self {
            stretches: vec![Stretch {
                first: 0,
                points: rest.len(),
                moves: Moves::WithHead,
            }],
            triangles: surface.triangles.clone(),
            materials,
            tint,
            follow,
            open: Vec::new(),
            bite,
            skin,
            rest,
            surface,
            cage,
        };
        for (side, eye) in model.cage.eyes.into_iter().enumerate() {
            model.add(parts::eyeball(&eye, side as u8), Moves::WithHead);
        }
        model.add(parts::teeth(&bite, true), Moves::WithHead);
        model.add(parts::teeth(&bite, false), Moves::WithJaw);
        model.add(parts::tongue(&bite, 0.0, |p| p), Moves::Tongue);
        let (centre, axes) = model.cage.skull;
        for side in [-1.0, 1.0] {
            let place = parts::ear_place(centre, axes, side);
            let size = 0.93 + 0.09 * config.masculine;
            model.add(parts::ear(place, side, size), Moves::WithHead);
        }
        let collar = match config.clothing {
            Clothing::Tee => 0.0,
            Clothing::Knit => 0.9,
            Clothing::Jacket => 1.6,
        };
        model.add(parts::torso(config.masculine, collar), Moves::Still);
        model.open = model.openness();
        // Things in front come after: they move, so their shade can't be fixed.
        match occluder {
            Occluder::None => {}
            Occluder::Microphone { .. } => model.add(parts::microphone(), Moves::Prop),
            Occluder::Card { .. } => model.add(parts::card(), Moves::Prop),
        }
        model.open.resize(model.rest.len(), 1.0);
        model
    }

    fn add(&mut self, part: Part, moves: Moves) {
        let first = self.rest.len();
        self.stretches.push(Stretch {
            first,
            points: part.points.len(),
            moves,
        });
        self.triangles
            .extend(part.triangles.iter().map(|t| t.map(|i| i + first as u32)));
        self.materials.extend(part.materials);
        self.rest.extend(part.points);
        self.tint.extend(part.tint);
    }

    /// Number of points of the fine head; the first 468 are the face's.
    pub(crate) fn head_points(&self) -> usize {
        self.surface.len()
    }

    /// The person in the world at one time, and a thing in front of them at `prop`.
    pub(crate) fn pose(&self, mouth: &MouthShape, head: &HeadPose, prop: Vec3) -> Posed {
        let placement = Placement::of(head);
        let cage = self.cage.posed(mouth, head);
        let mut points = self.surface.points(&cage);
        for (p, &share) in points.iter_mut().zip(&self.follow) {
            *p = placement.apply_share(*p, share);
        }
        let angle = jaw_angle(mouth);
        for stretch in self.stretches.iter().skip(1) {
            let rest = &self.rest[stretch.first..stretch.first + stretch.points];
            match stretch.moves {
                Moves::WithHead => points.extend(rest.iter().map(|&p| placement.apply(p))),
                Moves::WithJaw => {
                    points.extend(rest.iter().map(|&p| placement.apply(turn_jaw(p, angle))));
                }
                Moves::Tongue => {
                    let moved =
                        parts::tongue(&self.bite, mouth.tongue, |p| turn_jaw(p, angle * 0.8));
                    points.extend(moved.points.iter().map(|&p| placement.apply(p)));
                }
                Moves::Still => points.extend_from_slice(rest),
                Moves::Prop => points.extend(rest.iter().map(|&p| p + prop)),
            }
        }
        let normals = normals(&points, &self.triangles);
        Posed {
            points,
            normals,
            placement,
            mouth: *mouth,
            head: *head,
        }
    }

    /// How much of the sky every point sees at rest, from depth pictures along many
    /// directions (parallel light, no perspective).
    fn openness(&self) -> Vec<f32> {
        const SIZE: usize = 160;
        const SPAN: f32 = 64.0;
        const DIRECTIONS: usize = 72;
        let normals = normals(&self.rest, &self.triangles);
        let parts: Vec<Vec<(f32, f32)>> = (0..DIRECTIONS)
            .into_par_iter()
            .map(|k| {
                // Even spread over the sphere (golden spiral).
                let y = 1.0 - 2.0 * (k as f32 + 0.5) / DIRECTIONS as f32;
                let r = (1.0 - y * y).sqrt();
                let (s, c) = (k as f32 * 2.399_963).sin_cos();
                let view = DepthView::new(Vec3::new(r * c, y, r * s), SIZE, SPAN);
                let depth = view.draw(&self.rest, &self.triangles);
                self.rest
                    .iter()
                    .zip(&normals)
                    .map(|(&p, n)| {
                        let facing = n.dot(view.toward);
                        if facing <= 0.02 {
                            return (0.0, 0.0);
                        }
                        // Light from above counts more, as in a room.
                        let weight = facing * lerp(0.5, 1.0, 0.5 + 0.5 * view.toward.y);
                        (weight * depth.lit(&view, p + *n * 0.35, 0.25), weight)
                    })
                    .collect()
            })
            .collect();
        (0..self.rest.len())
            .map(|i| {
                let (lit, all) = parts.iter().fold((0.0, 0.0), |sum, part| {
                    (sum.0 + part[i].0, sum.1 + part[i].1)
                });
                if all > 0.0 { lit / all } else { 0.5 }
            })
            .collect()
    }
}

/// Parallel view of the scene from a direction, for shadows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DepthView {
    pub(crate) toward: Vec3,
    right: Vec3,
    up: Vec3,
    size: usize,
    scale: f32,
}

/// Depth picture of a [`DepthView`]: larger is nearer to the light.
#[derive(Debug, Clone)]
pub(crate) struct DepthPicture {
    size: usize,
    near: Vec<f32>,
}

/// Added to depths, which must be positive for the rasteriser.
const DEPTH_OFFSET: f32 = 200.0;

impl DepthView {
    pub(crate) fn new(toward: Vec3, size: usize, span: f32) -> Self {
        let helper = if toward.y.abs() > 0.9 {
            Vec3::new(1.0, 0.0, 0.0)
        } else {
            Vec3::new(0.0, 1.0, 0.0)
        };
        let right = helper.cross(toward).normalized();
        Self {
            toward,
            right,
            up: toward.cross(right),
            size,
            scale: size as f32 / span,
        }
    }

    fn see(&self, p: Vec3) -> Seen {
        // The middle of head and shoulders.
        let d = p - Vec3::new(0.0, -7.0, -3.0);
        let half = 0.5 * self.size as f32;
        Seen {
            x: half + d.dot(self.right) * self.scale,
            y: half - d.dot(self.up) * self.scale,
            near: DEPTH_OFFSET + d.dot(self.toward),
        }
    }

    pub(crate) fn draw(&self, points: &[Vec3], triangles: &[[u32; 3]]) -> DepthPicture {
        let seen: Vec<Seen> = points.iter().map(|&p| self.see(p)).collect();
        let mut band = Band::new(self.size, 0, self.size);
        for t in triangles {
            band.triangle(t.map(|i| seen[i as usize]), 0);
        }
        DepthPicture {
            size: self.size,
            near: band.near,
        }
    }

    /// Marks points (of hair) in a picture.
    pub(crate) fn dot(&self, picture: &mut DepthPicture, p: Vec3) {
        let s = self.see(p);
        if s.x >= 0.0 && s.y >= 0.0 && s.x < self.size as f32 && s.y < self.size as f32 {
            let at = s.y as usize * self.size + s.x as usize;
            picture.near[at] = picture.near[at].max(s.near);
        }
    }
}

impl DepthPicture {
    /// 1 where nothing stands between `p` and the light, smooth at edges.
    pub(crate) fn lit(&self, view: &DepthView, p: Vec3, slack: f32) -> f32 {
        let s = view.see(p);
        let (x, y) = (s.x - 0.5, s.y - 0.5);
        let (fx, fy) = (floor(x), floor(y));
        let last = self.size as i32 - 1;
        if fx < 0 || fy < 0 || fx >= last || fy >= last {
            return 1.0;
        }
        let (tx, ty) = (x - fx as f32, y - fy as f32);
        let at = fy as usize * self.size + fx as usize;
        let open = |at: usize| {
            if self.near[at] <= s.near + slack {
                1.0
            } else {
                0.0
            }
        };
        let top = lerp(open(at), open(at + 1), tx);
        let bottom = lerp(open(at + self.size), open(at + self.size + 1), tx);
        lerp(top, bottom, ty)
    }

    /// As [`Self::lit`] averaged over a neighbourhood `radius` centimetres wide.
    pub(crate) fn soft(&self, view: &DepthView, p: Vec3, slack: f32, radius: f32) -> f32 {
        let mut sum = 0.0;
        for (dx, dy) in [
            (0.0, 0.0),
            (0.9, 0.3),
            (-0.3, 0.9),
            (-0.9, -0.3),
            (0.3, -0.9),
        ] {
            let q = p + view.right * (dx * radius) + view.up * (dy * radius);
            sum += self.lit(view, q, slack);
        }
        sum * 0.2
    }
}
