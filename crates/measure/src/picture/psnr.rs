//! Peak signal-to-noise ratio.

/// What equal pictures get: their ratio is infinite, and a table needs a number.
pub const PSNR_CAP: f64 = 100.0;

/// Sum of squared differences of two runs of bytes; the shorter one decides the length.
pub fn squared_error(a: &[u8], b: &[u8]) -> u64 {
    // Blocks keep the inner sum in 32 bits, which vectorises: 255^2 * 4096 < 2^32.
    a.chunks(4096)
        .zip(b.chunks(4096))
        .map(|(a, b)| {
            let sum: u32 = a
                .iter()
                .zip(b)
                .map(|(&a, &b)| {
                    let difference = i32::from(a) - i32::from(b);
                    (difference * difference) as u32
                })
                .sum();
            u64::from(sum)
        })
        .sum()
}

/// Ratio in dB of 8-bit values: `10 log10(255^2 / mean squared error)`, at most [`PSNR_CAP`]; `None` without values.
pub fn psnr(squared_error: u64, values: u64) -> Option<f64> {
    if values == 0 {
        return None;
    }
    if squared_error == 0 {
        return Some(PSNR_CAP);
    }
    let mean = squared_error as f64 / values as f64;
    Some((10.0 * (255.0 * 255.0 / mean).log10()).min(PSNR_CAP))
}

#[cfg(test)]
mod tests {
    use super::{PSNR_CAP, psnr, squared_error};

    #[test]
    fn a_difference_of_one_everywhere_is_48_13_db() {
        let (a, b) = (vec![100; 10_000], vec![101; 10_000]);
        assert_eq!(squared_error(&a, &b), 10_000);
        assert!((psnr(10_000, 10_000).unwrap() - 48.130_803_608_679_1).abs() < 1e-9);
        assert_eq!(psnr(0, 1), Some(PSNR_CAP));
        assert_eq!(psnr(0, 0), None);
    }

    #[test]
    fn the_largest_differences_do_not_overflow() {
        let (a, b) = (vec![0; 100_000], vec![255; 100_000]);
        assert_eq!(squared_error(&a, &b), 100_000 * 255 * 255);
    }
}
