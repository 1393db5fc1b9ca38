//! A cage in a given expression: lips, jaw, eyelids and brows.

use crate::cage::{Cage, HINGE};
use crate::canonical::{self, EYELIDS, LOWER_LIP, UPPER_LIP};
use crate::motion::HeadPose;
use crate::mouth::MouthShape;
use crate::vec::{Vec3, bell, lerp, smoothstep};

/// Angle of a fully open jaw in radians.
const JAW: f32 = 0.225;

/// Turns `p` about the jaw's hinge by `angle`, chin downwards.
pub(crate) fn turn_jaw(p: Vec3, angle: f32) -> Vec3 {
    let (sin, cos) = angle.sin_cos();
    let (y, z) = (p.y - HINGE.y, p.z - HINGE.z);
    Vec3::new(
        p.x,
        HINGE.y + y * cos - z * sin,
        HINGE.z + y * sin + z * cos,
    )
}

/// Angle of the jaw for a mouth shape. It can't close further than the teeth allow.
pub(crate) fn jaw_angle(mouth: &MouthShape) -> f32 {
    JAW * mouth.jaw.clamp(-0.02, 1.2)
}

impl Cage {
    /// The cage's points in head space.
    pub(crate) fn posed(&self, mouth: &MouthShape, head: &HeadPose) -> Vec<Vec3> {
        let mut points = self.rest.clone();
        self.move_lips(&mut points, mouth, head);
        let angle = jaw_angle(mouth);
        for (p, &share) in points.iter_mut().zip(&self.jaw) {
            if share > 0.0 {
                *p = turn_jaw(*p, angle * share);
            }
        }
        Self::tuck_lip(&mut points, mouth.tuck);
        Self::press_lips(&mut points, mouth.closed);
        self.raise_brows(&mut points, head.brows);
        for side in 0..2 {
            self.move_lids(&mut points, side, head);
        }
        self.place_mouth_rings(&mut points);
        points
    }

    fn corner_line(&self) -> (f32, f32) {
        let right = self.rest[UPPER_LIP[0][0]];
        let left = self.rest[UPPER_LIP[0][10]];
        (0.5 * (right.y + left.y), 0.5 * (left.x - right.x))
    }

    /// Width, rounding, smile, and the lips' own raising and lowering.
    fn move_lips(&self, points: &mut [Vec3], mouth: &MouthShape, head: &HeadPose) {
        let (middle, half) = self.corner_line();
        let smile = head.smile * (1.0 - 0.5 * mouth.round);
        for (p, r) in points.iter_mut().zip(&self.rest).take(canonical::POINTS) {
            let dy = r.y - middle;
            let side = r.x.abs() / half;
            let beyond = (side - 1.0).max(0.0) / 0.75;
            let wide = bell(beyond * beyond + (dy / 2.3) * (dy / 2.3), 1.0);
            let sway = (r.x / half).clamp(-1.2, 1.2);
            p.x += 0.42 * mouth.width * sway * wide;
            p.z -= 0.20 * mouth.width.max(0.0) * side.min(1.2).powi(2) * wide;
            let near = bell((side / 1.15).powi(2) + (dy / 1.55).powi(2), 1.0);
            p.x *= 1.0 - 0.26 * mouth.round * near;
            p.z += 0.62 * mouth.round * near;
            let corner = bell(
                ((side - 1.0) / 0.55).powi(2) + ((dy - 0.2) / 1.5).powi(2),
                1.0,
            );
            *p += Vec3::new(0.30 * r.x.signum(), 0.42, -0.12) * (smile * corner);
            // Smiling cheeks bunch up under the eyes.
            let apple = bell(
                ((r.x.abs() - 4.1) / 1.6).powi(2) + ((dy - 3.2) / 1.3).powi(2),
                1.0,
            );
            *p += Vec3::new(0.0, 0.22, 0.22) * (smile * apple);
            let philtrum = bell((side / 0.9).powi(2) + ((dy - 1.2) / 0.7).powi(2), 1.0);
            p.y += 0.10 * mouth.upper * philtrum;
            let chin = bell((side / 1.0).powi(2) + ((dy + 1.6) / 0.8).powi(2), 1.0);
            p.y -= 0.12 * mouth.lower * chin;
        }
        for column in 1..10 {
            let s = (column as f32 - 5.0) / 5.0;
            let taper = (1.0 - s * s).sqrt();
            for row in 0..4 {
                let share = [0.55, 0.75, 0.95, 1.0][row] * taper;
                let upper = &mut points[UPPER_LIP[row][column]];
                upper.y += 0.24 * mouth.upper * share;
                upper.z += 0.06 * mouth.upper * taper;
                let lower = &mut points[LOWER_LIP[row][column]];
                lower.y -= 0.30 * mouth.lower * share;
                lower.z += 0.08 * mouth.lower * taper;
                // Rounded lips turn out.
                let turn = [0.16, 0.10, 0.0, -0.06][row] * mouth.round * taper;
                points[UPPER_LIP[row][column]].y += 0.4 * turn;
                points[LOWER_LIP[row][column]].y -= 0.6 * turn;
            }
        }
    }

    /// The lower lip goes up to the edge of the upper teeth and in under it.
    fn tuck_lip(points: &mut [Vec3], tuck: f32) {
        if tuck <= 0.0 {
            return;
        }
        for column in 1..10 {
            let s = (column as f32 - 5.0) / 5.0;
            let taper = (1.0 - s * s).sqrt();
            let edge = points[UPPER_LIP[3][column]];
            let own = points[LOWER_LIP[3][column]];
            let rise = (edge.y - 0.13 - own.y) * taper;
            let back = (edge.z - 0.42 - own.z).min(0.0) * taper;
            for row in 0..4 {
                let p = &mut points[LOWER_LIP[row][column]];
                p.y += tuck * rise * [0.45, 0.65, 0.85, 1.0][row];
                p.z += tuck * back * [0.15, 0.4, 0.8, 1.0][row];
                // A little of the upper teeth shows over the lower lip.
                let upper = &mut points[UPPER_LIP[row][column]];
                upper.y += tuck * taper * [0.06, 0.12, 0.17, 0.19][row];
            }
        }
    }

    /// Brings the lips together by `closed`; at 1 they overlap by a hair's breadth, so
    /// that no gap is left after smoothing.
    fn press_lips(points: &mut [Vec3], closed: f32) {
        if closed <= 0.0 {
            return;
        }
        for column in 0..11 {
            let (u, l) = (points[UPPER_LIP[3][column]], points[LOWER_LIP[3][column]]);
            let s = (column as f32 - 5.0) / 5.0;
            let overlap = 0.16 * (1.0 - s * s).sqrt();
            let down = (0.45 * (u.y - l.y)).clamp(0.0, 0.30);
            let meet = u.y - down;
            let depth = 0.5 * (u.z + l.z);
            for row in 0..4 {
                let share = closed * [0.30, 0.62, 0.90, 1.0][row];
                let upper = &mut points[UPPER_LIP[row][column]];
                upper.y += share * (meet - 0.5 * overlap - u.y);
                upper.z += share * (0.6 * (depth - u.z) - 0.03);
                if LOWER_LIP[row][column] != UPPER_LIP[row][column] {
                    let share = closed * [0.45, 0.75, 0.93, 1.0][row];
                    let lower = &mut points[LOWER_LIP[row][column]];
                    lower.y += share * (meet + 0.5 * overlap - l.y);
                    lower.z += share * (0.6 * (depth - l.z) - 0.03);
                }
            }
        }
    }

    fn raise_brows(&self, points: &mut [Vec3], amount: f32) {
        for (p, r) in points.iter_mut().zip(&self.rest).take(canonical::POINTS) {
            let dx = (r.x.abs() - 3.4) / 2.6;
            let dy = (r.y - 4.9) / 1.25;
            p.y += 0.34 * amount * bell(dx * dx + dy * dy, 1.0);
        }
    }

    /// Eyelids on the eyeball, and the skin that follows the upper one.
    fn move_lids(&self, points: &mut [Vec3], side: usize, head: &HeadPose) {
        let [upper, lower] = EYELIDS[side];
        let eye = self.eyes[side];
        let down = (-head.gaze[1]).clamp(-0.3, 0.5);
        let mut moved = [Vec3::ZERO; 9];
        for column in 1..8 {
            let taper = (std::f32::consts::PI * column as f32 / 8.0).sin().powf(0.7);
            let (u, l) = (self.rest[upper[column]], self.rest[lower[column]]);
            let open = u.y + (0.08 + 0.06 * head.brows - 0.45 * down) * taper;
            let low = l.y + (0.05 + 0.10 * head.smile) * taper;
            let y = lerp(open, low + 0.03, head.blink);
            let to = on_eyeball(Vec3::new(u.x, y, u.z), eye.centre, eye.radius + 0.085);
            let below = on_eyeball(
                Vec3::new(l.x, low - 0.10 * taper * (1.0 - head.blink), l.z),
                eye.centre,
                eye.radius + 0.07,
            );
            moved[column] = to - points[upper[column]];
            points[upper[column]] = to;
            points[lower[column]] = below;
        }
        for follower in &self.lid_followers[side] {
            let shift = follower
                .columns
                .iter()
                .fold(Vec3::ZERO, |sum, &(c, w)| sum + moved[c] * w);
            let p = points[follower.point] + shift;
            let d = p - eye.centre;
            let least = eye.radius + 0.16;
            let across = d.x * d.x + d.y * d.y;
            let surface = eye.centre.z + (least * least - across).max(0.0).sqrt();
            let keep = if across < least * least {
                p.z.max(surface)
            } else {
                p.z
            };
            points[follower.point] = Vec3::new(p.x, p.y, keep);
        }
        let [rim, tuck] = &self.lid_rings[side][..] else {
            return;
        };
        for (k, &i) in rim.edge.iter().enumerate() {
            let p = points[i];
            points[rim.first + k] = p + Vec3::new(0.0, 0.0, -0.10);
            let d = (points[rim.first + k] - eye.centre).normalized();
            points[tuck.first + k] = eye.centre + d * (eye.radius * 0.96);
        }
    }

    fn place_mouth_rings(&self, points: &mut [Vec3]) {
        let columns = self.mouth_rings.first().map_or(0, |r| r.edge.len());
        let middle = 0.5 * (points[UPPER_LIP[3][5]].y + points[LOWER_LIP[3][5]].y);
        for k in 0..columns {
            for (ring, grown) in self.mouth_rings.iter().enumerate() {
                let p = points[grown.edge[k]];
                // The lower lip is the loop's first half.
                let away = if k > 10 { 1.0 } else { -1.0 };
                let inner = (k as f32 * 0.1 * std::f32::consts::PI).sin().abs();
                points[grown.first + k] = match ring {
                    0 => p + Vec3::new(0.0, 0.05 * away * inner, -0.26),
                    1 => p + Vec3::new(0.04 * p.x, 0.85 * away * inner, -0.40),
                    2 => p + Vec3::new(0.12 * p.x, 1.1 * away * inner, -2.2),
                    _ => Vec3::new(p.x * 0.6, middle + 0.9 * away * inner, p.z - 5.0),
                };
            }
        }
    }
}

/// Brings a point in front of an eyeball onto a sphere around it; points beside the
/// eyeball keep their depth.
fn on_eyeball(p: Vec3, centre: Vec3, radius: f32) -> Vec3 {
    let (dx, dy) = (p.x - centre.x, p.y - centre.y);
    let across = dx * dx + dy * dy;
    let sphere = centre.z + (radius * radius - across).max(0.0).sqrt();
    let on = smoothstep(1.12, 0.80, across.sqrt() / radius);
    Vec3::new(p.x, p.y, lerp(p.z, sphere, on))
}
