//! What the faces of two clips say of each other.

use super::Value;
use crate::lips::{landmark_distance, lip_leak};
use crate::pair::Gathered;
use crate::pair::features::cosine;
use crate::pair::identity::{drift, likeness};
use crate::statistics::mean;
use face::geometry::Point;
use face::mouth_opening;
use units::FrameIndex;

impl Gathered<'_> {
    /// Openings at the pairs: made, reference.
    pub(in crate::pair) fn openings(&self) -> (Vec<Option<f32>>, Vec<Option<f32>>) {
        let (made, reference) = (self.made_landmarks(), self.reference_landmarks());
        let opening = |points: &[Option<Vec<Point>>], index: usize| {
            points.get(index)?.as_deref().map(mouth_opening)
        };
        self.alignment
            .reference
            .iter()
            .enumerate()
            .map(|(index, partner)| {
                (
                    opening(&made, index),
                    opening(&reference, *partner as usize),
                )
            })
            .unzip()
    }

    /// Says first that there is no face at all.
    pub(super) fn with_faces(&self, value: Value) -> Value {
        match (&self.made_face, &self.reference_face) {
            (_, None) => Err("no face was found in the reference".to_owned()),
            (None, _) => Err("no face was found in the made clip".to_owned()),
            _ => value,
        }
    }

    pub(super) fn lmd(&self) -> Value {
        let (made, reference) = (self.made_landmarks(), self.reference_landmarks());
        let distances: Vec<f64> = self
            .alignment
            .reference
            .iter()
            .enumerate()
            .filter_map(|(index, partner)| {
                let (a, b) = (made.get(index)?, reference.get(*partner as usize)?);
                landmark_distance(a.as_deref()?, b.as_deref()?)
            })
            .collect();
        let value = mean(&distances).ok_or_else(|| "no frame has a face in both clips".to_owned());
        self.with_faces(value)
    }

    pub(super) fn leak(&self) -> Value {
        let silent = self
            .made
            .loudness
            .silent()
            .map_err(|why| format!("made clip: {why}"))?;
        let voiced = self
            .reference
            .loudness
            .voiced()
            .map_err(|why| format!("reference: {why}"))?;
        let course = |points: Vec<Option<Vec<Point>>>| -> Vec<Option<f32>> {
            points
                .into_iter()
                .map(|points| points.as_deref().map(mouth_opening))
                .collect()
        };
        let (made, reference) = (
            course(self.made_landmarks()),
            course(self.reference_landmarks()),
        );
        self.with_faces(lip_leak(&made, &silent, &reference, &voiced))
    }

    pub(super) fn found(&self) -> Value {
        let (made, reference) = (self.made_landmarks(), self.reference_landmarks());
        let (mut wanted, mut kept) = (0_u64, 0_u64);
        for (index, partner) in self.alignment.reference.iter().enumerate() {
            if reference
                .get(*partner as usize)
                .is_some_and(Option::is_some)
            {
                wanted += 1;
                kept += u64::from(made.get(index).is_some_and(Option::is_some));
            }
        }
        if wanted == 0 {
            return Err("no face was found in the reference".to_owned());
        }
        Ok(kept as f64 / wanted as f64)
    }

    pub(super) fn csim(&self) -> Value {
        let cosines: Vec<f64> = self
            .faces
            .iter()
            .filter_map(|[made, reference]| Some(cosine(made.as_ref()?, reference.as_ref()?)))
            .collect();
        let value = mean(&cosines).ok_or_else(|| "no frame has a face in both clips".to_owned());
        self.with_faces(value)
    }

    pub(in crate::pair) fn likeness(&self) -> Vec<(f64, f64)> {
        likeness(&self.faces, |index| {
            self.made.video.times.start(FrameIndex(index as u64)).0
        })
    }

    pub(super) fn drift(&self) -> Value {
        self.with_faces(drift(&self.likeness()))
    }
}
