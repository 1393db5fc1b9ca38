use super::{eigenvalues, factor};

fn random(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        })
        .collect()
}

/// `X Xᵀ` of `n * rank` random numbers.
fn gram(n: usize, rank: usize) -> Vec<f64> {
    let x = random(n * rank, 7);
    let mut a = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            a[i * n + j] = (0..rank).map(|k| x[i * rank + k] * x[j * rank + k]).sum();
        }
    }
    a
}

#[test]
fn the_factor_has_the_rank_and_multiplies_back() {
    for (n, rank) in [(1, 1), (12, 12), (20, 5), (9, 1)] {
        let a = gram(n, rank);
        let found = factor(&a, n);
        assert_eq!(found.rank, rank);
        for i in 0..n {
            for j in 0..n {
                let product: f64 = (0..rank)
                    .map(|k| found.values[i * rank + k] * found.values[j * rank + k])
                    .sum();
                assert!((product - a[i * n + j]).abs() < 1e-12, "{i} {j}");
            }
        }
    }
    assert_eq!(factor(&[0.0; 9], 3).rank, 0);
}

#[test]
fn eigenvalues_keep_the_powers_traces() {
    for n in [1, 2, 3, 17, 60] {
        let a = gram(n, n);
        let values = eigenvalues(a.clone(), n).unwrap();
        let trace: f64 = (0..n).map(|i| a[i * n + i]).sum();
        let square: f64 = a.iter().map(|v| v * v).sum();
        let cube: f64 = (0..n)
            .flat_map(|i| (0..n).map(move |j| (i, j)))
            .map(|(i, j)| a[i * n + j] * (0..n).map(|k| a[j * n + k] * a[k * n + i]).sum::<f64>())
            .sum();
        let power = |p: i32| values.iter().map(|v| v.powi(p)).sum::<f64>();
        assert!((power(1) - trace).abs() < 1e-11 * trace, "{n}");
        assert!((power(2) - square).abs() < 1e-11 * square, "{n}");
        assert!((power(3) - cube).abs() < 1e-11 * cube, "{n}");
    }
}

#[test]
fn known_eigenvalues_come_back_and_broken_matrices_do_not() {
    // The second difference: 2 - 2 cos(k pi / (n + 1)).
    let n = 30;
    let mut a = vec![0.0; n * n];
    for i in 0..n {
        a[i * n + i] = 2.0;
        if i + 1 < n {
            a[i * n + i + 1] = -1.0;
            a[(i + 1) * n + i] = -1.0;
        }
    }
    for (k, value) in eigenvalues(a.clone(), n).unwrap().into_iter().enumerate() {
        let wanted = 2.0 - 2.0 * (std::f64::consts::PI * (k + 1) as f64 / (n + 1) as f64).cos();
        assert!((value - wanted).abs() < 1e-13, "{k}: {value} {wanted}");
    }
    a[3] = f64::NAN;
    assert!(eigenvalues(a, n).is_none());
    assert_eq!(eigenvalues(vec![0.0; 16], 4).unwrap(), [0.0; 4]);
}

#[test]
fn a_system_is_solved_and_a_singular_one_is_not() {
    let rows = vec![
        vec![0.0, 2.0, 1.0, 7.0],
        vec![1.0, 1.0, 0.0, 3.0],
        vec![3.0, 0.0, -1.0, 0.0],
    ];
    let solved = super::solve(rows).unwrap();
    for (value, wanted) in solved.iter().zip([1.0, 2.0, 3.0]) {
        assert!((value - wanted).abs() < 1e-12, "{solved:?}");
    }
    assert!(super::solve(vec![vec![1.0, 2.0, 0.0], vec![2.0, 4.0, 1.0]]).is_none());
}
