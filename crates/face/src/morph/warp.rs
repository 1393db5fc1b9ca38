//! A smooth warp of a box that takes given points to given places and leaves the border alone.
//!
//! Moving least squares with similarities (Schaefer et al. 2006, section 2.2), computed on
//! a coarse grid and interpolated between its nodes.

use crate::geometry::{Point, Rect};

/// Pixels between the nodes of the grid.
const STEP: f32 = 8.0;
/// Fixed points along each side of the box.
const FIXED: usize = 6;

/// The warp: how far every node is moved.
pub(super) struct Warp {
    left: f32,
    top: f32,
    columns: usize,
    rows: usize,
    moves: Vec<Point>,
}

impl Warp {
    /// The warp of `area` that takes `from` to `to`, point by point.
    pub(super) fn new(area: &Rect, from: &[Point], to: &[Point]) -> Self {
        let mut pairs: Vec<(Point, Point)> = from.iter().copied().zip(to.iter().copied()).collect();
        for i in 0..FIXED {
            let t = i as f32 / FIXED as f32;
            let (x, y) = (area.left + t * area.width(), area.top + t * area.height());
            let back = (
                area.right - t * area.width(),
                area.bottom - t * area.height(),
            );
            for fixed in [
                [x, area.top],
                [area.right, y],
                [back.0, area.bottom],
                [area.left, back.1],
            ] {
                pairs.push((fixed, fixed));
            }
        }
        let columns = (area.width() / STEP).ceil() as usize + 1;
        let rows = (area.height() / STEP).ceil() as usize + 1;
        let moves = (0..rows * columns)
            .map(|i| {
                let node = [
                    area.left + (i % columns) as f32 * STEP,
                    area.top + (i / columns) as f32 * STEP,
                ];
                let [x, y] = moved(node, &pairs);
                [x - node[0], y - node[1]]
            })
            .collect();
        Self {
            left: area.left,
            top: area.top,
            columns,
            rows,
            moves,
        }
    }

    /// Where a position of the box goes.
    pub(super) fn apply(&self, [x, y]: Point) -> Point {
        let cell = |value: f32, nodes: usize| {
            let value = (value / STEP).clamp(0.0, nodes.saturating_sub(1) as f32);
            let low = (value as usize).min(nodes.saturating_sub(2));
            (low, value - low as f32)
        };
        let (column, u) = cell(x - self.left, self.columns);
        let (row, v) = cell(y - self.top, self.rows);
        let at = |row: usize, column: usize| {
            let found = self.moves.get(row * self.columns + column);
            found.copied().unwrap_or([0.0; 2])
        };
        let (a, b) = (at(row, column), at(row, column + 1));
        let (c, d) = (at(row + 1, column), at(row + 1, column + 1));
        let mix = |i: usize| {
            let upper = a[i] + (b[i] - a[i]) * u;
            let lower = c[i] + (d[i] - c[i]) * u;
            upper + (lower - upper) * v
        };
        [x + mix(0), y + mix(1)]
    }
}

/// Where the similarity that fits the pairs best around `at` takes it; near pairs count more.
fn moved(at: Point, pairs: &[(Point, Point)]) -> Point {
    let weight = |p: Point| {
        let square = (p[0] - at[0]).powi(2) + (p[1] - at[1]).powi(2);
        1.0 / (square + 1.0)
    };
    let mut total = 0.0;
    let (mut p_mean, mut q_mean) = ([0.0; 2], [0.0; 2]);
    for &(p, q) in pairs {
        let w = weight(p);
        total += w;
        for i in 0..2 {
            p_mean[i] += w * p[i];
            q_mean[i] += w * q[i];
        }
    }
    if total <= 0.0 {
        return at;
    }
    for i in 0..2 {
        p_mean[i] /= total;
        q_mean[i] /= total;
    }
    let (mut spread, mut dot, mut cross) = (0.0, 0.0, 0.0);
    for &(p, q) in pairs {
        let w = weight(p);
        let (px, py) = (p[0] - p_mean[0], p[1] - p_mean[1]);
        let (qx, qy) = (q[0] - q_mean[0], q[1] - q_mean[1]);
        spread += w * (px * px + py * py);
        dot += w * (px * qx + py * qy);
        cross += w * (px * qy - py * qx);
    }
    if spread <= 0.0 {
        return at;
    }
    let (a, b) = (dot / spread, cross / spread);
    let (x, y) = (at[0] - p_mean[0], at[1] - p_mean[1]);
    [a * x - b * y + q_mean[0], b * x + a * y + q_mean[1]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::distance;

    #[test]
    fn points_go_where_they_should_and_the_border_stays() {
        let area = Rect::new(10.0, 20.0, 210.0, 220.0);
        let from: Vec<Point> = (0..25)
            .map(|i| [70.0 + (i % 5) as f32 * 20.0, 80.0 + (i / 5) as f32 * 20.0])
            .collect();
        let to: Vec<Point> = from.iter().map(|p| [p[0] + 9.0, p[1] - 5.0]).collect();
        let warp = Warp::new(&area, &from, &to);
        for (p, q) in from.iter().zip(&to) {
            assert!(
                distance(warp.apply(*p), *q) < 1.2,
                "{p:?} {:?}",
                warp.apply(*p)
            );
        }
        for corner in [[10.0, 20.0], [210.0, 20.0], [210.0, 220.0], [10.0, 220.0]] {
            assert!(distance(warp.apply(corner), corner) < 1.0);
        }
    }

    #[test]
    fn points_that_stay_move_nothing() {
        let area = Rect::new(0.0, 0.0, 90.0, 70.0);
        let points = [[30.0, 30.0], [60.0, 30.0], [45.0, 55.0]];
        let warp = Warp::new(&area, &points, &points);
        for at in [[0.5, 0.5], [44.0, 31.0], [89.5, 69.5]] {
            assert!(distance(warp.apply(at), at) < 1e-3);
        }
    }
}
