//! Colour of a sample by what it sees.

use crate::cage::Material;
use crate::canonical::EYELIDS;
use crate::config::{Clothing, HeadConfig};
use crate::light::{Lamps, Lit};
use crate::model::{DepthPicture, DepthView, Model, Posed};
use crate::noise;
use crate::vec::{Vec3, bell, lerp, smoothstep};

/// Everything of a frame that colours depend on.
pub(crate) struct Shader<'a> {
    pub(crate) config: &'a HeadConfig,
    pub(crate) model: &'a Model,
    pub(crate) posed: &'a Posed,
    pub(crate) lamps: &'a Lamps,
    pub(crate) view: &'a DepthView,
    pub(crate) shadow: &'a DepthPicture,
    pub(crate) eye: Vec3,
    /// How far the lips are apart, in centimetres.
    pub(crate) gap: f32,
}

impl Shader<'_> {
    /// Linear light from triangle `index` at corner weights `w`.
    pub(crate) fn colour(&self, index: usize, w: [f32; 3]) -> Vec3 {
        let t = self.model.triangles[index].map(|i| i as usize);
        let mix = |v: &[Vec3]| v[t[0]] * w[0] + v[t[1]] * w[1] + v[t[2]] * w[2];
        let mixed = |v: &[f32]| v[t[0]] * w[0] + v[t[1]] * w[1] + v[t[2]] * w[2];
        let at = mix(&self.posed.points);
        let rest = mix(&self.model.rest);
        let mut normal = mix(&self.posed.normals).normalized();
        let view = (self.eye - at).normalized();
        if normal.dot(view) < -0.2 {
            normal = -normal;
        }
        let open = mixed(&self.model.open);
        let tint = mixed(&self.model.tint);
        match self.model.materials[index] {
            Material::Skin => self.skin(at, rest, normal, view, open),
            Material::MouthLining => self.lining(at, normal, view),
            Material::LidRim => self.rim(at, rest, normal, view, open),
            Material::Eye(side) => self.eye(at, view, open, usize::from(side)),
            Material::Tooth => self.tooth(at, rest, normal, view, tint),
            Material::Tongue => self.tongue(at, rest, normal, view),
            Material::Prop => self.prop(at, rest, normal, view, tint),
            Material::Cloth => self.cloth(at, rest, normal, view, open, tint),
        }
    }

    fn key(&self, at: Vec3, normal: Vec3) -> f32 {
        if normal.dot(self.lamps.key) < -0.35 {
            return 0.0;
        }
        self.shadow.soft(self.view, at + normal * 0.22, 0.20, 0.32)
    }

    fn skin(&self, at: Vec3, rest: Vec3, normal: Vec3, view: Vec3, open: f32) -> Vec3 {
        let texel = self.model.skin.at(rest);
        let slope = self.posed.placement.turn.apply(texel.slope);
        let bumped = (normal - slope).normalized();
        let lit = Lit {
            normal: bumped,
            view,
            key: self.key(at, normal),
            open,
        };
        let soft = Lit {
            normal: (normal * 0.5 + bumped * 0.5).normalized(),
            ..lit
        };
        let scattered = self.lamps.skin(&soft).times(texel.albedo);
        let dull = self.lamps.shine(&lit, 0.52, 0.028) * 0.75;
        let oily = self.lamps.shine(&lit, 0.33, 0.028) * 0.25;
        scattered + (dull + oily) * texel.gloss
    }

    /// How far a point of the mouth is behind the lips, in centimetres.
    fn behind_lips(&self, at: Vec3) -> f32 {
        let forward = self.posed.placement.turn.apply(Vec3::new(0.0, 0.0, 1.0));
        let lips = (self.posed.points[13] + self.posed.points[14]) * 0.5;
        (lips - at).dot(forward)
    }

    /// Light inside the mouth falls off with depth behind the lips.
    fn inside(&self, at: Vec3) -> f32 {
        let depth = (self.behind_lips(at) - 0.2).max(0.0);
        let wide = smoothstep(0.0, 1.3, self.gap);
        lerp(0.24, 0.96, wide) * (-depth * lerp(0.8, 0.36, wide)).exp()
    }

    fn lining(&self, at: Vec3, normal: Vec3, view: Vec3) -> Vec3 {
        let behind = self.behind_lips(at);
        let deep = smoothstep(0.02, 0.42, behind);
        let lip = self.model.skin.at(self.model.rest[14]).albedo;
        let flesh = Vec3::new(0.30, 0.085, 0.085);
        let colour = lip.lerp(flesh, deep);
        let light = lerp(0.85, self.inside(at), smoothstep(0.0, 0.30, behind));
        let lit = Lit {
            normal,
            view,
            key: self.key(at, normal) * light,
            open: light,
        };
        self.lamps.skin(&lit).times(colour) * light.sqrt()
            + self.lamps.shine(&lit, 0.25, 0.03) * light
    }

    fn rim(&self, at: Vec3, rest: Vec3, normal: Vec3, view: Vec3, open: f32) -> Vec3 {
        let skin = self.model.skin.at(rest).albedo;
        let nose = bell((rest.x.abs() - 1.75).powi(2), 0.45);
        let flesh = Vec3::new(0.46, 0.19, 0.16).lerp(skin, 0.45);
        let open = open.max(0.45) * lerp(0.7, 0.9, nose);
        let lit = Lit {
            normal,
            view,
            key: self.key(at, normal),
            open,
        };
        self.lamps.skin(&lit).times(flesh) + self.lamps.shine(&lit, 0.2, 0.03) * 0.8
    }

    fn eye(&self, at: Vec3, view: Vec3, open: f32, side: usize) -> Vec3 {
        let ball = &self.model.cage.eyes[side];
        let centre = self.posed.placement.apply(ball.centre);
        let turn = self.posed.placement.turn;
        let out = (at - centre).normalized();
        let [gx, gy] = self.posed.head.gaze;
        // The eyes meet a metre away.
        let meet = -ball.centre.x * 0.011;
        let axis = turn.apply(Vec3::new((gx + meet).sin(), gy.sin(), 1.0).normalized());
        let cos = out.dot(axis).clamp(-1.0, 1.0);
        let angle = cos.acos();
        let across = (out - axis * cos).normalized();
        let local = turn.transposed().apply(across);
        let round = local.y.atan2(local.x);
        let iris_edge = 0.50;
        let r = angle / iris_edge;
        let salt = noise::mix(self.config.seed as u32 ^ (0xe7e + side as u32));
        let iris = {
            let c = self.config.eye_colour;
            let base = Vec3::new(c[0], c[1], c[2]);
            let spokes = noise::fractal(
                Vec3::new(round.cos() * 6.0, round.sin() * 6.0, r * 1.6),
                3,
                salt,
            );
            let ring = 1.0 - 0.72 * smoothstep(0.78, 1.0, r);
            let inner = 1.0 + 0.45 * bell((r - 0.48).powi(2), 0.16);
            // Light gathers on the far side from the lamp.
            let toward = turn.transposed().apply(self.lamps.key);
            let gather = 1.0 - 0.45 * (local.x * toward.x + local.y * toward.y);
            base * ((0.85 + 0.65 * spokes) * ring * inner * gather * 0.85).max(0.04)
        };
        let pupil = smoothstep(0.40, 0.34, r);
        let white = {
            let vein = noise::fractal(out * 9.0, 3, salt ^ 5).abs();
            let far = smoothstep(0.55, 1.15, angle);
            Vec3::new(0.60, 0.57, 0.545)
                .lerp(Vec3::new(0.62, 0.46, 0.42), far * (0.30 + 0.5 * vein))
        };
        let edge = smoothstep(1.06, 0.93, r);
        let albedo = white.lerp(iris, edge) * (1.0 - pupil * 0.97);
        let shade = smoothstep(0.10, 0.62, open);
        // The upper lid and its lashes shade the eye below them.
        let up = turn.apply(Vec3::new(0.0, 1.0, 0.0));
        let lid = self.posed.points[EYELIDS[side][0][4]];
        let under = (lid - at).dot(up) - 0.12 * (at - lid).dot(at - lid);
        let shade = lerp(0.16, 1.0, shade) * lerp(0.38, 1.0, smoothstep(-0.08, 0.40, under));
        let key = lerp(
            0.35,
            1.0,
            self.shadow.soft(self.view, at + out * 0.1, 0.35, 0.25),
        );
        let lit = Lit {
            normal: out,
            view,
            key: key * shade,
            open: shade,
        };
        let mut colour = self.lamps.matt(&lit).times(albedo) * 0.92;
        // The cornea bulges: its normals spread faster than the eyeball's.
        let bulge = smoothstep(1.12, 0.9, r);
        let normal = (out + across * (angle.sin() * 0.75 * bulge)).normalized();
        let mirrored = normal * (2.0 * normal.dot(view)) - view;
        let window = |to: Vec3, size: f32| {
            let c = mirrored.dot(to);
            smoothstep(1.0 - size, 1.0 - 0.55 * size, c)
        };
        colour += self.lamps.key_colour * (0.55 * window(self.lamps.key, 0.035) * shade);
        colour += self.lamps.fill_colour * (0.22 * window(self.lamps.fill, 0.05) * shade);
        let grazing = (1.0 - normal.dot(view).max(0.0)).powi(4);
        colour + self.lamps.around(mirrored) * ((0.03 + 0.25 * grazing) * shade)
    }

    fn tooth(&self, at: Vec3, rest: Vec3, normal: Vec3, view: Vec3, gum: f32) -> Vec3 {
        let enamel = Vec3::new(0.66, 0.605, 0.50);
        let flesh = Vec3::new(0.44, 0.17, 0.155);
        let gum = smoothstep(0.35, 0.65, gum);
        let side = bell(rest.x * rest.x, 2.3);
        let light = self.inside(at) * lerp(0.45, 1.25, side);
        let lit = Lit {
            normal,
            view,
            key: self.key(at, normal) * light.min(1.0),
            open: light.min(1.0),
        };
        self.lamps.skin(&lit).times(enamel.lerp(flesh, gum)) * lerp(0.8, 1.0, side)
            + self.lamps.shine(&lit, 0.18, 0.04) * 0.6
    }

    fn tongue(&self, at: Vec3, rest: Vec3, normal: Vec3, view: Vec3) -> Vec3 {
        let rough = noise::fractal(rest * 9.0, 2, 77);
        let flesh = Vec3::new(0.52, 0.20, 0.19) * (1.0 + 0.15 * rough);
        let light = (self.inside(at) * 1.9).min(1.0);
        let lit = Lit {
            normal,
            view,
            key: self.key(at, normal) * light,
            open: light,
        };
        self.lamps.skin(&lit).times(flesh) + self.lamps.shine(&lit, 0.3, 0.03) * (0.7 * light)
    }

    /// Foam (tint 0), metal (1) or paper (2).
    fn prop(&self, at: Vec3, rest: Vec3, normal: Vec3, view: Vec3, tint: f32) -> Vec3 {
        let metal = smoothstep(0.4, 0.6, tint) * smoothstep(1.6, 1.4, tint);
        let paper = smoothstep(1.4, 1.6, tint);
        let grain = noise::value(rest * 7.0, 5);
        let rough = Vec3::splat(0.25 * grain * (1.0 - metal) * (1.0 - paper));
        let base = lerp(lerp(0.020, 0.10, metal), 0.62, paper);
        let lines = paper
            * smoothstep(0.55, 0.8, (rest.y * 5.0).sin())
            * smoothstep(5.0, 4.6, rest.x.abs());
        let normal = (normal + rough).normalized();
        let lit = Lit {
            normal,
            view,
            key: self.key(at, normal),
            open: 0.9,
        };
        self.lamps.matt(&lit) * (base * (1.0 - 0.45 * lines))
            + self
                .lamps
                .shine(&lit, lerp(0.7, 0.3, metal), lerp(0.03, 0.4, metal))
                * (1.0 - paper)
    }

    fn cloth(&self, at: Vec3, rest: Vec3, normal: Vec3, view: Vec3, open: f32, tint: f32) -> Vec3 {
        let c = self.config.cloth_colour;
        let mut base = Vec3::new(c[0], c[1], c[2]);
        let salt = noise::mix(self.config.seed as u32 ^ 0xc107);
        let (s, t) = (rest.x.atan2(rest.z + 6.0), rest.y);
        let fold = noise::fractal(
            Vec3::new(rest.x * 0.16, rest.y * 0.22, rest.z * 0.16),
            3,
            salt,
        );
        let mut slope = Vec3::new(
            noise::fractal(rest * 0.33 + Vec3::splat(9.0), 3, salt) * 0.22,
            noise::fractal(rest * 0.33 + Vec3::splat(31.0), 3, salt) * 0.22,
            0.0,
        );
        let collar = smoothstep(0.25, 0.75, tint);
        match self.config.clothing {
            Clothing::Tee => {
                slope += Vec3::splat(0.05 * noise::value(rest * 11.0, salt));
                // A ribbed band around the neck.
                let ribs = (s * 75.0).sin();
                base *= 1.0 - collar * (0.16 + 0.06 * ribs);
            }
            Clothing::Knit => {
                // Ribs downwards, closer on the collar.
                let radius = Vec3::new(rest.x, 0.0, rest.z + 6.0).length();
                let ribs = (s * radius * lerp(4.2, 5.5, collar)).sin();
                let rows = (t * 9.0 + (s * radius * 8.4).sin() * 0.8).sin();
                base *= 0.88 + 0.12 * ribs + 0.04 * rows;
                slope += Vec3::new(0.16 * (s * radius * 4.2).cos(), 0.05 * rows, 0.0);
            }
            Clothing::Jacket => {
                // An open front shows the shirt in a long V with lapels beside it.
                let front = rest.z > -6.0;
                let drop = (-12.0 - rest.y).max(0.0);
                let half = 5.4 - 0.23 * drop;
                let lapel = half + 3.1 * smoothstep(0.0, 5.0, drop) * smoothstep(17.0, 9.0, drop);
                let x = rest.x.abs();
                if front && x < half {
                    base = Vec3::new(0.66, 0.66, 0.66);
                    let button = bell(
                        rest.x * rest.x + ((rest.y * 0.22).fract().abs() - 0.5).powi(2) * 20.0,
                        0.25,
                    );
                    base *=
                        1.0 - 0.35 * bell(rest.x.abs() - 0.9, 0.08).min(1.0) * 0.5 - 0.2 * button;
                } else {
                    let edge = bell((x - lapel).powi(2), 0.16) + bell((x - half).powi(2), 0.22);
                    let near = if front { edge } else { 0.0 };
                    base *= 1.0 - 0.55 * near.min(1.0);
                    slope += Vec3::splat(0.05 * noise::value(rest * 8.0, salt ^ 3));
                }
            }
        }
        base *= 1.0 + 0.10 * fold;
        let normal = (normal - slope).normalized();
        let lit = Lit {
            normal,
            view,
            key: self.key(at, normal),
            open,
        };
        let fuzz = (1.0 - normal.dot(view).max(0.0)).powi(3) * 0.25;
        self.lamps.matt(&lit).times(base) * (1.0 + fuzz) + self.lamps.shine(&lit, 0.7, 0.03) * 0.25
    }
}
