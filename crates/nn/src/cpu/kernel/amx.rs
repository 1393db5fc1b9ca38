//! 32 x 32 tiles of bf16 pairs in the eight tile registers of AMX: four of sums, two of
//! rows, two of columns.
//!
//! The loops and their addresses are written once, over [`Tiles`]: the instructions, and
//! a model of them in plain Rust that the test runs. **The instructions themselves have
//! been assembled but never executed**: no machine at hand has AMX. What the model
//! proves is the packing, the addresses and the edges, given that the instructions do
//! what Intel's manual says.
//!
//! The stable compiler has no intrinsics for them, but its assembler knows them.

use half::bf16;

use super::avx512bf16;
use super::{Kernel, Kernels};

/// Rows of a tile register; also `f32` columns, and bf16 pairs, of one.
const SIDE: usize = 16;
/// Inner indices of a step: pairs in a row of a tile register.
const STEP: usize = 2 * SIDE;
const COLUMNS: usize = 2 * SIDE;
/// Bytes of a row of a panel: 32 columns of bf16 pairs.
const PANEL_ROW: usize = COLUMNS * 2 * size_of::<bf16>();

pub(super) const KERNELS: Kernels<bf16> = Kernels {
    rows: &ROWS,
    direct: &[],
    columns: COLUMNS,
};

static ROWS: [Kernel<bf16>; 2 * SIDE] = [
    tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>, tile::<7>, tile::<8>,
    tile::<9>, tile::<10>, tile::<11>, tile::<12>, tile::<13>, tile::<14>, tile::<15>, tile::<16>,
    tile::<17>, tile::<18>, tile::<19>, tile::<20>, tile::<21>, tile::<22>, tile::<23>, tile::<24>,
    tile::<25>, tile::<26>, tile::<27>, tile::<28>, tile::<29>, tile::<30>, tile::<31>, tile::<32>,
];

/// What `ldtilecfg` reads: palette 1, then the bytes of a row and the rows of each register.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
struct Shape {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shape {
    /// For left operands of `rows` rows: registers 0 and 1 hold the sums of the first 16 rows,
    /// 2 and 3 those of the rest, 4 and 5 the rows, 6 and 7 the columns.
    const fn new(rows: usize) -> Self {
        let first = if rows < SIDE { rows } else { SIDE } as u8;
        // A register of no rows is no valid shape; the second half's are not used then.
        let second = if rows > SIDE { rows - SIDE } else { 1 } as u8;
        let side = SIDE as u8;
        let mut shape = Self {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        let rows = [first, first, second, second, first, second, side, side];
        let mut i = 0;
        while i < rows.len() {
            shape.row_bytes[i] = 64;
            shape.rows[i] = rows[i];
            i += 1;
        }
        shape
    }
}

/// The instructions that the kernel needs; `T`, `C`, `A` and `B` are numbers of registers,
/// strides are in bytes.
///
/// # Safety
/// Of all methods: as the instruction asks for; [`Self::configure`] comes first and
/// [`Self::release`] last.
#[expect(unsafe_code, reason = "instructions on raw tiles")]
trait Tiles {
    unsafe fn configure(&mut self, shape: &Shape);
    unsafe fn zero<const T: usize>(&mut self);
    unsafe fn load<const T: usize>(&mut self, from: *const u8, stride: usize);
    /// `C += A x B`, over pairs of bf16.
    unsafe fn multiply<const C: usize, const A: usize, const B: usize>(&mut self);
    unsafe fn store<const T: usize>(&mut self, to: *mut u8, stride: usize);
    unsafe fn release(&mut self);
}

/// `c (+)= a b` for whole steps of `k`.
///
/// # Safety
/// As [`Kernel`], with `k` a multiple of [`STEP`].
#[inline(always)]
#[expect(unsafe_code, reason = "kernels work on raw tiles")]
unsafe fn steps<const ROWS: usize>(
    tiles: &mut impl Tiles,
    k: usize,
    a: *const bf16,
    lda: usize,
    b: *const bf16,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    let (a_stride, c_stride) = (lda * size_of::<bf16>(), ldc * size_of::<f32>());
    // SAFETY: the sizes that `Kernel` asks for; the second half is touched only where
    // there are rows of it.
    unsafe {
        tiles.configure(const { &Shape::new(ROWS) });
        let (a, b, c) = (a.cast::<u8>(), b.cast::<u8>(), c.cast::<u8>());
        let (a_below, c_below) = (a.add(SIDE * a_stride), c.add(SIDE * c_stride));
        if add {
            tiles.load::<0>(c, c_stride);
            tiles.load::<1>(c.add(64), c_stride);
            if ROWS > SIDE {
                tiles.load::<2>(c_below, c_stride);
                tiles.load::<3>(c_below.add(64), c_stride);
            }
        } else {
            tiles.zero::<0>();
            tiles.zero::<1>();
            if ROWS > SIDE {
                tiles.zero::<2>();
                tiles.zero::<3>();
            }
        }
        for step in 0..k / STEP {
            let columns = b.add(step * SIDE * PANEL_ROW);
            tiles.load::<4>(a.add(step * 64), a_stride);
            tiles.load::<6>(columns, PANEL_ROW);
            tiles.load::<7>(columns.add(64), PANEL_ROW);
            tiles.multiply::<0, 4, 6>();
            tiles.multiply::<1, 4, 7>();
            if ROWS > SIDE {
                tiles.load::<5>(a_below.add(step * 64), a_stride);
                tiles.multiply::<2, 5, 6>();
                tiles.multiply::<3, 5, 7>();
            }
        }
        tiles.store::<0>(c, c_stride);
        tiles.store::<1>(c.add(64), c_stride);
        if ROWS > SIDE {
            tiles.store::<2>(c_below, c_stride);
            tiles.store::<3>(c_below.add(64), c_stride);
        }
        tiles.release();
    }
}

/// [`steps`], and AVX-512 for what is left of `k`, which every processor with AMX has.
///
/// # Safety
/// As [`Kernel`].
#[expect(unsafe_code, reason = "kernels work on raw tiles")]
unsafe fn tile<const ROWS: usize>(
    k: usize,
    a: *const bf16,
    lda: usize,
    b: *const bf16,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    let whole = k / STEP * STEP;
    // SAFETY: the sizes that `Kernel` asks for.
    unsafe {
        if whole > 0 {
            steps::<ROWS>(&mut Instructions, whole, a, lda, b, c, ldc, add);
        }
        if whole < k || k == 0 {
            let (a, b, add) = (a.add(whole), b.add(whole * COLUMNS), add || whole > 0);
            let most = avx512bf16::KERNELS.max_rows();
            for first in (0..ROWS).step_by(most) {
                let kernel = avx512bf16::KERNELS.rows[most.min(ROWS - first) - 1];
                let (a, c) = (a.add(first * lda), c.add(first * ldc));
                kernel(k - whole, a, lda, b, c, ldc, add);
            }
        }
    }
}

/// The processor's own. The compiler keeps nothing in tile registers, as nothing is
/// compiled for AMX, so that values stay in them between the pieces of assembly.
struct Instructions;

#[expect(unsafe_code, reason = "instructions on raw tiles")]
impl Tiles for Instructions {
    #[inline(always)]
    unsafe fn configure(&mut self, shape: &Shape) {
        // SAFETY: by the caller.
        unsafe {
            std::arch::asm!("ldtilecfg [{}]", in(reg) std::ptr::from_ref(shape), options(nostack, preserves_flags));
        }
    }

    #[inline(always)]
    unsafe fn zero<const T: usize>(&mut self) {
        // SAFETY: by the caller.
        unsafe {
            std::arch::asm!("tilezero tmm{}", const T, options(nostack, preserves_flags));
        }
    }

    #[inline(always)]
    unsafe fn load<const T: usize>(&mut self, from: *const u8, stride: usize) {
        // SAFETY: by the caller.
        unsafe {
            std::arch::asm!("tileloadd tmm{t}, [{from} + {stride} * 1]",
                t = const T, from = in(reg) from, stride = in(reg) stride, options(nostack, preserves_flags));
        }
    }

    #[inline(always)]
    unsafe fn multiply<const C: usize, const A: usize, const B: usize>(&mut self) {
        // SAFETY: by the caller.
        unsafe {
            std::arch::asm!("tdpbf16ps tmm{c}, tmm{a}, tmm{b}",
                c = const C, a = const A, b = const B, options(nostack, preserves_flags));
        }
    }

    #[inline(always)]
    unsafe fn store<const T: usize>(&mut self, to: *mut u8, stride: usize) {
        // SAFETY: by the caller.
        unsafe {
            std::arch::asm!("tilestored [{to} + {stride} * 1], tmm{t}",
                t = const T, to = in(reg) to, stride = in(reg) stride, options(nostack, preserves_flags));
        }
    }

    #[inline(always)]
    unsafe fn release(&mut self) {
        // SAFETY: no tile is used after it.
        unsafe {
            std::arch::asm!("tilerelease", options(nostack, preserves_flags));
        }
    }
}

/// Whether the processor has bf16 tiles, the system saves them, and lets this process use
/// them: Linux asks for a request (`arch_prctl`, Documentation/arch/x86/xstate.rst).
#[cfg(target_os = "linux")]
pub(crate) fn permitted() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    const BF16_AND_TILES: u32 = 1 << 22 | 1 << 24;
    const OSXSAVE: u32 = 1 << 27;
    const TILE_STATE: u32 = 0b11 << 17;
    if __cpuid(0).eax < 7
        || __cpuid_count(7, 0).edx & BF16_AND_TILES != BF16_AND_TILES
        || __cpuid(1).ecx & OSXSAVE == 0
    {
        return false;
    }
    let (enabled, refused): (u32, i64);
    // SAFETY: `xgetbv` is there by OSXSAVE. The call, number 158, takes two numbers
    // (ARCH_REQ_XCOMP_PERM and the state's) and touches no memory.
    #[expect(unsafe_code, reason = "asking the system")]
    unsafe {
        std::arch::asm!("xgetbv", in("ecx") 0, out("eax") enabled, out("edx") _, options(nomem, nostack));
        if enabled & TILE_STATE != TILE_STATE {
            return false;
        }
        std::arch::asm!("syscall", inlateout("rax") 158_i64 => refused, in("rdi") 0x1023_i64, in("rsi") 18_i64,
            out("rcx") _, out("r11") _, options(nostack));
    }
    refused == 0
}

/// Other systems are not known to allow them.
#[cfg(not(target_os = "linux"))]
pub(crate) const fn permitted() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::super::Real;
    use super::*;

    /// The registers as Intel's manual describes them (volume 2, `TILELOADD`, `TDPBF16PS`):
    /// sums of products of pairs in `f32`; what lies beyond a register's shape is zero.
    #[derive(Default)]
    struct Model {
        shape: Option<Shape>,
        tiles: [Vec<[u8; 64]>; 8],
    }

    impl Model {
        fn rows(&self, tile: usize) -> usize {
            let shape = self.shape.expect("configured before use");
            assert_eq!(shape.palette, 1);
            assert!((1..=16).contains(&shape.rows[tile]) && shape.row_bytes[tile] == 64);
            usize::from(shape.rows[tile])
        }

        fn f32_at(&self, tile: usize, row: usize, column: usize) -> f32 {
            let bytes = self.tiles[tile][row][4 * column..][..4].try_into().unwrap();
            f32::from_le_bytes(bytes)
        }

        fn bf16_at(&self, tile: usize, row: usize, column: usize) -> f32 {
            let bytes = self.tiles[tile][row][2 * column..][..2].try_into().unwrap();
            Real::get(bf16::from_le_bytes(bytes))
        }
    }

    #[expect(unsafe_code, reason = "the instructions work on raw tiles")]
    impl Tiles for Model {
        unsafe fn configure(&mut self, shape: &Shape) {
            assert_eq!(size_of::<Shape>(), 64);
            self.shape = Some(*shape);
            self.tiles = std::array::from_fn(|tile| vec![[0; 64]; self.rows(tile)]);
        }

        unsafe fn zero<const T: usize>(&mut self) {
            self.tiles[T] = vec![[0; 64]; self.rows(T)];
        }

        unsafe fn load<const T: usize>(&mut self, from: *const u8, stride: usize) {
            for row in 0..self.rows(T) {
                // SAFETY: by the caller.
                self.tiles[T][row] = unsafe { from.add(row * stride).cast::<[u8; 64]>().read() };
            }
        }

        unsafe fn multiply<const C: usize, const A: usize, const B: usize>(&mut self) {
            assert_eq!(self.rows(C), self.rows(A));
            assert_eq!(
                self.rows(B),
                SIDE,
                "as many pairs as a row of the left side has"
            );
            for row in 0..self.rows(C) {
                for column in 0..SIDE {
                    let mut sum = self.f32_at(C, row, column);
                    for pair in 0..SIDE {
                        for i in 0..2 {
                            sum += self.bf16_at(A, row, 2 * pair + i)
                                * self.bf16_at(B, pair, 2 * column + i);
                        }
                    }
                    self.tiles[C][row][4 * column..][..4].copy_from_slice(&sum.to_le_bytes());
                }
            }
        }

        unsafe fn store<const T: usize>(&mut self, to: *mut u8, stride: usize) {
            for row in 0..self.rows(T) {
                // SAFETY: by the caller.
                unsafe {
                    let to = to.add(row * stride).cast::<[u8; 64]>();
                    to.write(self.tiles[T][row]);
                }
            }
        }

        unsafe fn release(&mut self) {
            self.shape = None;
        }
    }

    fn check<const ROWS: usize>(k: usize, add: bool) {
        let value = |i: usize| <bf16 as Real>::put(((i * 37 % 19) as f32 - 9.0) / 8.0);
        // Exactly as long as `Kernel` promises, so that reading beyond would show.
        let lda = k + 32;
        let a: Vec<bf16> = (0..(ROWS - 1) * lda + k).map(value).collect();
        let b: Vec<bf16> = (0..k * COLUMNS).map(|i| value(i + 5)).collect();
        let ldc = COLUMNS + 5;
        let mut c = vec![0.5_f32; (ROWS - 1) * ldc + COLUMNS];
        let mut model = Model::default();
        // SAFETY: the sizes that are asked for.
        #[expect(unsafe_code, reason = "calling a kernel")]
        unsafe {
            steps::<ROWS>(
                &mut model,
                k,
                a.as_ptr(),
                lda,
                b.as_ptr(),
                c.as_mut_ptr(),
                ldc,
                add,
            );
        }
        assert!(model.shape.is_none(), "released");
        for (at, got) in c.iter().enumerate() {
            let (row, column) = (at / ldc, at % ldc);
            let inside = column < COLUMNS;
            let mut truth = if add || !inside { 0.5 } else { 0.0 };
            if inside {
                for p in 0..k {
                    let right = b[p / 2 * 2 * COLUMNS + 2 * column + p % 2];
                    truth += Real::get(a[row * lda + p]) * Real::get(right);
                }
            }
            assert!(
                (got - truth).abs() < 1e-4,
                "{ROWS} {k} {row} {column}: {got} {truth}"
            );
        }
    }

    #[test]
    fn loops_and_addresses_multiply_on_modelled_tiles() {
        for k in [32, 64, 512] {
            for add in [false, true] {
                check::<1>(k, add);
                check::<7>(k, add);
                check::<16>(k, add);
                check::<17>(k, add);
                check::<29>(k, add);
                check::<32>(k, add);
            }
        }
    }

    #[test]
    fn a_processor_without_tiles_is_not_asked_twice() {
        // Whatever the answer is, asking has no side effect that changes it.
        assert_eq!(permitted(), permitted());
    }
}
