//! Whether a mouth that is given silence stays closed.

/// Where the mouth rests in a recording, and the ends of its range: these shares of its openings lie below.
const CLOSED: f64 = 0.05;
const OPEN: f64 = 0.95;

/// A mouth rests within this share of the recorded range above the closed one.
const WITHIN: f64 = 0.1;

/// The share of the made frames with a face, 0..1, in which the mouth rests: its opening lies within a tenth of the
/// recording's range (5th to 95th percentile) above the 5th percentile.
///
/// # Errors
/// A sentence, where either has no face or the recorded mouth never moves.
pub fn resting_share(made: &[Option<f32>], recorded: &[Option<f32>]) -> Result<f64, String> {
    let mut recorded: Vec<f32> = recorded.iter().copied().flatten().collect();
    recorded.sort_by(f32::total_cmp);
    let at = |share: f64| {
        let last = recorded.len().saturating_sub(1);
        let place = (share * last as f64).round() as usize;
        recorded.get(place).copied().map(f64::from)
    };
    let (Some(closed), Some(open)) = (at(CLOSED), at(OPEN)) else {
        return Err("there is no face in the recording".to_owned());
    };
    if open - closed < 1e-4 {
        return Err("the recorded mouth does not move".to_owned());
    }
    let made: Vec<f64> = made.iter().copied().flatten().map(f64::from).collect();
    if made.is_empty() {
        return Err("there is no face in the made clip".to_owned());
    }
    let limit = closed + WITHIN * (open - closed);
    let resting = made.iter().filter(|opening| **opening <= limit).count();
    Ok(resting as f64 / made.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::resting_share;

    #[test]
    fn frames_near_the_closed_mouth_rest() {
        let recorded: Vec<Option<f32>> = (0..=100).map(|n| Some(n as f32 / 100.0)).collect();
        // The range is 0.05 to 0.95: a mouth rests up to 0.14.
        let made = [
            Some(0.0),
            Some(0.1),
            None,
            Some(0.139),
            Some(0.141),
            Some(0.9),
        ];
        let share = resting_share(&made, &recorded).unwrap();
        assert!((share - 0.6).abs() < 1e-12, "{share}");
    }

    #[test]
    fn without_faces_or_movement_there_is_a_reason() {
        let moving = [Some(0.0), Some(1.0)];
        assert!(resting_share(&[], &moving).unwrap_err().contains("made"));
        let none = resting_share(&moving, &[None, None]).unwrap_err();
        assert!(none.contains("no face in the recording"));
        let still = resting_share(&moving, &[Some(0.2); 9]).unwrap_err();
        assert!(still.contains("does not move"));
    }
}
