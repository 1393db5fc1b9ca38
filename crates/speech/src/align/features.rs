//! The cepstra that the Sphinx acoustic models were trained on (`cmusphinx/sphinxbase`, `src/libsphinxbase/fe`).

use realfft::RealFftPlanner;

/// Cepstra of a frame, and of each of the three streams (themselves, their slope, their curvature).
pub(crate) const CEPSTRA: usize = 13;
const WINDOW: usize = 410;
const FFT: usize = 512;
const FILTERS: usize = 25;
const LOWEST: f64 = 130.0;
const HIGHEST: f64 = 6800.0;
const LIFTER: f64 = 22.0;
/// Samples between two frames: 10 ms.
const HOP: usize = 160;
/// Bands to either side that a band's noise gain is averaged over.
const GAIN_REACH: usize = 6;

/// Cepstra every 10 ms, with the mean of the whole input removed.
pub(crate) struct Cepstra {
    frames: Vec<[f32; CEPSTRA]>,
}

/// The three streams of one frame.
pub(crate) type Streams = [[f32; CEPSTRA]; 3];

impl Cepstra {
    /// Cepstra of 16 kHz samples in -1..1; frame `n` covers 25.6 ms from `n * 10` ms on.
    pub(crate) fn new(samples: &[f32]) -> Self {
        let mut cepstra = Self {
            frames: raw_cepstra(samples),
        };
        cepstra.centre(&[]);
        cepstra
    }

    /// Removes the mean over the frames that `counts` marks, or over all when it marks none.
    pub(crate) fn centre(&mut self, counts: &[bool]) {
        let marked = |n: usize| counts.get(n).copied().unwrap_or(false);
        let any = (0..self.frames.len()).any(marked);
        let mut mean = [0.0_f64; CEPSTRA];
        let mut count = 0.0_f64;
        for (n, frame) in self.frames.iter().enumerate() {
            if !any || marked(n) {
                count += 1.0;
                for (sum, value) in mean.iter_mut().zip(frame) {
                    *sum += f64::from(*value);
                }
            }
        }
        for frame in &mut self.frames {
            for (value, sum) in frame.iter_mut().zip(&mean) {
                *value -= (sum / count.max(1.0)) as f32;
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    /// The cepstra of a frame beside `n`, held at the ends.
    fn beside(&self, n: usize, step: isize) -> [f32; CEPSTRA] {
        let last = self.frames.len().saturating_sub(1);
        let place = (n as isize + step).clamp(0, last as isize);
        self.frames
            .get(place as usize)
            .copied()
            .unwrap_or([0.0; CEPSTRA])
    }

    /// The streams of a frame: `c`, `c(+2) - c(-2)`, and the difference of the slopes one frame later and earlier.
    pub(crate) fn streams(&self, n: usize) -> Streams {
        let at = |step| self.beside(n, step);
        let minus = |a: [f32; CEPSTRA], b: [f32; CEPSTRA]| {
            let mut out = a;
            for (value, other) in out.iter_mut().zip(b) {
                *value -= other;
            }
            out
        };
        [
            at(0),
            minus(at(2), at(-2)),
            minus(minus(at(3), at(-1)), minus(at(1), at(-3))),
        ]
    }
}

/// Energies of the mel bands at a regular hop.
fn band_energies(samples: &[f32], hop: usize) -> Vec<[f32; FILTERS]> {
    let fft = RealFftPlanner::<f32>::new().plan_fft_forward(FFT);
    let mut input = fft.make_input_vec();
    let mut spectrum = fft.make_output_vec();
    let mut scratch = fft.make_scratch_vec();
    let window: Vec<f32> = (0..WINDOW)
        .map(|n| {
            let turn = std::f64::consts::TAU * n as f64 / (WINDOW - 1) as f64;
            (0.54 - 0.46 * turn.cos()) as f32
        })
        .collect();
    let filters = filters();
    let emphasised = emphasised(samples);
    let mut frames = Vec::with_capacity(samples.len() / hop + 1);
    let mut start = 0;
    while start < samples.len() {
        input.fill(0.0);
        for ((slot, sample), weight) in input
            .iter_mut()
            .zip(emphasised.iter().skip(start))
            .zip(&window)
        {
            *slot = sample * weight;
        }
        let done = fft.process_with_scratch(&mut input, &mut spectrum, &mut scratch);
        debug_assert!(done.is_ok());
        let mut bands = [0.0_f32; FILTERS];
        for (band, (first, weights)) in bands.iter_mut().zip(&filters) {
            let sum: f32 = weights
                .iter()
                .zip(spectrum.iter().skip(*first))
                .map(|(w, value)| w * value.norm_sqr())
                .sum();
            *band = sum + 1e-4;
        }
        frames.push(bands);
        start += hop;
    }
    frames
}

/// The recording's own noise in each band: the level that a tenth of the frames stays below, with what the lowest
/// tenth of a noise lies below its mean.
fn noise_floor(frames: &[[f32; FILTERS]]) -> [f32; FILTERS] {
    let mut floor = [0.0; FILTERS];
    for (band, slot) in floor.iter_mut().enumerate() {
        let mut values: Vec<f32> = frames.iter().filter_map(|f| f.get(band).copied()).collect();
        values.sort_by(f32::total_cmp);
        let tenth = values.get(values.len() / 10).copied().unwrap_or(0.0);
        *slot = tenth * 1.8;
    }
    floor
}

/// How far speech lies above the noise, in nats of power: the mean over the bands at their ninth decile.
fn loudness_range(frames: &[[f32; FILTERS]], floor: &[f32; FILTERS]) -> f32 {
    let mut sum = 0.0;
    for (band, noise) in floor.iter().enumerate() {
        let mut values: Vec<f32> = frames.iter().filter_map(|f| f.get(band).copied()).collect();
        values.sort_by(f32::total_cmp);
        let loud = values.get(values.len() * 9 / 10).copied().unwrap_or(1.0);
        sum += (loud / noise).max(1.0).ln();
    }
    sum / FILTERS as f32
}

/// How surely each frame holds sound above the recording's noise, 0 to 1: the mean excess over the noise in all bands,
/// from an eighth to a half of what the loud frames have. One value every 10 ms.
pub(crate) fn presence(samples: &[f32]) -> Vec<f32> {
    let frames = band_energies(samples, HOP);
    let floor = noise_floor(&frames);
    let range = loudness_range(&frames, &floor).max(1.0);
    frames
        .iter()
        .map(|bands| {
            let excess: f32 = bands
                .iter()
                .zip(&floor)
                .map(|(band, noise)| (band / noise).ln().max(0.0).min(1.5 * range))
                .sum();
            ((excess / FILTERS as f32 / range - 0.15) / 0.4).clamp(0.0, 1.0)
        })
        .collect()
}

/// Log-mel cosine transforms, liftered, without mean normalisation. Noise is taken out of noisy recordings, by gains
/// that are smooth over the bands; above 28 dB between noise and speech nothing is.
fn raw_cepstra(samples: &[f32]) -> Vec<[f32; CEPSTRA]> {
    let cosines = cosines();
    let frames = band_energies(samples, HOP);
    let floor = noise_floor(&frames);
    let decibels = loudness_range(&frames, &floor) * 10.0 / std::f32::consts::LN_10;
    let subtract = 0.8 * ((28.0 - decibels) / 6.0).clamp(0.0, 1.0);
    frames
        .iter()
        .map(|bands| {
            let mut gains = [1.0_f32; FILTERS];
            for ((gain, band), noise) in gains.iter_mut().zip(bands).zip(&floor) {
                *gain = ((band - subtract * noise) / band).max(0.05);
            }
            let mut logs = [0.0_f32; FILTERS];
            for (n, (log, band)) in logs.iter_mut().zip(bands).enumerate() {
                let near = gains
                    .iter()
                    .take(n + GAIN_REACH + 1)
                    .skip(n.saturating_sub(GAIN_REACH));
                let count = near.len() as f32;
                *log = (band * near.sum::<f32>() / count).ln();
            }
            let mut frame = [0.0; CEPSTRA];
            for (value, row) in frame.iter_mut().zip(&cosines) {
                *value = row.iter().zip(&logs).map(|(c, l)| c * l).sum();
            }
            frame
        })
        .collect()
}

/// 16-bit scale, half a step of noise (digital silence has no spectrum), and the high frequencies raised.
fn emphasised(samples: &[f32]) -> Vec<f32> {
    let mut state = 1_u32;
    let mut before = 0.0;
    samples
        .iter()
        .map(|&sample| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (f64::from(state >> 8) / f64::from(1 << 24) - 0.5) as f32;
            let scaled = sample * 32_768.0 + noise;
            let out = scaled - 0.97 * before;
            before = scaled;
            out
        })
        .collect()
}

/// Triangles of unit area whose edges lie on bins, evenly spaced in mel: first bin and weights.
fn filters() -> Vec<(usize, Vec<f32>)> {
    let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0).log10();
    let bin_width = 16_000.0 / FFT as f64;
    let (low, high) = (mel(LOWEST), mel(HIGHEST));
    let edge = |n: usize| {
        let at = low + (high - low) * n as f64 / (FILTERS + 1) as f64;
        let hertz = 700.0 * (10.0_f64.powf(at / 2595.0) - 1.0);
        (hertz / bin_width).round()
    };
    (0..FILTERS)
        .map(|n| {
            let (left, middle, right) = (edge(n), edge(n + 1), edge(n + 2));
            let first = left as usize + 1;
            let weights = (first..right as usize)
                .map(|bin| {
                    let bin = bin as f64;
                    let slope =
                        ((bin - left) / (middle - left)).min((right - bin) / (right - middle));
                    (slope * 2.0 / ((right - left) * bin_width)) as f32
                })
                .collect();
            (first, weights)
        })
        .collect()
}

/// The liftered orthonormal cosine transform, a row for each cepstrum.
fn cosines() -> [[f32; FILTERS]; CEPSTRA] {
    let count = FILTERS as f64;
    let mut rows = [[0.0; FILTERS]; CEPSTRA];
    for (order, row) in rows.iter_mut().enumerate() {
        let scale = if order == 0 { 1.0 / count } else { 2.0 / count }.sqrt();
        let lift = 1.0 + LIFTER / 2.0 * (std::f64::consts::PI * order as f64 / LIFTER).sin();
        for (n, value) in row.iter_mut().enumerate() {
            let turn = std::f64::consts::PI * order as f64 * (n as f64 + 0.5) / count;
            *value = (scale * lift * turn.cos()) as f32;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(length: usize) -> Vec<f32> {
        (0..length)
            .map(|n| 0.3 * (n as f32 / 16_000.0) * (n as f32 * 0.2).sin())
            .collect()
    }

    #[test]
    fn the_mean_over_the_marked_frames_is_zero() {
        let counts: Vec<bool> = (0..50).map(|n| n >= 20).collect();
        let mut cepstra = Cepstra::new(&tone(8000));
        assert_eq!(cepstra.len(), 50);
        cepstra.centre(&counts);
        let sum: f32 = (20..50).map(|n| cepstra.streams(n)[0][0]).sum();
        assert!(sum.abs() < 1e-2, "{sum}");
    }

    #[test]
    fn slopes_show_an_onset_and_rest_beyond_the_ends() {
        let mut state = 7_u32;
        let mut samples = vec![0.0; 8000];
        samples.extend((0..8000).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(state >> 8) / f64::from(1 << 24) - 0.5) as f32
        }));
        let cepstra = Cepstra::new(&samples);
        let slope = cepstra.streams(50)[1][0];
        assert!(slope > 1.0, "{slope}");
        assert!(cepstra.streams(500)[1].iter().all(|&d| d == 0.0));
        assert_eq!(Cepstra::new(&[]).streams(3), [[0.0; CEPSTRA]; 3]);
    }

    #[test]
    fn presence_is_where_the_sound_is() {
        let mut samples = vec![0.0; 16_000];
        for (n, sample) in samples.iter_mut().enumerate().take(12_000).skip(8000) {
            *sample = 0.2 * (n as f32 * 0.3).sin() + 0.1 * (n as f32 * 0.9).sin();
        }
        let presence = presence(&samples);
        assert!(presence[..45].iter().all(|&p| p < 0.1));
        assert!(presence[52..72].iter().all(|&p| p > 0.9));
    }
}
