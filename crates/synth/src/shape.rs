//! The form of a person's face: smooth warps of the canonical face.

use crate::canonical::{self, LOWER_LIP, UPPER_LIP};
use crate::config::HeadConfig;
use crate::vec::{Vec3, bell, smoothstep};

/// Weight of a bump at `centre` with different reach along the three axes.
fn around(p: Vec3, centre: Vec3, reach: Vec3) -> f32 {
    let d = p - centre;
    let q = Vec3::new(d.x / reach.x, d.y / reach.y, d.z / reach.z);
    bell(q.dot(q), 1.0)
}

/// The canonical face in a person's form, in centimetres, mouth closed.
pub(crate) fn face_points(config: &HeadConfig) -> Vec<Vec3> {
    let mut points = canonical::points();
    close_mouth(&mut points);
    for p in &mut points {
        *p = warp(*p, config);
    }
    points
}

/// The canonical mouth is half a centimetre open: the lower lip comes up to meet the
/// upper one and the chin follows a little.
fn close_mouth(points: &mut [Vec3]) {
    let rest = points.to_vec();
    let upper = UPPER_LIP[3];
    let lower = LOWER_LIP[3];
    let is_lip = |i: usize| {
        UPPER_LIP
            .iter()
            .chain(&LOWER_LIP)
            .any(|row| row.contains(&i))
    };
    for (i, p) in points.iter_mut().enumerate() {
        if !is_lip(i) {
            let below = smoothstep(-4.9, -5.6, p.y);
            p.y += below * 0.42 * around(*p, Vec3::new(0.0, -5.6, 5.0), Vec3::new(3.4, 4.0, 4.0));
        }
    }
    for column in 1..10 {
        let gap = rest[upper[column]] - rest[lower[column]];
        for row in 0..4 {
            let share = [0.74, 0.84, 0.92, 0.93][row];
            points[LOWER_LIP[row][column]] += gap * share;
            points[UPPER_LIP[row][column]] += gap * -[0.04, 0.08, 0.13, 0.16][row];
        }
    }
}

fn warp(p: Vec3, config: &HeadConfig) -> Vec3 {
    let s = &config.shape;
    let m = config.masculine;
    let mut q = p;
    let side = p.x.signum();
    let nose = around(p, Vec3::new(0.0, 0.3, 6.6), Vec3::new(1.9, 3.2, 2.6));
    // Below the nose everything slides with the length of nose and chin.
    let below_nose = smoothstep(0.5, -2.4, p.y);
    let below_mouth = smoothstep(-4.6, -8.0, p.y);
    q.y -= below_nose * (0.30 * s.nose_length + 0.12 * m);
    q.y -= below_mouth * (0.45 * s.chin + 0.25 * m);
    q.z += below_mouth * 0.45 * s.chin_forward * smoothstep(4.5, 1.0, p.x.abs());
    // Jaw: breadth below the ears, square when masculine.
    let jaw = smoothstep(-1.5, -6.0, p.y) * smoothstep(1.0, 4.5, p.x.abs());
    q.x += side * jaw * (0.34 * s.jaw + 0.55 * m - 0.50);
    // Cheek bones and cheeks.
    let bone = around(p, Vec3::new(side * 5.4, 0.6, 2.6), Vec3::new(2.2, 1.7, 3.0));
    q += Vec3::new(side * 0.20, 0.0, 0.22) * (bone * s.cheekbones);
    let cheek = around(
        p,
        Vec3::new(side * 4.4, -2.6, 2.8),
        Vec3::new(2.2, 2.2, 3.0),
    );
    q += Vec3::new(side * 0.26, 0.0, 0.20) * (cheek * (s.cheeks - 0.3 * config.age));
    // Nose.
    let wings = around(
        p,
        Vec3::new(side * 1.3, -1.3, 5.8),
        Vec3::new(1.1, 1.2, 1.6),
    );
    q.x += side * wings * 0.17 * s.nose_width;
    let bridge = around(p, Vec3::new(0.0, 2.0, 5.9), Vec3::new(1.0, 2.0, 1.8));
    q.z += bridge * (0.20 * s.nose_bridge + 0.10 * m);
    let tip = around(p, Vec3::new(0.0, -0.8, 7.4), Vec3::new(1.2, 1.2, 1.6));
    q.y += tip * 0.22 * s.nose_tip;
    q.z += nose * (0.10 * s.nose_length - 0.04);
    // Eyes: scaled and slanted about their own centres.
    let eye = Vec3::new(side * 3.16, 2.62, 3.7);
    let near_eye = around(p, eye, Vec3::new(2.0, 1.3, 2.0));
    let size = 0.19 - 0.08 * m + 0.05 * s.eye_size;
    q.x += near_eye * (p.x - eye.x) * (size + 0.03);
    q.y += near_eye * ((p.y - eye.y) * size * 1.3 + side * (p.x - eye.x) * 0.055 * s.eye_slant);
    q.x += side * around(p, eye, Vec3::new(2.4, 1.8, 3.0)) * 0.13 * s.eye_spacing;
    // Brow ridge; soft faces have a rounder forehead.
    let ridge = around(p, Vec3::new(side * 2.6, 4.3, 4.6), Vec3::new(2.6, 0.9, 2.2));
    q.z += ridge * (0.17 * s.brow_ridge + 0.16 * m - 0.06);
    q.y -= ridge * 0.18 * m;
    // Lips: rows spread away from the line between them.
    let mouth = around(p, Vec3::new(0.0, -4.2, 5.4), Vec3::new(2.6, 1.2, 2.0));
    q.y += mouth * (p.y + 4.07) * (0.17 * s.lip_fullness - 0.16 * m + 0.10);
    q.z += mouth * 0.10 * (s.lip_fullness - m);
    let corner = around(
        p,
        Vec3::new(side * 2.3, -4.3, 4.3),
        Vec3::new(1.5, 1.2, 2.0),
    );
    q.x += side * corner * (0.16 * s.mouth_width + 0.05);
    q.y += 0.20 * corner;
    // Whole head.
    q.x *= 0.975 + 0.02 * m + 0.025 * s.breadth;
    q.y *= 1.0 + 0.02 * s.length;
    // No face is the same on both sides.
    q.y += s.asymmetry * (0.012 * mouth * p.x + 0.05 * side * near_eye);
    q.x += s.asymmetry * 0.07 * nose;
    q
}
