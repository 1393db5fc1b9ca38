use half::bf16;
use proptest::prelude::*;

use super::super::pack::{Packed, Strided};
use super::super::real::Real;
use super::*;

fn filled<T: Real>(len: usize, seed: usize) -> Vec<T> {
    (0..len)
        .map(|i| T::put(((i * 7919 + seed * 31) % 23) as f32 / 8.0 - 1.375))
        .collect()
}

fn product<E: Element>(
    m: usize,
    n: usize,
    k: usize,
    left: &impl Left<E>,
    right: &impl Right<E>,
) -> Vec<f32> {
    let mut out = vec![f32::NAN; m * n];
    let shared = Shared::new(&mut out);
    multiply(m, n, k, left, right, &|mut tile: Tile<'_>| {
        let columns = tile.columns.clone();
        for (row, data) in tile.rows_mut() {
            // SAFETY: blocks are disjoint.
            #[expect(unsafe_code, reason = "blocks are disjoint")]
            unsafe { shared.range(row * n + columns.start, data.len()) }.copy_from_slice(data);
        }
    });
    out
}

fn check<T: Real, E: Element>(m: usize, n: usize, k: usize) {
    let a = filled::<T>(m * k, 1);
    let b = filled::<T>(k * n, 2);
    let mut truth = vec![0.0_f32; m * n];
    for i in 0..m {
        for p in 0..k {
            for j in 0..n {
                truth[i * n + j] += a[i * k + p].get() * b[p * n + j].get();
            }
        }
    }
    let mut a_t = vec![T::default(); m * k];
    let mut b_t = vec![T::default(); n * k];
    for p in 0..k {
        (0..m).for_each(|i| a_t[p * m + i] = a[i * k + p]);
        (0..n).for_each(|j| b_t[j * k + p] = b[p * n + j]);
    }
    let a = Strided::dense(&a, m, k);
    let b = Strided::dense(&b, k, n);
    let a_t = Strided::dense(&a_t, k, m).transposed();
    let b_t = Strided::dense(&b_t, n, k).transposed();
    let columns = E::kernels(Level::current()).columns;
    let packed = Packed::<E>::new(&b_t, columns);
    for got in [
        product::<E>(m, n, k, &a, &b),
        product::<E>(m, n, k, &a_t, &b_t),
        product::<E>(m, n, k, &a, &packed.panels()),
    ] {
        for (x, y) in got.iter().zip(&truth) {
            assert!(
                (x - y).abs() <= 1e-4 * (1.0 + y.abs()),
                "{m} {n} {k}: {x} {y}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn products_meet_the_definition(m in 1_usize..140, n in 1_usize..90, k in 1_usize..40) {
        check::<f32, f32>(m, n, k);
        check::<bf16, f32>(m, n, k);
        check::<bf16, bf16>(m, n, k);
    }
}

#[test]
fn long_inner_sizes_are_blocked() {
    // Two passes and three, by either way of packing rows: two columns of tasks need more than 256 columns.
    for (k, n) in [(2049, 33), (4131, 300), (8225, 33)] {
        check::<f32, f32>(17, n, k);
        check::<bf16, bf16>(17, n, k);
    }
    check::<f32, f32>(3, 600, 1);
    assert_eq!(
        product::<f32>(
            2,
            2,
            0,
            &Strided::dense(&[0.0; 0], 2, 0),
            &Strided::dense(&[0.0; 0], 0, 2)
        ),
        [0.0; 4]
    );
}
