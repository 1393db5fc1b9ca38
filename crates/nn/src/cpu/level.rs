//! Which instructions the kernels may use.

use std::sync::OnceLock;

/// Instruction levels, lowest first. On one architecture each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Whatever the compiler makes of plain Rust.
    Scalar,
    /// 128-bit NEON with FMA, which every 64-bit ARM has.
    Neon,
    /// 256-bit AVX2 with FMA.
    Avx2,
    /// 512-bit AVX-512 (F, BW, DQ, VL).
    Avx512,
    /// AVX-512 with products of bf16 pairs.
    Avx512Bf16,
    /// The same with products of bf16 tiles.
    Amx,
}

impl Level {
    /// All levels of this architecture, lowest first.
    #[cfg(target_arch = "x86_64")]
    pub const ALL: &[Self] = &[
        Self::Scalar,
        Self::Avx2,
        Self::Avx512,
        Self::Avx512Bf16,
        Self::Amx,
    ];
    /// All levels of this architecture, lowest first.
    #[cfg(target_arch = "aarch64")]
    pub const ALL: &[Self] = &[Self::Scalar, Self::Neon];
    /// All levels of this architecture, lowest first.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub const ALL: &[Self] = &[Self::Scalar];

    /// The name that `REWORD_CPU` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512bf16",
            Self::Amx => "amx",
        }
    }

    /// The level called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|level| level.name() == name)
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
        let bf16 = avx512 && is_x86_feature_detected!("avx512bf16");
        if bf16 && super::kernel::amx::permitted() {
            Self::Amx
        } else if bf16 {
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
    #[cfg(target_arch = "aarch64")]
    pub const fn detect() -> Self {
        Self::Neon
    }

    /// What this processor has.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
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
