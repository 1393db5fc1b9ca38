//! How much changes from one picture to the next: brightness, and motion of blocks.

/// Side of the blocks whose motion is searched, pixels of the reduced picture.
const BLOCK: usize = 8;
/// Blocks are looked for so far in each direction.
const REACH: i32 = 4;
/// A block whose brightness varies by less (variance) has no motion of its own.
const LEAST_VARIANCE: f32 = 9.0;

/// The step from one picture to the next, both reduced luma planes of one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Mean absolute difference of luma, levels.
    pub pixels: f64,
    /// Mean length of the blocks' motion, pixels of the reduced picture; blocks without structure do not count.
    pub flow: f64,
}

/// The step between two planes of `width * height` values; zero where they have other sizes.
pub fn step(before: &[f32], after: &[f32], width: usize, height: usize) -> Step {
    if before.len() != width * height || after.len() != before.len() || before.is_empty() {
        return Step {
            pixels: 0.0,
            flow: 0.0,
        };
    }
    let pixels = before
        .iter()
        .zip(after)
        .map(|(a, b)| f64::from((a - b).abs()))
        .sum::<f64>()
        / before.len() as f64;
    let plane = |data, x: i32, y: i32| row(data, width, height, x, y);
    let (mut length, mut blocks) = (0.0, 0_u32);
    for top in (0..height.saturating_sub(BLOCK - 1)).step_by(BLOCK) {
        for left in (0..width.saturating_sub(BLOCK - 1)).step_by(BLOCK) {
            let (x, y) = (left as i32, top as i32);
            if !structured(after, width, left, top) {
                continue;
            }
            let mut best = (f32::MAX, 0.0);
            // The nearest displacement wins among equals: still pictures do not move.
            for (dx, dy) in displacements() {
                let mut cost = 0.0;
                for line in 0..BLOCK as i32 {
                    let (Some(a), Some(b)) = (
                        plane(after, x, y + line),
                        plane(before, x + dx, y + dy + line),
                    ) else {
                        cost = f32::MAX;
                        break;
                    };
                    cost += a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>();
                }
                if cost < best.0 {
                    best = (cost, f64::from(dx * dx + dy * dy).sqrt());
                }
            }
            length += best.1;
            blocks += 1;
        }
    }
    Step {
        pixels,
        flow: length / f64::from(blocks.max(1)),
    }
}

/// All displacements, the shortest first.
fn displacements() -> Vec<(i32, i32)> {
    let mut all: Vec<(i32, i32)> = (-REACH..=REACH)
        .flat_map(|dy| (-REACH..=REACH).map(move |dx| (dx, dy)))
        .collect();
    all.sort_by_key(|&(dx, dy)| (dx * dx + dy * dy, dy, dx));
    all
}

/// `BLOCK` values of a row from `x` on, where they lie inside.
fn row(data: &[f32], width: usize, height: usize, x: i32, y: i32) -> Option<&[f32]> {
    let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
    if x + BLOCK > width || y >= height {
        return None;
    }
    data.get(y * width + x..y * width + x + BLOCK)
}

fn structured(data: &[f32], width: usize, left: usize, top: usize) -> bool {
    let (mut sum, mut square) = (0.0, 0.0);
    for line in top..top + BLOCK {
        for value in data
            .get(line * width + left..)
            .unwrap_or_default()
            .iter()
            .take(BLOCK)
        {
            sum += value;
            square += value * value;
        }
    }
    let count = (BLOCK * BLOCK) as f32;
    square / count - (sum / count) * (sum / count) > LEAST_VARIANCE
}

#[cfg(test)]
mod tests {
    use super::step;

    fn picture(shift: usize) -> Vec<f32> {
        // Not periodic within the reach of the search.
        (0..64 * 64)
            .map(|n| {
                let (x, y) = ((n % 64 + shift) as f32, (n / 64) as f32);
                128.0 + 60.0 * (x * 0.31).sin() + 50.0 * (y * 0.23 + x * 0.11).cos()
            })
            .collect()
    }

    #[test]
    fn a_shift_is_measured_in_pixels() {
        let still = step(&picture(0), &picture(0), 64, 64);
        assert!(
            still.pixels.abs() < 1e-12 && still.flow.abs() < 1e-12,
            "{still:?}"
        );
        let moved = step(&picture(0), &picture(3), 64, 64);
        assert!((moved.flow - 3.0).abs() < 0.35, "{moved:?}");
        assert!(moved.pixels > 5.0, "{moved:?}");
    }

    #[test]
    fn flat_pictures_do_not_move() {
        let change = step(&vec![10.0; 64 * 64], &vec![30.0; 64 * 64], 64, 64);
        assert!(
            (change.pixels - 20.0).abs() < 1e-9 && change.flow == 0.0,
            "{change:?}"
        );
    }
}
