//! The little linear algebra that Fréchet distances need: a pivoted Cholesky factor and the eigenvalues of a
//! symmetric matrix. Matrices are square, row by row, in double precision.

use rayon::prelude::*;

/// A factor `L` (`n` rows, `rank` columns) of a positive semi-definite matrix: `A = L Lᵀ` up to rounding. Columns
/// whose remaining diagonal is below rounding are left out, so that a matrix of low rank has a thin factor.
pub(crate) struct Factor {
    pub(crate) rank: usize,
    /// Row by row, `n * rank`.
    pub(crate) values: Vec<f64>,
}

/// Cholesky with diagonal pivoting (Higham, "Analysis of the Cholesky decomposition of a semi-definite matrix").
pub(crate) fn factor(a: &[f64], n: usize) -> Factor {
    let mut left: Vec<f64> = (0..n).map(|i| at(a, n, i, i)).collect();
    let largest = left.iter().copied().fold(0.0, f64::max);
    let least = largest * n as f64 * f64::EPSILON;
    // Columns as rows, so that every update walks along memory.
    let mut columns: Vec<Vec<f64>> = Vec::new();
    for _ in 0..n {
        let Some((pivot, &rest)) = left
            .iter()
            .enumerate()
            .max_by(|(i, a), (j, b)| a.total_cmp(b).then(j.cmp(i)))
        else {
            break;
        };
        if rest <= least || rest <= 0.0 {
            break;
        }
        let root = rest.sqrt();
        let mut column: Vec<f64> = a
            .get(pivot * n..(pivot + 1) * n)
            .unwrap_or_default()
            .to_vec();
        for earlier in &columns {
            let scale = earlier.get(pivot).copied().unwrap_or(0.0);
            for (value, other) in column.iter_mut().zip(earlier) {
                *value -= scale * other;
            }
        }
        for (index, (value, rest)) in column.iter_mut().zip(&mut left).enumerate() {
            // Finished pivots have an exact zero here.
            *value = if *rest == f64::NEG_INFINITY {
                0.0
            } else {
                *value / root
            };
            if index == pivot {
                *value = root;
                *rest = f64::NEG_INFINITY;
            } else if rest.is_finite() {
                *rest -= *value * *value;
            }
        }
        columns.push(column);
    }
    let rank = columns.len();
    let values = (0..n)
        .flat_map(|row| {
            columns
                .iter()
                .map(move |column| column.get(row).copied().unwrap_or(0.0))
        })
        .collect();
    Factor { rank, values }
}

/// Eigenvalues of a symmetric matrix, ascending: Householder's tridiagonal form, then QL steps with implicit shifts
/// (Golub and Van Loan, 8.3). `None` where the steps do not converge, which takes entries that are not finite.
pub(crate) fn eigenvalues(mut a: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    if a.len() != n * n || a.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let (mut diagonal, mut beside) = tridiagonal(&mut a, n);
    implicit_ql(&mut diagonal, &mut beside)?;
    diagonal.sort_by(f64::total_cmp);
    Some(diagonal)
}

/// Solves a linear system given as rows of the matrix with the right side at their ends: Gauss's elimination with
/// pivoting by columns. `None` where the matrix is singular.
pub(crate) fn solve(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = rows.len();
    let entry = |rows: &[Vec<f64>], i: usize, j: usize| -> f64 {
        rows.get(i)
            .and_then(|row| row.get(j))
            .copied()
            .unwrap_or(0.0)
    };
    for column in 0..n {
        let pivot = (column..n).max_by(|a, b| {
            let size = |row: usize| entry(&rows, row, column).abs();
            size(*a).total_cmp(&size(*b))
        })?;
        rows.swap(column, pivot);
        let leading = rows.get(column)?.clone();
        let head = leading.get(column).copied()?;
        if head == 0.0 || !head.is_finite() {
            return None;
        }
        for row in rows.iter_mut().skip(column + 1) {
            let factor = row.get(column)? / head;
            for (slot, value) in row.iter_mut().zip(&leading).skip(column) {
                *slot -= factor * value;
            }
        }
    }
    let mut solved = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n)
            .map(|j| entry(&rows, i, j) * solved.get(j).copied().unwrap_or(0.0))
            .sum();
        let value = (entry(&rows, i, n) - known) / entry(&rows, i, i);
        *solved.get_mut(i)? = value;
    }
    Some(solved)
}

fn at(a: &[f64], n: usize, row: usize, column: usize) -> f64 {
    a.get(row * n + column).copied().unwrap_or(0.0)
}

/// Several running sums, so that the processor need not wait for each addition; always in the same order.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (heads, tail) = a.as_chunks::<8>();
    let (others, rest) = b.as_chunks::<8>();
    for (x, y) in heads.iter().zip(others) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    let end: f64 = tail.iter().zip(rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + end
}

/// Reduces to a diagonal and the entries beside it (`n - 1` of them) by reflections from the last row up.
fn tridiagonal(a: &mut [f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut diagonal = vec![0.0; n];
    let mut beside = vec![0.0; n.saturating_sub(1)];
    for last in (1..n).rev() {
        // The reflection makes row `last` zero left of its neighbour.
        let mut u: Vec<f64> = a
            .get(last * n..last * n + last)
            .unwrap_or_default()
            .to_vec();
        let scale = u.iter().map(|value| value.abs()).fold(0.0, f64::max);
        let entry = u.last().copied().unwrap_or(0.0);
        if let Some(place) = diagonal.get_mut(last) {
            *place = at(a, n, last, last);
        }
        let norm = if scale > 0.0 {
            scale
                * u.iter()
                    .map(|value| (value / scale).powi(2))
                    .sum::<f64>()
                    .sqrt()
        } else {
            0.0
        };
        let others = u.iter().take(last - 1).any(|value| *value != 0.0);
        if norm == 0.0 || !others {
            if let Some(place) = beside.get_mut(last - 1) {
                *place = entry;
            }
            continue;
        }
        let target = if entry > 0.0 { -norm } else { norm };
        if let Some(place) = beside.get_mut(last - 1) {
            *place = target;
        }
        if let Some(value) = u.last_mut() {
            *value -= target;
        }
        let h = norm * norm - entry * target;
        let mut p: Vec<f64> = a
            .par_chunks(n)
            .take(last)
            .with_min_len(64)
            .map(|row| dot(row.get(..last).unwrap_or_default(), &u) / h)
            .collect();
        let k = dot(&u, &p) / (2.0 * h);
        for (p, u) in p.iter_mut().zip(&u) {
            *p -= k * u;
        }
        a.par_chunks_mut(n)
            .take(last)
            .with_min_len(64)
            .zip(u.par_iter().zip(&p))
            .for_each(|(row, (ui, pi))| {
                for ((value, u), p) in row.iter_mut().zip(&u).zip(&p) {
                    *value -= ui * p + pi * u;
                }
            });
    }
    if let Some(place) = diagonal.first_mut() {
        *place = at(a, n, 0, 0);
    }
    (diagonal, beside)
}

/// The eigenvalues of a tridiagonal matrix replace its diagonal.
fn implicit_ql(d: &mut [f64], beside: &mut [f64]) -> Option<()> {
    const MOST_STEPS: usize = 60;
    let n = d.len();
    let mut e = beside.to_vec();
    e.push(0.0);
    for start in 0..n {
        let mut steps = 0;
        loop {
            let mut end = start;
            while end + 1 < n {
                let size = d.get(end)?.abs() + d.get(end + 1)?.abs();
                if e.get(end)?.abs() <= f64::EPSILON * size {
                    break;
                }
                end += 1;
            }
            if end == start {
                break;
            }
            steps += 1;
            if steps > MOST_STEPS {
                return None;
            }
            let (here, next, off) = (*d.get(start)?, *d.get(start + 1)?, *e.get(start)?);
            let mut g = (next - here) / (2.0 * off);
            let r = g.hypot(1.0);
            g = *d.get(end)? - here + off / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut split = false;
            for i in (start..end).rev() {
                let (f, b) = (s * *e.get(i)?, c * *e.get(i)?);
                let r = f.hypot(g);
                *e.get_mut(i + 1)? = r;
                if r == 0.0 {
                    *d.get_mut(i + 1)? -= p;
                    *e.get_mut(end)? = 0.0;
                    split = true;
                    break;
                }
                s = f / r;
                c = g / r;
                g = *d.get(i + 1)? - p;
                let r = (*d.get(i)? - g) * s + 2.0 * c * b;
                p = s * r;
                *d.get_mut(i + 1)? = g + p;
                g = c * r - b;
            }
            if !split {
                *d.get_mut(start)? -= p;
                *e.get_mut(start)? = g;
                *e.get_mut(end)? = 0.0;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests;
