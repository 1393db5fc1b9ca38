//! Triangles and thin lines into bands of samples: which surface each sample sees.

use crate::vec::Vec3;

/// A pinhole camera on the z axis, looking along -z.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Camera {
    /// Point that the middle of the picture shows, and its distance.
    pub(crate) target: Vec3,
    pub(crate) distance: f32,
    /// Samples per centimetre at the target's distance.
    pub(crate) scale: f32,
    /// Size of the picture in samples.
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// A point as the camera sees it: sample position and 1/distance.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Seen {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) near: f32,
}

impl Camera {
    pub(crate) fn see(&self, p: Vec3) -> Seen {
        let d = p - self.target;
        let near = 1.0 / (self.distance - d.z).max(1.0);
        let scale = self.scale * self.distance * near;
        Seen {
            x: 0.5 * self.width as f32 + d.x * scale,
            y: 0.5 * self.height as f32 - d.y * scale,
            near,
        }
    }

    /// Where the camera stands.
    pub(crate) fn eye(&self) -> Vec3 {
        self.target + Vec3::new(0.0, 0.0, self.distance)
    }
}

/// What a sample sees: nothing, a triangle or a line.
pub(crate) const NOTHING: u32 = u32::MAX;
/// Set in the index of a line.
pub(crate) const LINE: u32 = 1 << 31;

/// Horizontal stripe of samples with depth.
pub(crate) struct Band {
    pub(crate) width: usize,
    pub(crate) top: usize,
    pub(crate) rows: usize,
    pub(crate) near: Vec<f32>,
    pub(crate) what: Vec<u32>,
}

impl Band {
    pub(crate) fn new(width: usize, top: usize, rows: usize) -> Self {
        Self {
            width,
            top,
            rows,
            near: vec![0.0; width * rows],
            what: vec![NOTHING; width * rows],
        }
    }

    /// Draws a triangle as index `id`, both sides.
    pub(crate) fn triangle(&mut self, t: [Seen; 3], id: u32) {
        let [a, b, c] = t;
        let area = (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y);
        if area.abs() < 1e-9 {
            return;
        }
        let inv = 1.0 / area;
        let top = self.top as f32;
        let low_y = (a.y.min(b.y).min(c.y) - top + 0.5).max(0.0) as usize;
        let high_y = ((a.y.max(b.y).max(c.y) - top + 0.5).max(0.0) as usize).min(self.rows);
        let low_x = (a.x.min(b.x).min(c.x) + 0.5).max(0.0) as usize;
        let high_x = ((a.x.max(b.x).max(c.x) + 0.5).max(0.0) as usize).min(self.width);
        if low_y >= high_y || low_x >= high_x {
            return;
        }
        // Barycentric weights of b and c and the depth are affine in x and y.
        let (bx, by) = ((c.y - a.y) * inv, -(c.x - a.x) * inv);
        let (cx, cy) = (-(b.y - a.y) * inv, (b.x - a.x) * inv);
        let (nb, nc) = (b.near - a.near, c.near - a.near);
        for row in low_y..high_y {
            let py = row as f32 + top + 0.5 - a.y;
            let line = row * self.width;
            let px = low_x as f32 + 0.5 - a.x;
            let (mut wb, mut wc) = (px * bx + py * by, px * cx + py * cy);
            for column in low_x..high_x {
                if wb >= 0.0 && wc >= 0.0 && wb + wc <= 1.0 {
                    let near = a.near + wb * nb + wc * nc;
                    let at = line + column;
                    if near > self.near[at] {
                        self.near[at] = near;
                        self.what[at] = id;
                    }
                }
                wb += bx;
                wc += cx;
            }
        }
    }

    /// Draws a line `thick` samples wide (1 at least) as index `id`.
    pub(crate) fn line(&mut self, from: Seen, to: Seen, thick: i32, id: u32) {
        const ONE: f32 = 65536.0;
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        let long = dx.abs().max(dy.abs());
        let limit = 16_000.0;
        let farthest = from
            .x
            .abs()
            .max(from.y.abs())
            .max(to.x.abs())
            .max(to.y.abs());
        // Also refuses places that are not numbers.
        if farthest.is_nan() || farthest >= limit {
            return;
        }
        let steps = long as i32 + 1;
        let inv = 1.0 / steps as f32;
        // 16.16 fixed point: no rounding calls in the innermost loop.
        let (step_x, step_y) = ((dx * inv * ONE) as i32, (dy * inv * ONE) as i32);
        let across = dx.abs() < dy.abs();
        let back = 0.5 * (thick - 1) as f32;
        let (shift_x, shift_y) = if across { (back, 0.0) } else { (0.0, back) };
        let mut x = ((from.x + 0.5 * dx * inv - shift_x) * ONE) as i32;
        let mut y = ((from.y + 0.5 * dy * inv - shift_y - self.top as f32) * ONE) as i32;
        let step_near = (to.near - from.near) * inv;
        let mut near = from.near + 0.5 * step_near;
        let (width, rows) = (self.width as i32, self.rows as i32);
        for _ in 0..steps {
            let (mut px, mut py) = (x >> 16, y >> 16);
            for _ in 0..thick {
                if px >= 0 && px < width && py >= 0 && py < rows {
                    let at = (py * width + px) as usize;
                    if near > self.near[at] {
                        self.near[at] = near;
                        self.what[at] = id;
                    }
                }
                if across {
                    px += 1;
                } else {
                    py += 1;
                }
            }
            x += step_x;
            y += step_y;
            near += step_near;
        }
    }
}

/// Weights of a triangle's corners at a sample, with perspective undone.
pub(crate) fn weights(t: [Seen; 3], x: f32, y: f32) -> [f32; 3] {
    let [a, b, c] = t;
    let area = (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y);
    let inv = 1.0 / area;
    let (px, py) = (x - a.x, y - a.y);
    let wb = (px * (c.y - a.y) - py * (c.x - a.x)) * inv;
    let wc = (py * (b.x - a.x) - px * (b.y - a.y)) * inv;
    let flat = [(1.0 - wb - wc) * a.near, wb * b.near, wc * c.near];
    let sum = 1.0 / (flat[0] + flat[1] + flat[2]);
    flat.map(|w| w * sum)
}

/// For every band of `rows` samples the indices of the items whose vertical extent
/// `(top, bottom)` touches it, in order.
pub(crate) fn bins(
    extents: impl Iterator<Item = (f32, f32)>,
    bands: usize,
    rows: usize,
) -> Vec<Vec<u32>> {
    let mut bins = vec![Vec::new(); bands];
    for (i, (top, bottom)) in extents.enumerate() {
        if bottom < 0.0 || !top.is_finite() || !bottom.is_finite() {
            continue;
        }
        let first = (top.max(0.0) / rows as f32) as usize;
        let last = ((bottom / rows as f32) as usize).min(bands.saturating_sub(1));
        for bin in bins.iter_mut().take(last + 1).skip(first) {
            bin.push(i as u32);
        }
    }
    bins
}
