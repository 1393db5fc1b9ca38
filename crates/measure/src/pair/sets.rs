//! Features of whole sets of clips, and the distances between them.

use crate::MeasureError;
use crate::frechet::{Moments, frechet_distance};
use crate::metric::Metric;

/// Features of a whole set of clips, for the distances that belong to sets. Made clips first, the reference second.
#[derive(Clone, Debug, Default)]
pub struct FeatureSets {
    /// Inception's features of frames.
    pub frames: Option<[Moments; 2]>,
    /// I3D's logits of windows.
    pub windows: Option<[Moments; 2]>,
    /// `VideoMAE`'s features of windows.
    pub debiased: Option<[Moments; 2]>,
    /// Whether they gather over clips: then a distance so far says nothing about a clip.
    many: bool,
}

impl FeatureSets {
    /// Sets that gather over many clips, made by one system.
    pub fn of_many_clips() -> Self {
        Self {
            many: true,
            ..Self::default()
        }
    }

    /// Whether they are of more than one clip.
    pub(crate) fn gather_over_clips(&self) -> bool {
        self.many
    }

    /// The distance between a metric's two sets, for a single clip.
    pub(crate) fn of_clip(&self, sets: Option<&[Moments; 2]>, what: &str) -> Result<f64, String> {
        if self.many {
            return Err("it is of all clips together".to_owned());
        }
        let Some([made, reference]) = sets else {
            return Err(format!("there are no {what}"));
        };
        if made.count() < 2 {
            return Err(format!("{} {what}; two are needed", made.count()));
        }
        frechet_distance(made, reference).map_err(|error| error.to_string())
    }

    /// What to think of each distance, by the number of its samples.
    pub(crate) fn counts(&self, metrics: &[&'static Metric]) -> impl Iterator<Item = String> {
        [
            ("fid", &self.frames),
            ("fvd", &self.windows),
            ("fvd-debiased", &self.debiased),
        ]
        .into_iter()
        .filter(move |(name, _)| metrics.iter().any(|metric| metric.name == *name))
        .filter_map(|(name, sets)| {
            let [moments, _] = sets.as_ref()?;
            Some(format!(
                "{name} of {} against as many, in {} dimensions: small sets are biased upwards, compare only equal counts",
                moments.count(),
                moments.dim()
            ))
        })
    }
}

/// Adds features to the made clips' (0) or the references' (1) set.
pub(super) fn take(
    sets: &mut Option<[Moments; 2]>,
    place: usize,
    features: &[f32],
) -> Result<(), MeasureError> {
    let sets = sets.get_or_insert_with(|| [(); 2].map(|()| Moments::new(features.len())));
    match sets.get_mut(place) {
        Some(set) => set.push(features),
        None => Ok(()),
    }
}
