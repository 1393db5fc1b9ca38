//! Where someone speaks: `earshot`'s network on 16 ms frames, and spans made of it.

use earshot::Detector;
use std::ops::Range;
use units::{SampleRate, Seconds};

/// Samples of one frame of the detector: 16 ms at 16 kHz.
pub const VAD_HOP: usize = 256;

/// The probability of speech in each 16 ms frame of 16 kHz samples in -1..1. The last frame is padded with silence.
pub fn probabilities(samples: &[f32]) -> Vec<f32> {
    let mut stream = VadStream::new();
    stream.push(samples);
    stream.finish()
}

/// Listens to 16 kHz samples in blocks of any size; four bytes a frame are kept.
pub struct VadStream {
    detector: Box<Detector>,
    frame: [f32; VAD_HOP],
    /// Samples of `frame` that are there.
    filled: usize,
    probabilities: Vec<f32>,
    samples: usize,
}

impl Default for VadStream {
    fn default() -> Self {
        Self::new()
    }
}

impl VadStream {
    /// Has heard nothing.
    pub fn new() -> Self {
        Self {
            detector: Detector::default_boxed(),
            frame: [0.0; VAD_HOP],
            filled: 0,
            probabilities: Vec::new(),
            samples: 0,
        }
    }

    /// Hears the next samples, in -1..1.
    pub fn push(&mut self, samples: &[f32]) {
        self.samples += samples.len();
        for &sample in samples {
            if let Some(slot) = self.frame.get_mut(self.filled) {
                *slot = sample.clamp(-1.0, 1.0);
            }
            self.filled += 1;
            if self.filled == VAD_HOP {
                self.decide();
            }
        }
    }

    fn decide(&mut self) {
        self.probabilities
            .push(self.detector.predict_f32(&self.frame));
        self.frame.fill(0.0);
        self.filled = 0;
    }

    /// The probability of speech in each frame; the last one is padded with silence.
    pub fn finish(mut self) -> Vec<f32> {
        if self.filled > 0 {
            self.decide();
        }
        self.probabilities
    }

    /// The spans of speech, see [`speech_spans`].
    pub fn spans(self, options: &VadOptions) -> Vec<Range<Seconds>> {
        let end = SampleRate::SPEECH.start_of(units::SampleIndex::from(self.samples));
        spans_of(&self.finish(), end, options)
    }
}

/// How frames become spans of speech.
#[derive(Clone, Copy, Debug)]
pub struct VadOptions {
    /// A frame at or above this starts speech; speech lasts until frames fall below it less 0.15.
    pub threshold: f32,
    /// Silence shorter than this does not end a span.
    pub shortest_pause: Seconds,
    /// Speech shorter than this is dropped.
    pub shortest_speech: Seconds,
    /// Each span is widened by this much at both ends, up to the middle of the pause.
    pub margin: Seconds,
}

impl Default for VadOptions {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            shortest_pause: Seconds(0.3),
            shortest_speech: Seconds(0.08),
            margin: Seconds(0.1),
        }
    }
}

/// The spans of speech in 16 kHz samples, in order, half-open, apart from each other.
pub fn speech_spans(samples: &[f32], options: &VadOptions) -> Vec<Range<Seconds>> {
    let mut stream = VadStream::new();
    stream.push(samples);
    stream.spans(options)
}

/// The spans of speech in detector frames of an input that ends at `end`.
pub fn spans_of(probabilities: &[f32], end: Seconds, options: &VadOptions) -> Vec<Range<Seconds>> {
    let time = |frame: usize| Seconds((frame * VAD_HOP) as f64 / 16_000.0).min(end);
    let mut raw: Vec<Range<Seconds>> = Vec::new();
    let mut start = None;
    for (frame, &probability) in probabilities.iter().enumerate() {
        match start {
            None if probability >= options.threshold => start = Some(frame),
            Some(from) if probability < options.threshold - 0.15 => {
                raw.push(time(from)..time(frame));
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        raw.push(time(from)..end);
    }
    let mut joined: Vec<Range<Seconds>> = Vec::new();
    for span in raw {
        match joined.last_mut() {
            Some(last) if span.start - last.end < options.shortest_pause => last.end = span.end,
            _ => joined.push(span),
        }
    }
    joined.retain(|span| span.end - span.start >= options.shortest_speech);
    widen(&joined, end, options.margin)
}

/// Widens spans without letting them meet.
fn widen(spans: &[Range<Seconds>], end: Seconds, margin: Seconds) -> Vec<Range<Seconds>> {
    let middle = |a: Seconds, b: Seconds| Seconds(f64::midpoint(a.0, b.0));
    spans
        .iter()
        .enumerate()
        .map(|(index, span)| {
            let floor = index
                .checked_sub(1)
                .and_then(|before| spans.get(before))
                .map_or(Seconds::ZERO, |before| middle(before.end, span.start));
            let ceiling = spans
                .get(index + 1)
                .map_or(end, |after| middle(span.end, after.start));
            (span.start - margin).max(floor)..(span.end + margin).min(ceiling)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digital_silence_and_hiss_hold_no_speech() {
        assert!(speech_spans(&[], &VadOptions::default()).is_empty());
        assert!(speech_spans(&vec![0.0; 32_000], &VadOptions::default()).is_empty());
        let mut state = 1_u32;
        let hiss: Vec<f32> = (0..32_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (f64::from(state >> 8) / f64::from(1 << 24) - 0.5) as f32 * 0.01
            })
            .collect();
        let spoken: f64 = speech_spans(&hiss, &VadOptions::default())
            .iter()
            .map(|span| (span.end - span.start).0)
            .sum();
        assert!(spoken < 0.4, "{spoken} s of speech in 2 s of hiss");
    }

    #[test]
    fn short_pauses_are_bridged_and_long_ones_kept() {
        let mut frames = vec![0.0; 40];
        frames.extend(vec![0.9; 30]);
        frames.extend(vec![0.1; 6]);
        frames.extend(vec![0.9; 30]);
        frames.extend(vec![0.1; 60]);
        frames.extend(vec![0.9; 30]);
        let spans = spans_of(&frames, Seconds(196.0 * 0.016), &VadOptions::default());
        assert_eq!(spans.len(), 2);
        assert!((spans[0].start.0 - (0.64 - 0.1)).abs() < 1e-9);
        assert!((spans[0].end.0 - (106.0 * 0.016 + 0.1)).abs() < 1e-9);
        assert!((spans[1].end.0 - 196.0 * 0.016).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn spans_are_ordered_apart_and_inside(frames in prop::collection::vec(0.0_f32..1.0, 0..300)) {
            let end = Seconds(frames.len() as f64 * 0.016);
            let mut last = Seconds(0.0);
            for span in spans_of(&frames, end, &VadOptions::default()) {
                prop_assert!(span.start >= last && span.start < span.end && span.end <= end);
                last = span.end;
            }
        }
    }
}
