//! Steps at cuts, against what the clip does anyway.

use crate::statistics::percentile;
use face::geometry::Point;
use face::mesh;

/// Points of the face that hardly move with the mouth: corners of the eyes, bridge and tip of the nose, cheeks.
const STEADY: [usize; 8] = [
    mesh::EYE_OUTER_LEFT,
    mesh::EYE_INNER_LEFT,
    mesh::EYE_INNER_RIGHT,
    mesh::EYE_OUTER_RIGHT,
    mesh::NOSE_TIP,
    6,
    mesh::CHEEK_LEFT,
    mesh::CHEEK_RIGHT,
];

/// How far the head moves between two frames: root mean square of the steady points' motion over the distance
/// between the eyes. `None` without landmarks.
pub fn pose_step(before: &[Point], after: &[Point]) -> Option<f64> {
    let size = f64::from(mesh::eye_distance(before));
    if size <= 0.0 {
        return None;
    }
    let mut sum = 0.0;
    for index in STEADY {
        let (a, b) = (before.get(index)?, after.get(index)?);
        sum += f64::from(a[0] - b[0]).powi(2) + f64::from(a[1] - b[1]).powi(2);
    }
    Some((sum / STEADY.len() as f64).sqrt() / size)
}

/// Fewer steps elsewhere than this are no distribution.
const LEAST_STEPS: usize = 10;

/// The largest step at a seam over the 95th percentile of the steps everywhere else. At most about 1: the cut does
/// nothing that the clip does not do by itself.
///
/// `steps[n]` leads from frame `n` to `n + 1`; a seam is the first frame after a cut. Steps that touch a frame within
/// one of a seam are in neither group.
///
/// # Errors
/// A sentence that says what is missing.
pub fn jump(steps: &[Option<f64>], seams: &[u64]) -> Result<f64, String> {
    if seams.is_empty() {
        return Err("no seams were given".to_owned());
    }
    let at = |index: usize| index as u64 + 1;
    let own: Vec<f64> = steps
        .iter()
        .enumerate()
        .filter(|(index, _)| seams.iter().all(|seam| seam.abs_diff(at(*index)) > 1))
        .filter_map(|(_, step)| *step)
        .collect();
    if own.len() < LEAST_STEPS {
        return Err(format!(
            "{} steps away from the seams; {LEAST_STEPS} are needed",
            own.len()
        ));
    }
    let frames = at(steps.len());
    if seams.iter().all(|seam| *seam == 0 || *seam >= frames) {
        return Err(format!("no seam lies within the clip's {frames} frames"));
    }
    let there: Vec<f64> = steps
        .iter()
        .enumerate()
        .filter(|(index, _)| seams.contains(&at(*index)))
        .filter_map(|(_, step)| *step)
        .collect();
    let largest = there.iter().copied().fold(None, |most: Option<f64>, step| {
        Some(most.map_or(step, |most| most.max(step)))
    });
    let largest = largest.ok_or_else(|| "no seam has a face on both sides".to_owned())?;
    match percentile(&own, 0.95) {
        Some(usual) if usual > 1e-9 => Ok(largest / usual),
        _ if largest <= 1e-9 => Ok(0.0),
        _ => Err("the clip stands still away from the seams".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{jump, pose_step};

    #[test]
    fn a_cut_is_told_from_the_clips_own_motion() {
        let mut steps: Vec<Option<f64>> = (0..100)
            .map(|n| Some(1.0 + f64::from(n % 3) * 0.1))
            .collect();
        assert!((jump(&steps, &[50]).unwrap() - 1.1 / 1.2).abs() < 0.2);
        steps[49] = Some(6.0);
        assert!((jump(&steps, &[50]).unwrap() - 5.0).abs() < 1e-9);
        // Its neighbours are not part of the distribution either.
        steps[50] = Some(100.0);
        assert!((jump(&steps, &[50]).unwrap() - 5.0).abs() < 1e-9);
        assert!(jump(&steps, &[]).is_err());
        assert!(jump(&steps[..8], &[3]).is_err());
        // A cut before the first frame or behind the last has no step.
        for seam in [0, 101, 2500] {
            let reason = jump(&steps, &[seam]).unwrap_err();
            assert!(reason.contains("101 frames"), "{reason}");
        }
        steps[49] = None;
        assert!(jump(&steps, &[50]).unwrap_err().contains("face"));
    }

    #[test]
    fn a_head_that_moves_by_its_eye_distance_makes_a_step_of_one() {
        let mut before = vec![[0.0, 0.0]; 468];
        before[face::mesh::EYE_OUTER_LEFT] = [100.0, 100.0];
        before[face::mesh::EYE_OUTER_RIGHT] = [160.0, 100.0];
        let after: Vec<[f32; 2]> = before.iter().map(|p| [p[0] + 60.0, p[1]]).collect();
        assert!((pose_step(&before, &after).unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(pose_step(&[], &after), None);
    }
}
