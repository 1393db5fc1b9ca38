//! Planes at another size as PyTorch's `interpolate` makes them without antialiasing: four taps or two, whatever the
//! factor.
//!
//! Positions are `(n + 1/2) · scale − 1/2` in the source (`align_corners = false`); taps beyond the edge take the edge's
//! value.

/// How a value between others is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Straight lines; positions before the first value count as the first.
    Bilinear,
    /// Keys' cubic with a = −3/4.
    Bicubic,
}

/// Source places and their shares, one entry an output position.
type Taps = Vec<Vec<(usize, f64)>>;

/// Keys' cubic with a = −3/4, which is PyTorch's.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.75;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn taps(kernel: Kernel, from: usize, to: usize, scale: f64) -> Taps {
    let last = from.saturating_sub(1) as i64;
    (0..to)
        .map(|place| {
            let mut at = (place as f64 + 0.5) * scale - 0.5;
            let reach = match kernel {
                Kernel::Bilinear => {
                    at = at.max(0.0);
                    0..2_i64
                }
                Kernel::Bicubic => -1..3_i64,
            };
            let base = at.floor();
            reach
                .map(|step| {
                    let away = at - (base + step as f64);
                    let share = match kernel {
                        Kernel::Bilinear => 1.0 - away.abs(),
                        Kernel::Bicubic => cubic(away),
                    };
                    ((base as i64 + step).clamp(0, last) as usize, share)
                })
                .collect()
        })
        .collect()
}

/// `plane` of `from` = (height, width), row by row, at `to`; `scale` says how far apart the outputs lie in the source,
/// down and across (`None`: `from / to`).
pub fn resize(
    plane: &[f32],
    from: (usize, usize),
    to: (usize, usize),
    scale: Option<[f64; 2]>,
    kernel: Kernel,
) -> Vec<f32> {
    let whole = |from: usize, to: usize| from as f64 / to.max(1) as f64;
    let [down, across] = scale.unwrap_or([whole(from.0, to.0), whole(from.1, to.1)]);
    let (rows, columns) = (
        taps(kernel, from.0, to.0, down),
        taps(kernel, from.1, to.1, across),
    );
    let narrow: Vec<Vec<f64>> = plane
        .chunks_exact(from.1.max(1))
        .map(|row| {
            let value = |taps: &Vec<(usize, f64)>| {
                taps.iter()
                    .map(|(at, share)| row.get(*at).map_or(0.0, |v| f64::from(*v)) * share)
                    .sum()
            };
            columns.iter().map(value).collect()
        })
        .collect();
    let mut out = Vec::with_capacity(to.0 * to.1);
    for taps in &rows {
        let mut sums = vec![0.0_f64; to.1];
        for (at, share) in taps {
            for (sum, value) in sums.iter_mut().zip(narrow.get(*at).into_iter().flatten()) {
                *sum += share * value;
            }
        }
        out.extend(sums.into_iter().map(|sum| sum as f32));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Kernel, resize};

    fn plane() -> Vec<f32> {
        (0..35).map(|n| (n * 9 % 256) as f32).collect()
    }

    fn check(found: &[f32], wanted: &[f32]) {
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 2e-4, "{found} {wanted}");
        }
    }

    /// `F.interpolate(x, size=(2, 3), mode=…)` of 5 rows and 7 columns of `9 n mod 256`.
    #[test]
    fn it_is_pytorchs() {
        let found = resize(&plane(), (5, 7), (2, 3), None, Kernel::Bilinear);
        check(&found, &BILINEAR);
        let found = resize(&plane(), (5, 7), (2, 3), None, Kernel::Bicubic);
        check(&found, &BICUBIC);
        let scale = Some([5.0 / 8.1, 7.0 / 9.1]);
        let found = resize(&plane(), (5, 7), (8, 9), scale, Kernel::Bicubic);
        check(&found[30..42], &SCALED);
    }

    #[test]
    fn the_same_size_changes_nothing() {
        for kernel in [Kernel::Bilinear, Kernel::Bicubic] {
            check(&resize(&plane(), (5, 7), (5, 7), None, kernel), &plane());
        }
    }

    const BILINEAR: [f32; 6] = [53.25, 74.25, 95.25, 168.0833, 167.75, 188.75];
    const BICUBIC: [f32; 6] = [47.2487, 69.082, 90.9154, 175.3438, 178.918, 200.7513];
    const SCALED: [f32; 12] = [
        122.5047, 128.844, 135.5121, 142.8438, 150.533, 156.5838, 144.9745, 158.5332, 171.1149,
        177.1692, 183.5084, 190.1765,
    ];
}
