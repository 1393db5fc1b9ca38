//! Eigenvectors of a small symmetric matrix, by Jacobi's rotations.

/// Eigenvalues, largest first, with their vectors as rows; `matrix` is `n x n`, row by row.
pub(super) fn symmetric(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut a: Vec<Vec<f64>> = matrix.chunks(n.max(1)).map(<[f64]>::to_vec).collect();
    let unit = |i: usize| (0..n).map(|j| f64::from(u8::from(i == j))).collect();
    let mut vectors: Vec<Vec<f64>> = (0..n).map(unit).collect();
    let at = |m: &[Vec<f64>], i: usize, j: usize| {
        m.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0.0)
    };
    for _ in 0..60 {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| at(&a, i, j).powi(2))
            .sum();
        let on: f64 = (0..n).map(|i| at(&a, i, i).powi(2)).sum();
        if off <= 1e-22 * on.max(1e-300) {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let apq = at(&a, p, q);
                if apq == 0.0 {
                    continue;
                }
                let theta = (at(&a, q, q) - at(&a, p, p)) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let t = if theta == 0.0 { 1.0 } else { t };
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in &mut a {
                    turn(row, p, q, c, s);
                }
                turn_rows(&mut a, p, q, c, s);
                turn_rows(&mut vectors, p, q, c, s);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| at(&a, *j, *j).total_cmp(&at(&a, *i, *i)));
    let values = order.iter().map(|i| at(&a, *i, *i)).collect();
    let vectors = order
        .iter()
        .filter_map(|i| vectors.get(*i).cloned())
        .collect();
    (values, vectors)
}

/// Turns elements `p` and `q` of a row.
fn turn(row: &mut [f64], p: usize, q: usize, c: f64, s: f64) {
    let (x, y) = match (row.get(p), row.get(q)) {
        (Some(x), Some(y)) => (*x, *y),
        _ => return,
    };
    if let Some(slot) = row.get_mut(p) {
        *slot = c * x - s * y;
    }
    if let Some(slot) = row.get_mut(q) {
        *slot = s * x + c * y;
    }
}

/// Turns rows `p` and `q`, where `p < q`.
fn turn_rows(rows: &mut [Vec<f64>], p: usize, q: usize, c: f64, s: f64) {
    let (first, second) = rows.split_at_mut(q);
    if let (Some(a), Some(b)) = (first.get_mut(p), second.first_mut()) {
        for (x, y) in a.iter_mut().zip(b) {
            (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_orthonormal_and_rebuild_the_matrix() {
        let n = 5;
        let mut m = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let value = ((i * 7 + j * 3) % 11) as f64 - 4.0;
                m[i * n + j] = value;
                m[j * n + i] = value;
            }
        }
        let (values, vectors) = symmetric(&m, n);
        assert!(values.windows(2).all(|w| w[0] >= w[1]));
        for i in 0..n {
            for j in 0..n {
                let dot: f64 = (0..n).map(|k| vectors[i][k] * vectors[j][k]).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-10);
                let built: f64 = (0..n)
                    .map(|k| values[k] * vectors[k][i] * vectors[k][j])
                    .sum();
                assert!((built - m[i * n + j]).abs() < 1e-9);
            }
        }
    }
}
