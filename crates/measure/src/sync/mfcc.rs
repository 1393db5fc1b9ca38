//! Mel-frequency cepstra as `SyncNet` was trained on: those of `python_speech_features` with its defaults.
//!
//! 16 kHz, 16-bit numbers without scaling; pre-emphasis 0.97; frames of 400 samples every 160 without a window, the
//! last ones filled up with zeros; power spectrum of 512 points divided by 512; 26 triangles between 0 and 8 kHz
//! (2595 log10(1 + f / 700)); logarithms; orthonormal cosine transform; 13 cepstra, liftered with 22; the first one
//! replaced by the logarithm of the frame's energy.

use crate::MeasureError;
use realfft::{RealFftPlanner, RealToComplex};
use std::f64::consts::PI;
use std::sync::Arc;

/// Cepstra a frame.
pub const CEPSTRA: usize = 13;
/// Samples a second.
pub const RATE: u32 = 16_000;
/// Samples from one frame to the next.
pub const STEP: usize = 160;

const FRAME: usize = 400;
const POINTS: usize = 512;
const FILTERS: usize = 26;
const LIFTER: f64 = 22.0;
const EMPHASIS: f64 = 0.97;

/// Takes samples in blocks, gives frames of cepstra.
pub struct Mfcc {
    fft: Arc<dyn RealToComplex<f64>>,
    /// First bin, then rising and falling weights up to the last.
    filters: Vec<(usize, Vec<f64>)>,
    /// Emphasised samples that belong to frames still to come.
    waiting: Vec<f64>,
    before: Option<f64>,
    /// Samples so far.
    count: usize,
    frames: Vec<[f32; CEPSTRA]>,
}

impl Default for Mfcc {
    fn default() -> Self {
        Self::new()
    }
}

impl Mfcc {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self {
            fft: RealFftPlanner::new().plan_fft_forward(POINTS),
            filters: filters(),
            waiting: Vec::new(),
            before: None,
            count: 0,
            frames: Vec::new(),
        }
    }

    /// Takes samples in -1..1, which are rounded to 16 bits.
    ///
    /// # Errors
    /// Never for finite sizes; the transform's own check of its lengths.
    pub fn push(&mut self, samples: &[f32]) -> Result<(), MeasureError> {
        for sample in samples {
            let value = (f64::from(*sample) * 32768.0)
                .round_ties_even()
                .clamp(-32768.0, 32767.0);
            let before = self.before.replace(value);
            self.waiting
                .push(before.map_or(value, |before| value - EMPHASIS * before));
        }
        self.count += samples.len();
        while self.waiting.len() >= FRAME {
            self.frame()?;
        }
        Ok(())
    }

    /// All frames: `1 + ceil((samples - 400) / 160)` of them, at least one.
    ///
    /// # Errors
    /// As [`Mfcc::push`].
    pub fn finish(mut self) -> Result<Vec<[f32; CEPSTRA]>, MeasureError> {
        let wanted = 1 + self.count.saturating_sub(FRAME).div_ceil(STEP);
        while self.frames.len() < wanted {
            self.waiting.resize(FRAME.max(self.waiting.len()), 0.0);
            self.frame()?;
        }
        Ok(self.frames)
    }

    fn frame(&mut self) -> Result<(), MeasureError> {
        let mut input = vec![0.0; POINTS];
        for (to, from) in input.iter_mut().zip(self.waiting.iter().take(FRAME)) {
            *to = *from;
        }
        let step = STEP.min(self.waiting.len());
        self.waiting.drain(..step);
        let mut spectrum = self.fft.make_output_vec();
        self.fft
            .process(&mut input, &mut spectrum)
            .map_err(|error| MeasureError::Features {
                reason: error.to_string(),
            })?;
        let power: Vec<f64> = spectrum
            .iter()
            .map(|c| c.norm_sqr() / POINTS as f64)
            .collect();
        // A logarithm needs something: the smallest difference from 1, as the original.
        let log = |value: f64| if value == 0.0 { f64::EPSILON } else { value }.ln();
        let energies: Vec<f64> = self
            .filters
            .iter()
            .map(|(first, weights)| {
                let bins = power.get(*first..).unwrap_or_default();
                log(weights.iter().zip(bins).map(|(w, p)| w * p).sum())
            })
            .collect();
        let mut cepstra = [0.0_f32; CEPSTRA];
        for (index, place) in cepstra.iter_mut().enumerate() {
            let k = index as f64;
            let sum: f64 = energies
                .iter()
                .enumerate()
                .map(|(n, e)| e * (PI * k * (2.0 * n as f64 + 1.0) / (2.0 * FILTERS as f64)).cos())
                .sum();
            let scale = if index == 0 { 1.0 } else { 2.0 } / FILTERS as f64;
            let lift = 1.0 + LIFTER / 2.0 * (PI * k / LIFTER).sin();
            *place = (sum * scale.sqrt() * lift) as f32;
        }
        if let Some(first) = cepstra.first_mut() {
            *first = log(power.iter().sum()) as f32;
        }
        self.frames.push(cepstra);
        Ok(())
    }
}

fn filters() -> Vec<(usize, Vec<f64>)> {
    let highest = 2595.0 * (1.0 + f64::from(RATE) / 2.0 / 700.0).log10();
    let bin = |point: usize| {
        let mel = highest * point as f64 / (FILTERS + 1) as f64;
        let hertz = 700.0 * (10.0_f64.powf(mel / 2595.0) - 1.0);
        ((POINTS + 1) as f64 * hertz / f64::from(RATE)).floor() as usize
    };
    (0..FILTERS)
        .map(|index| {
            let (low, middle, high) = (bin(index), bin(index + 1), bin(index + 2));
            let rise = (low..middle).map(|b| (b - low) as f64 / (middle - low) as f64);
            let fall = (middle..high).map(|b| (high - b) as f64 / (high - middle) as f64);
            (low, rise.chain(fall).collect())
        })
        .collect()
}
