//! Compiling plain Rust loops for the instructions at hand.

use super::level::Level;

/// Runs `f` compiled for the process's level.
///
/// `f` should be `#[inline(always)]` and hold plain loops, which the compiler then
/// turns into vector code of that level. Its argument says whether a fused
/// multiply-add is one instruction; it is a constant after inlining.
#[inline]
pub(crate) fn vectorised<R>(f: impl FnOnce(bool) -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        match Level::current() {
            // SAFETY: `current` is never above what the processor has.
            #[expect(unsafe_code, reason = "calling code for a detected level")]
            Level::Avx512 | Level::Avx512Bf16 | Level::Amx => unsafe { avx512(f) },
            // SAFETY: as above.
            #[expect(unsafe_code, reason = "calling code for a detected level")]
            Level::Avx2 => unsafe { avx2(f) },
            Level::Scalar | Level::Neon => f(false),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        f(cfg!(target_arch = "aarch64"))
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn avx512<R>(f: impl FnOnce(bool) -> R) -> R {
    f(true)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<R>(f: impl FnOnce(bool) -> R) -> R {
    f(true)
}
