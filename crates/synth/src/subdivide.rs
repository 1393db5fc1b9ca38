//! Loop subdivision as a fixed linear map from a coarse cage to a fine surface.
//!
//! Charles Loop, "Smooth subdivision surfaces based on triangles" (1987), with the
//! usual cubic B-spline rule along open edges. The map is computed once; a new pose of
//! the cage then costs one sparse product.

use std::collections::BTreeMap;

use crate::vec::Vec3;

/// A fine surface whose points are fixed weighted sums of a cage's points.
#[derive(Debug, Clone)]
pub(crate) struct Subdivision {
    /// Start of each fine point's terms in `terms`, and one end.
    starts: Vec<u32>,
    terms: Vec<(u32, f32)>,
    /// Triangles of the fine surface.
    pub(crate) triangles: Vec<[u32; 3]>,
    /// The cage triangle that each fine triangle lies in.
    pub(crate) parents: Vec<u32>,
}

type Row = Vec<(u32, f32)>;

impl Subdivision {
    /// Subdivides a cage of `points` points `levels` times. The first `points` fine
    /// points correspond to the cage's.
    pub(crate) fn new(points: usize, triangles: &[[u32; 3]], levels: u32) -> Self {
        let mut rows: Vec<Row> = (0..points as u32).map(|i| vec![(i, 1.0)]).collect();
        let mut triangles = triangles.to_vec();
        let mut parents: Vec<u32> = (0..triangles.len() as u32).collect();
        for _ in 0..levels {
            let (step, next) = one_level(rows.len(), &triangles);
            rows = step.iter().map(|row| compose(row, &rows)).collect();
            triangles = next;
            parents = parents.iter().flat_map(|&p| [p; 4]).collect();
        }
        let mut starts = vec![0];
        let mut terms = Vec::new();
        for row in rows {
            terms.extend(row);
            starts.push(terms.len() as u32);
        }
        Self {
            starts,
            terms,
            triangles,
            parents,
        }
    }

    /// Number of fine points.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The fine points of a posed cage.
    pub(crate) fn points(&self, cage: &[Vec3]) -> Vec<Vec3> {
        self.rows()
            .map(|row| {
                row.iter()
                    .fold(Vec3::ZERO, |sum, &(i, w)| sum + cage[i as usize] * w)
            })
            .collect()
    }

    /// One number per fine point from one per cage point.
    pub(crate) fn values(&self, cage: &[f32]) -> Vec<f32> {
        self.rows()
            .map(|row| row.iter().map(|&(i, w)| cage[i as usize] * w).sum())
            .collect()
    }

    fn rows(&self) -> impl Iterator<Item = &[(u32, f32)]> {
        self.starts
            .windows(2)
            .map(|s| &self.terms[s[0] as usize..s[1] as usize])
    }
}

fn compose(row: &Row, inner: &[Row]) -> Row {
    let mut sum: BTreeMap<u32, f32> = BTreeMap::new();
    for &(i, w) in row {
        for &(j, v) in &inner[i as usize] {
            *sum.entry(j).or_default() += w * v;
        }
    }
    sum.into_iter().collect()
}

fn edge(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}

fn one_level(points: usize, triangles: &[[u32; 3]]) -> (Vec<Row>, Vec<[u32; 3]>) {
    // For every edge the points opposite it: two inside, one on the border.
    let mut opposite: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
    for &[a, b, c] in triangles {
        opposite.entry(edge(a, b)).or_default().push(c);
        opposite.entry(edge(b, c)).or_default().push(a);
        opposite.entry(edge(c, a)).or_default().push(b);
    }
    let mut around: Vec<Vec<u32>> = vec![Vec::new(); points];
    let mut border: Vec<Vec<u32>> = vec![Vec::new(); points];
    let mut middle: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    let mut rows: Vec<Row> = vec![Vec::new(); points];
    for (&(a, b), third) in &opposite {
        around[a as usize].push(b);
        around[b as usize].push(a);
        middle.insert((a, b), rows.len() as u32);
        if let [c, d] = third[..] {
            rows.push(vec![(a, 0.375), (b, 0.375), (c, 0.125), (d, 0.125)]);
        } else {
            border[a as usize].push(b);
            border[b as usize].push(a);
            rows.push(vec![(a, 0.5), (b, 0.5)]);
        }
    }
    for i in 0..points {
        let own = i as u32;
        rows[i] = if let [a, b] = border[i][..] {
            vec![(own, 0.75), (a, 0.125), (b, 0.125)]
        } else if around[i].is_empty() || !border[i].is_empty() {
            vec![(own, 1.0)]
        } else {
            let n = around[i].len() as f32;
            let c = 0.375 + 0.25 * (std::f32::consts::TAU / n).cos();
            let beta = (0.625 - c * c) / n;
            std::iter::once((own, 1.0 - n * beta))
                .chain(around[i].iter().map(|&j| (j, beta)))
                .collect()
        };
    }
    let next = triangles
        .iter()
        .flat_map(|&[a, b, c]| {
            let m = |a, b| middle.get(&edge(a, b)).copied().unwrap_or(a);
            let (ab, bc, ca) = (m(a, b), m(b, c), m(c, a));
            [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]
        })
        .collect();
    (rows, next)
}

/// Unit normals of `points`, averaged over the triangles at each by area.
pub(crate) fn normals(points: &[Vec3], triangles: &[[u32; 3]]) -> Vec<Vec3> {
    let mut sums = vec![Vec3::ZERO; points.len()];
    for t in triangles {
        let [a, b, c] = t.map(|i| points[i as usize]);
        let n = (b - a).cross(c - a);
        for &i in t {
            sums[i as usize] += n;
        }
    }
    sums.iter().map(|n| n.normalized()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_every_point_sum_to_one() {
        let tetrahedron = [[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]];
        let fine = Subdivision::new(4, &tetrahedron, 2);
        assert_eq!(fine.triangles.len(), 64);
        assert_eq!(fine.len(), 34);
        for value in fine.values(&[1.0; 4]) {
            assert!((value - 1.0).abs() < 1e-5, "{value}");
        }
    }

    #[test]
    fn an_open_edge_stays_on_its_own_line() {
        // A square in two triangles: border points may only mix border points.
        let fine = Subdivision::new(4, &[[0, 1, 2], [0, 2, 3]], 2);
        let square =
            [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].map(|(x, y)| Vec3::new(x, y, 0.0));
        for p in fine.points(&square) {
            assert!(
                (0.0..=1.0).contains(&p.x) && (0.0..=1.0).contains(&p.y),
                "{p:?}"
            );
        }
    }
}
