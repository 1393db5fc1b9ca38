//! The mel spectrum of samples that arrive piece by piece.

use super::filters::{MEL_BINS, Triangle, triangles};
use super::{Compression, MEL_BANDS, MEL_HOP, MEL_WINDOW, MelFrame};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Half a window: how far a frame reaches to either side of its centre.
const REACH: usize = MEL_WINDOW / 2;

/// Makes mel frames from samples that arrive piece by piece; memory does not grow with the input.
///
/// The frames of all [`push`](Self::push) calls and of [`finish`](Self::finish), in order, are those of the whole
/// input at once, bit for bit. Whisper's floor needs the whole input and is left to the caller.
pub struct MelStream {
    compression: Compression,
    gain: f32,
    fft: Arc<dyn RealToComplex<f32>>,
    scratch: Vec<Complex<f32>>,
    windowed: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    window: Vec<f32>,
    triangles: Vec<Triangle>,
    /// Scaled samples from `held_from` on.
    held: Vec<f32>,
    held_from: usize,
    received: usize,
    next_frame: usize,
}

impl MelStream {
    /// A stream whose samples are first multiplied by `gain` (see [`super::speech_gain`]).
    pub fn new(compression: Compression, gain: f32) -> Self {
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(MEL_WINDOW);
        let window = (0..MEL_WINDOW)
            .map(|n| {
                let turn = std::f64::consts::TAU * n as f64 / MEL_WINDOW as f64;
                (0.5 - 0.5 * turn.cos()) as f32
            })
            .collect();
        Self {
            compression,
            gain,
            scratch: fft.make_scratch_vec(),
            windowed: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            fft,
            window,
            triangles: triangles(),
            held: Vec::new(),
            held_from: 0,
            received: 0,
            next_frame: 0,
        }
    }

    /// Takes 16 kHz samples and gives the frames that they complete.
    pub fn push(&mut self, samples: &[f32]) -> Vec<MelFrame> {
        let gain = self.gain;
        self.held.extend(samples.iter().map(|&s| s * gain));
        self.received += samples.len();
        let mut frames = Vec::new();
        // A frame whose window lies inside what has arrived needs no reflection at the end; the first ones reflect
        // at the start, which needs the whole first window.
        while self.received > MEL_WINDOW && self.next_frame * MEL_HOP + REACH <= self.received {
            frames.push(self.frame());
        }
        let keep_from = (self.next_frame * MEL_HOP).saturating_sub(2 * MEL_WINDOW);
        // Moving the tail on every call would cost more than it saves.
        if keep_from > self.held_from + 16 * MEL_WINDOW {
            self.held.drain(..keep_from - self.held_from);
            self.held_from = keep_from;
        }
        frames
    }

    /// Gives the last frames, whose windows reach beyond the end.
    pub fn finish(mut self) -> Vec<MelFrame> {
        if self.received == 0 {
            return Vec::new();
        }
        if self.received < MEL_WINDOW {
            self.held.resize(MEL_WINDOW, 0.0);
            self.received = MEL_WINDOW;
        }
        let total = self.received / MEL_HOP;
        let mut frames = Vec::new();
        while self.next_frame < total {
            frames.push(self.frame());
        }
        frames
    }

    /// The sample at a position that may lie up to half a window outside the input: reflected without repeating the
    /// outermost sample.
    fn at(&self, position: isize) -> f32 {
        let last = self.received as isize - 1;
        let inside = if position < 0 {
            -position
        } else if position > last {
            2 * last - position
        } else {
            position
        };
        self.held
            .get((inside as usize).wrapping_sub(self.held_from))
            .copied()
            .unwrap_or(0.0)
    }

    fn frame(&mut self) -> MelFrame {
        let from = (self.next_frame * MEL_HOP) as isize - REACH as isize;
        self.next_frame += 1;
        for n in 0..MEL_WINDOW {
            let value = self.at(from + n as isize);
            if let (Some(slot), Some(weight)) = (self.windowed.get_mut(n), self.window.get(n)) {
                *slot = value * weight;
            }
        }
        // The buffers come from the plan itself, so the lengths it checks are right.
        let done = self.fft.process_with_scratch(
            &mut self.windowed,
            &mut self.spectrum,
            &mut self.scratch,
        );
        debug_assert!(done.is_ok());
        let mut power = [0.0_f32; MEL_BINS];
        for (slot, value) in power.iter_mut().zip(&self.spectrum) {
            *slot = value.norm_sqr();
        }
        let floor = match self.compression {
            Compression::Local => 1e-7,
            Compression::Whisper => 1e-10,
        };
        let mut frame = [0.0; MEL_BANDS];
        for (slot, triangle) in frame.iter_mut().zip(&self.triangles) {
            let sum: f32 = triangle
                .weights
                .iter()
                .zip(power.iter().skip(triangle.first))
                .map(|(w, p)| w * p)
                .sum();
            *slot = (sum.max(floor).log10() + 4.0) / 4.0;
        }
        frame
    }
}
