//! Squares of a matrix with rows and columns exchanged: whole words are moved instead of single elements.
#![expect(unsafe_code, reason = "elements are moved as words of their bits")]

use super::buffer::Bits;

/// Lines of a square.
pub(crate) const SIDE: usize = 16;

/// Writes `out[j * stride + i] = lines[i][j]`.
///
/// # Panics
/// When `out` is shorter than that, or an element has neither two nor four bytes.
#[inline(always)]
pub(crate) fn square<E: Bits>(lines: &[[E; SIDE]; SIDE], out: &mut [E], stride: usize) {
    assert!(
        out.len() >= (SIDE - 1) * stride + SIDE,
        "no room for a square"
    );
    let out = out.as_mut_ptr();
    if size_of::<E>() == 4 {
        // SAFETY: same size, and every bit pattern is a number.
        let lines: &[[u32; SIDE]; SIDE] = unsafe { &*std::ptr::from_ref(lines).cast() };
        // SAFETY: `out` was checked; its elements are as wide as a `u32`.
        unsafe { words(lines, out.cast(), stride) };
        return;
    }
    assert!(size_of::<E>() == 2, "elements of two or four bytes");
    // SAFETY: as above.
    let lines: &[[u16; SIDE]; SIDE] = unsafe { &*std::ptr::from_ref(lines).cast() };
    // Four lines side by side: what is written together is moved together.
    let mut quads = [[[0_u16; 4]; SIDE]; SIDE / 4];
    for (quads, lines) in quads.iter_mut().zip(lines.as_chunks::<4>().0) {
        for (j, quad) in quads.iter_mut().enumerate() {
            *quad = lines.map(|line| line[j]);
        }
    }
    let out = out.cast::<u16>();
    for j in 0..SIDE {
        for (i, quads) in quads.iter().enumerate() {
            // SAFETY: row `j`, elements `4 i .. 4 i + 4`, inside of `out` by the assertion.
            unsafe {
                let to = out.add(j * stride + 4 * i).cast::<[u16; 4]>();
                to.write(quads[j]);
            }
        }
    }
}

/// Writes the transposition of `x` `[rows, columns]` to `out`.
#[inline(always)]
pub(crate) fn turn<E: Bits + Default>(x: &[E], columns: usize, out: &mut [E]) {
    let rows = x.len() / columns.max(1);
    for top in (0..rows).step_by(SIDE) {
        for left in (0..columns).step_by(SIDE) {
            if top + SIDE <= rows && left + SIDE <= columns {
                let mut lines = [[E::default(); SIDE]; SIDE];
                for (i, line) in lines.iter_mut().enumerate() {
                    line.copy_from_slice(&x[(top + i) * columns + left..][..SIDE]);
                }
                square(&lines, &mut out[left * rows + top..], rows);
            } else {
                for row in top..rows.min(top + SIDE) {
                    for column in left..columns.min(left + SIDE) {
                        out[column * rows + row] = x[row * columns + column];
                    }
                }
            }
        }
    }
}

/// Writes `out[j * stride + 2 * i ..][..2] = lines[i][2 * j..][..2]`: the square of pairs of two-byte elements.
///
/// # Panics
/// When `out` is shorter than that, or an element has not two bytes.
#[inline(always)]
pub(crate) fn pairs<E: Bits>(lines: &[[E; 2 * SIDE]; SIDE], out: &mut [E], stride: usize) {
    assert!(
        size_of::<E>() == 2 && stride.is_multiple_of(2),
        "pairs of two bytes each"
    );
    assert!(
        out.len() >= (SIDE - 1) * stride + 2 * SIDE,
        "no room for a square"
    );
    // SAFETY: two elements are as wide as a `u32`; alignment is asked of neither side.
    let lines: [[u32; SIDE]; SIDE] = unsafe {
        std::ptr::from_ref(lines)
            .cast::<[[u32; SIDE]; SIDE]>()
            .read_unaligned()
    };
    // SAFETY: `out` was checked.
    unsafe { words(&lines, out.as_mut_ptr().cast(), stride / 2) };
}

/// Writes `out[j * stride + i] = lines[i][j]`.
///
/// # Safety
/// `out` holds `15 * stride + 16` words, at the alignment of half of one.
#[inline(always)]
unsafe fn words(lines: &[[u32; SIDE]; SIDE], out: *mut u32, stride: usize) {
    let mut twos = [[[0_u32; 2]; SIDE]; SIDE / 2];
    for (twos, [a, b]) in twos.iter_mut().zip(lines.as_chunks::<2>().0) {
        for ((two, a), b) in twos.iter_mut().zip(a).zip(b) {
            *two = [*a, *b];
        }
    }
    for j in 0..SIDE {
        for (i, twos) in twos.iter().enumerate() {
            // SAFETY: row `j`, words `2 i` and `2 i + 1`.
            unsafe {
                let to = out.add(j * stride + 2 * i).cast::<[u32; 2]>();
                to.write_unaligned(twos[j]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn squares_are_turned() {
        let stride = SIDE + 3;
        let lines: [[f32; SIDE]; SIDE] =
            std::array::from_fn(|i| std::array::from_fn(|j| (i * SIDE + j) as f32));
        let mut out = vec![-1.0; SIDE * stride];
        square(&lines, &mut out, stride);
        for (at, got) in out.iter().enumerate() {
            let (j, i) = (at / stride, at % stride);
            let truth: f32 = if i < SIDE { lines[i][j] } else { -1.0 };
            assert_eq!(got.to_bits(), truth.to_bits(), "{i} {j}");
        }
        let lines = lines.map(|line| line.map(bf16::from_f32));
        let mut out = vec![bf16::NEG_ONE; SIDE * stride];
        square(&lines, &mut out, stride);
        for (at, got) in out.iter().enumerate() {
            let (j, i) = (at / stride, at % stride);
            let truth = if i < SIDE { lines[i][j] } else { bf16::NEG_ONE };
            assert_eq!(got.to_bits(), truth.to_bits(), "{i} {j}");
        }
    }

    #[test]
    fn pairs_stay_together() {
        let stride = 2 * SIDE + 4;
        let lines: [[bf16; 2 * SIDE]; SIDE] = std::array::from_fn(|i| {
            std::array::from_fn(|j| bf16::from_bits((i * 2 * SIDE + j) as u16))
        });
        let mut out = vec![bf16::NEG_ONE; SIDE * stride];
        pairs(&lines, &mut out, stride);
        for (at, got) in out.iter().enumerate() {
            let (j, i) = (at / stride, at % stride);
            let truth = if i < 2 * SIDE {
                lines[i / 2][2 * j + i % 2]
            } else {
                bf16::NEG_ONE
            };
            assert_eq!(got.to_bits(), truth.to_bits(), "{i} {j}");
        }
    }
}
