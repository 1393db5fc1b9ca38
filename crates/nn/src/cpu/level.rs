//! Which instructions the kernels may use.

use std::sync::OnceLock;

/// Instruction levels, lowest first. Each one includes those before it.
///
/// AMX tiles belong above `Avx512Bf16`; a level is added here, a tile kernel
/// beside `cpu::bf16`, and [`Level::detect`] learns the permission call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Whatever the compiler makes of plain Rust: SSE2 on x86-64, NEON on aarch64.
    Scalar,
    /// 256-bit AVX2 with FMA.
    Avx2,
    /// 512-bit AVX-512 (F, BW, DQ, VL).
    Avx512,
    /// AVX-512 with products of bf16 pairs.
    Avx512Bf16,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Avx512Bf16];

    /// The name that `REWORD_CPU` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512bf16",
        }
    }

    /// The level called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// What this processor has.
    #[cfg(target_arch = "x86_64")]
    pub fn detect() -> Self {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if avx512 && is_x86_feature_detected!("avx512bf16") {
            Self::Avx512Bf16
        } else if avx512 {
            Self::Avx512
        } else if avx2 {
            Self::Avx2
        } else {
            Self::Scalar
        }
    }

    /// What this processor has.
    #[cfg(not(target_arch = "x86_64"))]
    pub const fn detect() -> Self {
        Self::Scalar
    }

    /// The level of this process: the detected one, lowered by `REWORD_CPU`.
    /// An unknown name is ignored, as is a level that the processor lacks.
    pub fn current() -> Self {
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(|| {
            let found = Self::detect();
            std::env::var("REWORD_CPU")
                .ok()
                .and_then(|name| Self::from_name(&name))
                .map_or(found, |wanted| wanted.min(found))
        })
    }
}
