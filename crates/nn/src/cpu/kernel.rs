//! Register tiles: the innermost loops of every product of matrices.
//!
//! A kernel adds `rows x NR` sums over `k` into a tile of `f32`. The left side is
//! row-major with any stride, so that packing it is a copy of rows; the right side is packed
//! into panels, `[k][NR]`, or `[k / 2][NR][2]` for bf16.

/// Repeats a block for every row below `ROWS` with a constant index, so that the sums
/// stay in registers whatever the compiler thinks of unrolling.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! rows {
    ($i:ident, $body:block) => {
        rows!(@ $i, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13);
    };
    (@ $i:ident, $body:block, $($index:literal)*) => {
        $(if $index < ROWS {
            const $i: usize = if $index < MAX_ROWS { $index } else { 0 };
            $body
        })*
    };
}

mod scalar;

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512bf16;
#[cfg(target_arch = "aarch64")]
mod neon;

use half::bf16;

use super::buffer::Bits;
use super::level::Level;
use super::real::Real;

/// `c[i * ldc + j] (+)= sum over k of a[i * lda + k] * b[panel]`.
///
/// # Safety
/// For the kernel of `rows` rows: `a` holds `(rows - 1) * lda + k` elements, `b` `k * NR`,
/// `c` `(rows - 1) * ldc + NR`; the processor has the kernel's level; `k` is a multiple
/// of [`Element::STEP`].
pub(crate) type Kernel<E> =
    unsafe fn(k: usize, a: *const E, lda: usize, b: *const E, c: *mut f32, ldc: usize, add: bool);

/// A kernel that reads the right operand where it lies: step `p` of the inner index finds
/// the tile's first 16 columns at `b[0] + offsets[p]`, the other 16 at `b[1] + offsets[p]`.
///
/// # Safety
/// As [`Kernel`], with `k / STEP` offsets and `16 * STEP` elements at each place.
pub(crate) type Direct<E> = unsafe fn(
    k: usize,
    a: *const E,
    lda: usize,
    b: [*const E; 2],
    offsets: *const usize,
    c: *mut f32,
    ldc: usize,
    add: bool,
);

/// Columns that a [`Direct`] kernel reads at one place.
pub(crate) const DIRECT_COLUMNS: usize = 16;

/// The kernels of one level: `rows[n - 1]` makes tiles of `n` rows.
#[derive(Clone, Copy)]
pub(crate) struct Kernels<E: 'static> {
    pub(crate) rows: &'static [Kernel<E>],
    /// The same without packed panels, of 32 columns; empty where there are none.
    pub(crate) direct: &'static [Direct<E>],
    /// Columns of a tile and of a packed panel.
    pub(crate) columns: usize,
}

impl<E> Kernels<E> {
    /// The most rows of a tile.
    pub(crate) const fn max_rows(&self) -> usize {
        self.rows.len()
    }
}

/// An element type that kernels multiply.
pub(crate) trait Element: Real + Bits {
    /// Inner indices are taken so many at a time.
    const STEP: usize;
    /// Elements of a cache line.
    const LINE: usize = 64 / size_of::<Self>();

    /// The kernels of a level that has some for this type.
    fn kernels(level: Level) -> Kernels<Self>;

    /// Distance of rows of a left operand of `k` inner indices: an odd number of cache lines, so
    /// that the rows of a tile fall into different cache sets.
    fn stride(k: usize) -> usize {
        k.next_multiple_of(2 * Self::LINE) + Self::LINE
    }
}

impl Element for f32 {
    const STEP: usize = 1;

    fn kernels(level: Level) -> Kernels<Self> {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Avx512Bf16 | Level::Amx => avx512::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::KERNELS,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => neon::KERNELS,
            _ => scalar::KERNELS,
        }
    }
}

impl Element for bf16 {
    const STEP: usize = 2;

    fn kernels(level: Level) -> Kernels<Self> {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Amx => amx::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 => avx512bf16::KERNELS,
            _ => scalar::KERNELS_BF16,
        }
    }
}

/// Whether bf16 operands are multiplied as they are; otherwise they are widened
/// to `f32` on packing, which is faster without an instruction for them.
pub(crate) fn has_bf16() -> bool {
    Level::current() >= Level::Avx512Bf16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<E: Element>(level: Level) {
        let kernels = E::kernels(level);
        let n = kernels.columns;
        for k in [E::STEP, 6, 38] {
            let lda = E::stride(k);
            let value = |i: usize| E::put(((i * 37 % 19) as f32 - 9.0) / 8.0);
            let a: Vec<E> = (0..kernels.max_rows() * lda).map(value).collect();
            let b: Vec<E> = (0..k * n).map(|i| value(i + 5)).collect();
            for rows in 1..=kernels.max_rows() {
                let ldc = n + 3;
                for add in [false, true] {
                    let mut c = vec![0.5_f32; rows * ldc];
                    // SAFETY: the level is at most the detected one, sizes as asked for.
                    #[expect(unsafe_code, reason = "calling a kernel")]
                    unsafe {
                        (kernels.rows[rows - 1])(
                            k,
                            a.as_ptr(),
                            lda,
                            b.as_ptr(),
                            c.as_mut_ptr(),
                            ldc,
                            add,
                        );
                    }
                    for i in 0..rows {
                        for j in 0..ldc {
                            let mut truth = if add || j >= n { 0.5 } else { 0.0 };
                            if j < n {
                                for p in 0..k {
                                    let at = p / E::STEP * n * E::STEP + j * E::STEP + p % E::STEP;
                                    truth += a[i * lda + p].get() * b[at].get();
                                }
                            }
                            assert!(
                                (c[i * ldc + j] - truth).abs() < 1e-4,
                                "{level:?} {rows} {k} {i} {j}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn kernels_of_every_level_multiply() {
        for level in Level::ALL
            .iter()
            .copied()
            .filter(|level| *level <= Level::detect())
        {
            check::<f32>(level);
            check::<bf16>(level);
        }
    }
}
