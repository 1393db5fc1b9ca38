//! The acoustic model of a Sphinx model folder: triphones of three states whose outputs share one codebook per phone
//! ("phonetically tied mixtures"). Formats: `cmusphinx/pocketsphinx`, `src/bin_mdef.c`, `src/ms_gauden.c`,
//! `src/ptm_mgau.c`, `src/tmat.c`.

mod bytes;
mod definition;

use super::features::{CEPSTRA, Streams};
use bytes::{Bytes, ModelError, numbers};
pub(crate) use definition::Position;
pub(crate) use definition::{Definition, PhoneStates};
use std::path::Path;

pub use bytes::ModelError as AcousticModelError;

/// States of a phone.
pub(crate) const STATES: usize = 3;
/// One step of the 8-bit mixture weights, in nats: 1024 steps of a logarithm to base 1.0001.
const WEIGHT_STEP: f64 = 1024.0 * 0.000_099_995_000_333_308_35;
const STREAMS: usize = 3;

/// The acoustic model.
pub(crate) struct AcousticModel {
    pub(crate) definition: Definition,
    /// Densities of a codebook in one stream.
    densities: usize,
    /// `[codebook][stream][density][cepstrum]`: mean and 1 / (2 variance).
    means: Vec<f32>,
    precisions: Vec<f32>,
    /// `[codebook][stream][density]`: the logarithm of a density's height.
    heights: Vec<f32>,
    /// `[senone][stream][density]`.
    weights: Vec<f32>,
    /// Logarithms of `[matrix][from][to]`, `STATES` by `STATES + 1`.
    transitions: Vec<f32>,
}

/// Likelihoods of one frame under the densities of codebooks, computed when asked for.
pub(crate) struct Scorer<'m> {
    model: &'m AcousticModel,
    streams: Streams,
    /// How far each codebook's means lie from this voice and room.
    offsets: Vec<Streams>,
    frame: u64,
    codebook_frame: Vec<u64>,
    /// `[codebook][stream][density]`, relative to `peaks`.
    densities: Vec<f32>,
    /// `[codebook]`: the sum over streams of the largest logarithms.
    peaks: Vec<f32>,
    senone_frame: Vec<u64>,
    senones: Vec<f32>,
}

impl AcousticModel {
    /// Reads `mdef`, `means`, `variances`, `sendump` and `transition_matrices` of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, ModelError> {
        let definition = Definition::read(&folder.join("mdef"))?;
        let (shape, means) = numbers(&folder.join("means"), 3 + STREAMS)?;
        let (variance_shape, variances) = numbers(&folder.join("variances"), 3 + STREAMS)?;
        let path = folder.join("means");
        let (codebooks, streams, densities) = match shape.as_slice() {
            [c, s, d, widths @ ..] if widths.iter().all(|&w| w == CEPSTRA) => (*c, *s, *d),
            _ => return Err(ModelError::unfit(&path, "cepstra of another size")),
        };
        if streams != STREAMS
            || codebooks != definition.phone_names.len()
            || shape != variance_shape
            || means.len() != codebooks * STREAMS * densities * CEPSTRA
            || variances.len() != means.len()
        {
            return Err(ModelError::unfit(&path, "not one codebook per phone"));
        }
        let precisions: Vec<f32> = variances.iter().map(|v| 0.5 / v.max(1e-4)).collect();
        let heights = variances
            .chunks(CEPSTRA)
            .map(|vector| {
                let spread: f32 = vector
                    .iter()
                    .map(|v| (v.max(1e-4) * std::f32::consts::TAU).ln())
                    .sum();
                -0.5 * spread
            })
            .collect();
        let weights = read_weights(&folder.join("sendump"), densities, definition.senones)?;
        let path = folder.join("transition_matrices");
        let (shape, transitions) = numbers(&path, 3)?;
        if shape != [definition.matrices, STATES, STATES + 1]
            || transitions.len() != definition.matrices * STATES * (STATES + 1)
        {
            return Err(ModelError::unfit(&path, "not three states a phone"));
        }
        let transitions = transitions
            .chunks(STATES + 1)
            .flat_map(|row| {
                let sum: f32 = row.iter().sum();
                row.iter().map(move |p| (p / sum.max(1e-9)).max(1e-12).ln())
            })
            .collect();
        Ok(Self {
            definition,
            densities,
            means,
            precisions,
            heights,
            weights,
            transitions,
        })
    }

    /// The logarithm of a transition's probability; `to` may be `STATES`, the end of the phone.
    pub(crate) fn transition(&self, matrix: usize, from: usize, to: usize) -> f32 {
        self.transitions
            .get((matrix * STATES + from) * (STATES + 1) + to)
            .copied()
            .unwrap_or(f32::NEG_INFINITY)
    }

    /// A scorer whose means are moved by `offsets` (by codebook; none: not moved).
    pub(crate) fn scorer(&self, offsets: &[Streams]) -> Scorer<'_> {
        let codebooks = self.definition.phone_names.len();
        let mut offsets = offsets.to_vec();
        offsets.resize(codebooks, [[0.0; CEPSTRA]; STREAMS]);
        Scorer {
            model: self,
            streams: [[0.0; CEPSTRA]; STREAMS],
            offsets,
            frame: 0,
            codebook_frame: vec![0; codebooks],
            densities: vec![0.0; codebooks * STREAMS * self.densities],
            peaks: vec![0.0; codebooks],
            senone_frame: vec![0; self.definition.senones],
            senones: vec![0.0; self.definition.senones],
        }
    }
}

/// Mixture weights, from `[stream][density][senone]` bytes to `[senone][stream][density]` probabilities.
fn read_weights(path: &Path, densities: usize, senones: usize) -> Result<Vec<f32>, ModelError> {
    let data = ModelError::read_file(path)?;
    let mut bytes = Bytes::new(path, &data);
    let mut clusters = 0;
    loop {
        let length = bytes.int()?;
        if length == 0 {
            break;
        }
        let text = String::from_utf8_lossy(bytes.take(length as usize)?).into_owned();
        if let Some(count) = text.trim_end_matches('\0').strip_prefix("cluster_count ") {
            clusters = count.trim().parse().unwrap_or(0);
        }
    }
    let (rows, columns) = (bytes.int()? as usize, bytes.int()? as usize);
    if clusters != 0 || rows != densities || columns != senones {
        return Err(ModelError::unfit(path, "mixture weights of another shape"));
    }
    let steps = bytes.take(STREAMS * densities * senones)?;
    let mut table = [0.0_f32; 256];
    for (step, slot) in table.iter_mut().enumerate() {
        *slot = (-(step as f64) * WEIGHT_STEP).exp() as f32;
    }
    let mut weights = vec![0.0; steps.len()];
    for (row, line) in steps.chunks(senones).enumerate() {
        for (senone, &step) in line.iter().enumerate() {
            if let (Some(slot), Some(&value)) = (
                weights.get_mut(senone * STREAMS * densities + row),
                table.get(usize::from(step)),
            ) {
                *slot = value;
            }
        }
    }
    Ok(weights)
}

impl Scorer<'_> {
    /// Goes to a frame.
    pub(crate) fn set(&mut self, streams: Streams) {
        self.streams = streams;
        self.frame += 1;
    }

    /// The logarithm of the frame's likelihood in a state's output distribution.
    pub(crate) fn senone(&mut self, senone: u16) -> f32 {
        let index = usize::from(senone);
        if self.senone_frame.get(index) == Some(&self.frame) {
            return self.senones.get(index).copied().unwrap_or(0.0);
        }
        let codebook = self.model.definition.codebook_of(senone);
        self.fill(codebook);
        let width = self.model.densities;
        let densities = self
            .densities
            .chunks(width)
            .skip(codebook * STREAMS)
            .take(STREAMS);
        let weights = self.model.weights.chunks(width).skip(index * STREAMS);
        let mut score = self.peaks.get(codebook).copied().unwrap_or(0.0);
        for (weights, densities) in weights.zip(densities) {
            score += dot(weights, densities).max(f32::MIN_POSITIVE).ln();
        }
        if let (Some(frame), Some(slot)) = (
            self.senone_frame.get_mut(index),
            self.senones.get_mut(index),
        ) {
            *frame = self.frame;
            *slot = score;
        }
        score
    }

    /// The best likelihood of any state of any phone out of context.
    pub(crate) fn best_of_all(&mut self) -> f32 {
        (0..self.model.definition.context_free_senones as u16)
            .map(|senone| self.senone(senone))
            .fold(f32::NEG_INFINITY, f32::max)
    }

    /// The codebook of a state, and the mean distance of the frame from its densities' means, each weighed by how
    /// likely it made the frame.
    pub(crate) fn distance(&mut self, senone: u16) -> (usize, Streams) {
        let codebook = self.model.definition.codebook_of(senone);
        self.fill(codebook);
        let width = self.model.densities;
        let mut out = [[0.0; CEPSTRA]; STREAMS];
        for (stream, (values, sums)) in self.streams.iter().zip(&mut out).enumerate() {
            let row = (codebook * STREAMS + stream) * width;
            let weights = self
                .model
                .weights
                .iter()
                .skip((usize::from(senone) * STREAMS + stream) * width);
            let means = self.model.means.chunks(CEPSTRA).skip(row);
            let mut total = 0.0;
            for ((density, weight), means) in self
                .densities
                .iter()
                .skip(row)
                .take(width)
                .zip(weights)
                .zip(means)
            {
                let share = density * weight;
                total += share;
                for ((sum, value), mean) in sums.iter_mut().zip(values).zip(means) {
                    *sum += share * (value - mean);
                }
            }
            for sum in sums.iter_mut() {
                *sum /= total.max(f32::MIN_POSITIVE);
            }
        }
        (codebook, out)
    }

    fn fill(&mut self, codebook: usize) {
        match self.codebook_frame.get_mut(codebook) {
            Some(frame) if *frame != self.frame => *frame = self.frame,
            _ => return,
        }
        let model = self.model;
        let width = model.densities;
        let mut peak_sum = 0.0;
        let offsets = self
            .offsets
            .get(codebook)
            .copied()
            .unwrap_or([[0.0; CEPSTRA]; STREAMS]);
        for (stream, (values, offset)) in self.streams.iter().zip(&offsets).enumerate() {
            let mut values = *values;
            for (value, offset) in values.iter_mut().zip(offset) {
                *value -= offset;
            }
            let row = (codebook * STREAMS + stream) * width;
            let mut peak = f32::NEG_INFINITY;
            let slots = self.densities.iter_mut().skip(row).take(width);
            let mixture = model
                .means
                .chunks(CEPSTRA)
                .zip(model.precisions.chunks(CEPSTRA))
                .zip(&model.heights)
                .skip(row);
            for (slot, ((means, precisions), height)) in slots.zip(mixture) {
                let mut distance = 0.0;
                for ((value, mean), precision) in values.iter().zip(means).zip(precisions) {
                    let difference = value - mean;
                    distance += difference * difference * precision;
                }
                *slot = height - distance;
                peak = peak.max(*slot);
            }
            for slot in self.densities.iter_mut().skip(row).take(width) {
                *slot = (*slot - peak).exp();
            }
            peak_sum += peak;
        }
        if let Some(slot) = self.peaks.get_mut(codebook) {
            *slot = peak_sum;
        }
    }
}

/// A dot product in eight lanes, so that the order of the sum does not depend on the compiler.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for ((lane, p), q) in lanes.iter_mut().zip(x).zip(y) {
            *lane += p * q;
        }
    }
    lanes.iter().sum()
}
