//! Elementary functions without branches, so that loops over them vectorise.
//!
//! The first argument is [`super::simd::vectorised`]'s: whether to fuse.

/// `a * b + c`.
#[inline(always)]
pub(crate) fn fma(fused: bool, a: f32, b: f32, c: f32) -> f32 {
    if fused { a.mul_add(b, c) } else { a * b + c }
}

const EXP_LOWEST: f32 = -87.33;
const EXP_HIGHEST: f32 = 88.37;

/// `e^x`: within 2 units in the last place; 0 below -87.33, 2.4e38 above 88.37.
#[inline(always)]
pub(crate) fn exp(fused: bool, x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer that stands in the low mantissa bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(EXP_LOWEST, EXP_HIGHEST);
    let shifted = fma(fused, clamped, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, the first with trailing zeros so that n times it is exact.
    let r = fma(fused, n, -0.693_359_4, clamped);
    let r = fma(fused, n, 2.121_944_4e-4, r);
    // Minimax polynomial of Cephes' expf.
    let p = fma(fused, 1.987_569_1e-4, r, 1.398_2e-3);
    let p = fma(fused, p, r, 8.333_452e-3);
    let p = fma(fused, p, r, 4.166_579_6e-2);
    let p = fma(fused, p, r, 1.666_666_5e-1);
    let p = fma(fused, p, r, 0.5);
    let p = fma(fused, p, r * r, r + 1.0);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    if x < EXP_LOWEST { 0.0 } else { p * power }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(fused: bool, x: f32) -> f32 {
    1.0 / (1.0 + exp(fused, -x))
}

#[inline(always)]
pub(crate) fn silu(fused: bool, x: f32) -> f32 {
    x * sigmoid(fused, x)
}

#[inline(always)]
pub(crate) fn silu_slope(fused: bool, x: f32) -> f32 {
    let s = sigmoid(fused, x);
    s * (1.0 + x * (1.0 - s))
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// GELU's tanh form; `(1 + tanh u) / 2` is `sigmoid(2 u)`.
#[inline(always)]
pub(crate) fn gelu_tanh(fused: bool, x: f32) -> f32 {
    let u = SQRT_2_OVER_PI * x * fma(fused, CUBIC * x, x, 1.0);
    x * sigmoid(fused, 2.0 * u)
}

#[inline(always)]
pub(crate) fn gelu_tanh_slope(fused: bool, x: f32) -> f32 {
    let u = SQRT_2_OVER_PI * x * fma(fused, CUBIC * x, x, 1.0);
    let s = sigmoid(fused, 2.0 * u);
    let du = SQRT_2_OVER_PI * fma(fused, 3.0 * CUBIC * x, x, 1.0);
    s + x * 2.0 * s * (1.0 - s) * du
}

/// The error function as an odd rational function on [-4, 4] (coefficients as in
/// Eigen's `generic_fast_erf_float`), absolute error below 3e-7.
#[inline(always)]
pub(crate) fn erf(fused: bool, x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let p = fma(fused, -2.726_142_3e-10, s, 2.770_681_4e-8);
    let p = fma(fused, p, s, -2.101_024e-6);
    let p = fma(fused, p, s, -5.692_506_4e-5);
    let p = fma(fused, p, s, -7.349_906e-4);
    let p = fma(fused, p, s, -2.954_6e-3);
    let p = fma(fused, p, s, -1.609_603_3e-2);
    let q = fma(fused, -1.456_607_2e-5, s, -2.133_740_6e-4);
    let q = fma(fused, q, s, -1.682_827e-3);
    let q = fma(fused, q, s, -7.373_329_2e-3);
    let q = fma(fused, q, s, -1.426_473_9e-2);
    x * p / q
}

#[inline(always)]
pub(crate) fn gelu_erf(fused: bool, x: f32) -> f32 {
    0.5 * x * (1.0 + erf(fused, x * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
pub(crate) fn gelu_erf_slope(fused: bool, x: f32) -> f32 {
    const DENSITY: f32 = 0.398_942_3;
    let cumulative = 0.5 * (1.0 + erf(fused, x * std::f32::consts::FRAC_1_SQRT_2));
    cumulative + x * DENSITY * exp(fused, -0.5 * x * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_over_its_range() {
        let mut worst = 0.0_f64;
        for i in -870_000..883_000 {
            let x = i as f32 * 1e-4;
            let truth = f64::from(x).exp();
            for fused in [true, false] {
                worst = worst.max((f64::from(exp(fused, x)) / truth - 1.0).abs());
            }
        }
        assert!(worst < 2.5e-7, "{worst}");
        assert!(exp(true, f32::NEG_INFINITY) == 0.0 && (exp(true, 0.0) - 1.0).abs() < 1e-7);
        assert!(exp(true, f32::NAN).is_nan() && exp(true, 1e9) > 1e38);
    }

    #[test]
    fn gelu_meets_the_definition() {
        // erf by its series, which converges fast enough below 6.
        let erf_truth = |x: f64| {
            let (mut sum, mut term) = (0.0, x);
            for n in 0..200 {
                sum += term / f64::from(2 * n + 1);
                term *= -x * x / f64::from(n + 1);
            }
            sum * 2.0 / std::f64::consts::PI.sqrt()
        };
        for i in -500..500 {
            let x = i as f32 * 0.01;
            let d = f64::from(x);
            let exact = 0.5 * d * (1.0 + erf_truth(d / 2f64.sqrt()));
            let tanh = 0.5
                * d
                * (1.0
                    + ((2.0 / std::f64::consts::PI).sqrt() * (d + 0.044_715 * d.powi(3))).tanh());
            assert!((f64::from(gelu_erf(true, x)) - exact).abs() < 1e-6, "{x}");
            assert!((f64::from(gelu_tanh(true, x)) - tanh).abs() < 1e-6, "{x}");
        }
    }

    #[test]
    fn slopes_are_derivatives() {
        type Function = fn(bool, f32) -> f32;
        let pairs: [(Function, Function); 3] = [
            (silu, silu_slope),
            (gelu_tanh, gelu_tanh_slope),
            (gelu_erf, gelu_erf_slope),
        ];
        for (f, slope) in pairs {
            for i in -40..40 {
                let x = i as f32 * 0.1;
                let h = 0.01;
                let estimate = (f(true, x + h) - f(true, x - h)) / (2.0 * h);
                assert!((slope(true, x) - estimate).abs() < 2e-4, "{x} {estimate}");
            }
        }
    }
}
