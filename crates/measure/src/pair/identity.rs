//! How alike the made face stays to the reference's, over time.

use super::features::cosine;
use crate::statistics::mean;

/// Embeddings of a pair of frames, of length 1: made, reference.
type Faces = [Option<Vec<f32>>; 2];

/// Over less than this a slope by minute says nothing, seconds.
const LEAST_SECONDS: f64 = 60.0;

/// Seconds and cosine to the reference's mean face, for every pair with a made face; `start` gives the time of a pair.
pub(super) fn likeness(faces: &[Faces], start: impl Fn(usize) -> f64) -> Vec<(f64, f64)> {
    let dim = faces
        .iter()
        .flatten()
        .flatten()
        .map(Vec::len)
        .next()
        .unwrap_or(0);
    let mut centre = vec![0.0_f32; dim];
    for reference in faces.iter().filter_map(|[_, reference]| reference.as_ref()) {
        for (sum, value) in centre.iter_mut().zip(reference) {
            *sum += value;
        }
    }
    let length = centre.iter().map(|v| v * v).sum::<f32>().sqrt();
    if length <= 0.0 {
        return Vec::new();
    }
    for value in &mut centre {
        *value /= length;
    }
    faces
        .iter()
        .enumerate()
        .filter_map(|(index, [made, _])| Some((start(index), cosine(made.as_ref()?, &centre))))
        .collect()
}

/// Means of whole minutes from zero on.
pub(super) fn by_minute(likeness: &[(f64, f64)]) -> Vec<Option<f64>> {
    let minutes = likeness
        .last()
        .map_or(0, |(time, _)| (time / 60.0) as usize + 1);
    (0..minutes)
        .map(|minute| {
            let values: Vec<f64> = likeness
                .iter()
                .filter(|(time, _)| (time / 60.0) as usize == minute)
                .map(|(_, value)| *value)
                .collect();
            mean(&values)
        })
        .collect()
}

/// Slope of the straight line through the cosines (least squares), per minute.
///
/// # Errors
/// A sentence that says what is missing.
pub(super) fn drift(likeness: &[(f64, f64)]) -> Result<f64, String> {
    let (Some((first, _)), Some((last, _))) = (likeness.first(), likeness.last()) else {
        return Err("no face was recognised".to_owned());
    };
    if last - first < LEAST_SECONDS {
        return Err(format!(
            "the face is seen for {:.1} s; drift by minute needs {LEAST_SECONDS:.0} s",
            last - first
        ));
    }
    let count = likeness.len() as f64;
    let (t, c) = likeness
        .iter()
        .fold((0.0, 0.0), |(t, c), (time, value)| (t + time, c + value));
    let (t, c) = (t / count, c / count);
    let (mut both, mut square) = (0.0, 0.0);
    for (time, value) in likeness {
        both += (time - t) * (value - c);
        square += (time - t) * (time - t);
    }
    Ok(60.0 * both / square)
}

#[cfg(test)]
mod tests {
    use super::{by_minute, drift, likeness};

    #[test]
    fn a_face_that_fades_has_its_slope() {
        // Turned away by an angle that grows: the cosine falls by 0.1 a minute.
        let faces: Vec<[Option<Vec<f32>>; 2]> = (0..150)
            .map(|n| {
                let cosine = 1.0 - 0.1 * n as f32 / 60.0;
                let made = vec![cosine, (1.0 - cosine * cosine).sqrt()];
                [Some(made), Some(vec![1.0, 0.0])]
            })
            .collect();
        let course = likeness(&faces, |index| index as f64);
        assert!((drift(&course).unwrap() + 0.1).abs() < 1e-4);
        let minutes = by_minute(&course);
        assert_eq!(minutes.len(), 3);
        assert!(minutes[0] > minutes[1] && minutes[1] > minutes[2]);
        assert!(drift(&course[..50]).unwrap_err().contains("49.0 s"));
        assert!(drift(&[]).is_err());
        assert!(likeness(&[[None, None]], |_| 0.0).is_empty());
    }
}
