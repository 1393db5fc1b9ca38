//! Alignment of any language that espeak-ng speaks: its voice says the words, and dynamic time warping maps the
//! recording's frames onto the voice's. (As `readbeyond/aeneas` does for sentences.)

use super::features::{Cepstra, presence};
use super::text::Token;
use super::{AlignError, Phone, Timed};
use crate::voice::espeak;
use std::ops::Range;
use units::{SampleRate, Seconds};

/// Numbers that describe a frame: 12 cepstra and their slopes.
const WIDTH: usize = 24;
/// Frames of one window of the recording: 40 s.
const WINDOW: usize = 4000;
/// Most frames of the voice that one frame of the recording may pass: the recording may be so much faster.
const FASTEST: usize = 3;
/// Frames of silence between the voice's words, which may be held or skipped.
const GAP: usize = 4;
/// Cost of sound where the voice is silent, and of silence where it speaks (distances are about 1).
const MISPLACED: f32 = 1.2;
/// Cost of sound in a gap: more than any two unlike frames, or the path would wait in gaps.
const SOUND_IN_GAP: f32 = 3.0;
/// Cost of holding a frame of the voice, and of passing two or three.
const STEPS: [f32; FASTEST + 1] = [0.5, 0.0, 0.3, 1.0];

struct Frame {
    values: [f32; WIDTH],
    presence: f32,
}

/// A frame of the voice: the word that it belongs to, or a gap.
struct Said {
    frame: Option<Frame>,
    word: usize,
}

pub(super) fn align(
    samples: &[f32],
    tokens: &[Token],
    language: &str,
) -> Result<Timed, AlignError> {
    let texts: Vec<String> = tokens
        .iter()
        .map(|token| {
            token
                .spoken
                .first()
                .map_or_else(String::new, |w| w.join(" "))
        })
        .collect();
    let voice = espeak::each_word(&texts, language).map_err(|source| AlignError::Voice {
        language: language.to_owned(),
        source,
    })?;
    let heard = frames(samples);
    let mut joined = Vec::new();
    let mut ends = Vec::new();
    for wave in &voice {
        let mut samples = wave.at_rate(SampleRate::SPEECH).samples;
        // Whole frames, so that each belongs to one word.
        samples.resize(samples.len().div_ceil(160).max(1) * 160, 0.0);
        joined.extend(samples);
        ends.push(joined.len() / 160);
    }
    let voiced = frames(&joined);
    let pace = pace(&heard, &voiced);
    let mut said = vec![];
    let gap = |said: &mut Vec<Said>, word| {
        said.extend((0..GAP).map(|_| Said { frame: None, word }));
    };
    let mut voiced = voiced.into_iter().map(Some).collect::<Vec<_>>();
    let mut begin = 0;
    for (word, &end) in ends.iter().enumerate() {
        gap(&mut said, word);
        let count = (((end - begin) as f64 / pace).round() as usize).max(1);
        for n in 0..count {
            let index = begin + (end - begin) * n / count;
            if let Some(frame) = voiced.get_mut(index).and_then(Option::take) {
                let frame = Some(frame);
                said.push(Said { frame, word });
            }
        }
        begin = end;
    }
    gap(&mut said, tokens.len());
    let spans = spans(&heard, &said, tokens.len()).ok_or(AlignError::NoMatch {
        words: tokens.len(),
        seconds: samples.len() as f64 / 16_000.0,
    })?;
    let time = |frame: usize| Seconds(frame as f64 * 0.01 + 0.005);
    let phones = spans
        .iter()
        .enumerate()
        .map(|(word, &(start, end, _))| Phone {
            name: String::new(),
            word,
            start: time(start),
            end: time(end),
        })
        .collect();
    Ok(Timed {
        phones,
        confidences: spans
            .iter()
            .map(|&(_, _, cost)| 1.0 / (1.0 + ((cost - 1.1) * 5.0).exp()))
            .collect(),
        guessed: Vec::new(),
    })
}

/// How many frames of the voice go by in a frame of the recording, all in all: words said apart are slow.
fn pace(heard: &[Frame], voiced: &[Frame]) -> f64 {
    let present = |frames: &[Frame]| frames.iter().filter(|f| f.presence > 0.5).count();
    (voiced.len() as f64 / present(heard).max(1) as f64).clamp(1.0, 4.0)
}

/// Cepstra without level, each with mean 0 and variance 1 / 24 over the frames with sound.
fn frames(samples: &[f32]) -> Vec<Frame> {
    let presence = presence(samples);
    let spoken: Vec<bool> = presence.iter().map(|&p| p > 0.5).collect();
    let mut cepstra = Cepstra::new(samples);
    cepstra.centre(&spoken);
    let mut frames: Vec<Frame> = presence
        .iter()
        .enumerate()
        .map(|(n, &presence)| {
            let [values, slopes, _] = cepstra.streams(n);
            let mut all = [0.0; WIDTH];
            let source = values.iter().skip(1).chain(slopes.iter().skip(1));
            for (slot, value) in all.iter_mut().zip(source) {
                *slot = *value;
            }
            Frame {
                values: all,
                presence,
            }
        })
        .collect();
    let mut squares = [1e-3_f32; WIDTH];
    let mut count = 1.0;
    for frame in frames.iter().filter(|f| f.presence > 0.5) {
        count += 1.0;
        for (square, value) in squares.iter_mut().zip(frame.values) {
            *square += value * value;
        }
    }
    for frame in &mut frames {
        for (value, square) in frame.values.iter_mut().zip(squares) {
            *value /= (square / count * WIDTH as f32).sqrt();
        }
    }
    frames
}

fn cost(heard: &Frame, said: &Said) -> f32 {
    match &said.frame {
        None => SOUND_IN_GAP * heard.presence,
        Some(frame) => {
            let square: f32 = frame
                .values
                .iter()
                .zip(&heard.values)
                .map(|(a, b)| (a - b) * (a - b))
                .sum();
            // Two unlike frames of unit variance lie at 2.
            square.sqrt().min(2.5) + MISPLACED * (frame.presence - heard.presence).abs()
        }
    }
}

/// Start, end and mean cost of every word, window by window: a window's later words are left to the next one.
fn spans(heard: &[Frame], said: &[Said], words: usize) -> Option<Vec<(usize, usize, f32)>> {
    let mut spans: Vec<(usize, usize, f32)> = Vec::with_capacity(words);
    let (mut from, mut at) = (0, 0);
    while spans.len() < words {
        let rest = heard.get(from..)?;
        let last = rest.len() <= WINDOW;
        let window = rest.get(..rest.len().min(WINDOW))?;
        let reach = said.get(at..)?;
        let reach = if last {
            reach
        } else {
            reach.get(..reach.len().min(window.len() * FASTEST))?
        };
        // Where the window may end in the voice: around its share of what is left.
        let share = window.len() as f64 / rest.len() as f64 * (said.len() - at) as f64;
        let ends = if last {
            reach.len().saturating_sub(GAP + 1)..reach.len()
        } else {
            (share * 0.6) as usize..((share * 1.5) as usize).min(reach.len())
        };
        let path = warp(window, reach, last, ends)?;
        let first = spans.len();
        for (n, &place) in path.iter().enumerate() {
            let Some(said) = reach.get(place).filter(|s| s.frame.is_some()) else {
                continue;
            };
            let price = window.get(n).map_or(0.0, |f| cost(f, said));
            // A word passed over without a frame starts where the next does.
            while spans.len() <= said.word {
                spans.push((from + n, from + n, 0.0));
            }
            if let Some(span) = spans.get_mut(said.word) {
                span.1 = from + n + 1;
                span.2 += price;
            }
        }
        if last {
            while spans.len() < words {
                let end = heard.len();
                spans.push((end, end, 0.0));
            }
        } else {
            // Words near the window's end, whose continuation it does not see, are done again.
            let safe = from + window.len() * 7 / 10;
            let keep = spans
                .iter()
                .skip(first)
                .filter(|s| s.1 <= safe)
                .count()
                .max(1);
            spans.truncate(first + keep);
            from = spans.last()?.1.max(from + 1);
            at = said
                .iter()
                .position(|s| s.word == spans.len())
                .unwrap_or(said.len());
        }
    }
    for span in &mut spans {
        span.2 /= (span.1 - span.0).max(1) as f32;
    }
    Some(spans)
}

/// The place in `said` of every frame of `heard`: from its start to one of `ends`, which reach its end when `whole`.
fn warp(heard: &[Frame], said: &[Said], whole: bool, ends: Range<usize>) -> Option<Vec<usize>> {
    let width = said.len();
    let mut scores = vec![f32::INFINITY; width];
    let mut steps = vec![0_u8; heard.len() * width];
    for (n, (frame, steps)) in heard.iter().zip(steps.chunks_mut(width.max(1))).enumerate() {
        let mut next = vec![f32::INFINITY; width];
        // Beyond what can be reached, or from where the end can't be, nothing is computed.
        let furthest = ((n + 1) * FASTEST + GAP).min(width);
        let nearest = if whole {
            width.saturating_sub((heard.len() - n) * FASTEST)
        } else {
            0
        };
        for place in nearest..furthest {
            let mut best = (f32::INFINITY, 0);
            if n == 0 {
                if place <= GAP {
                    best.0 = 0.0;
                }
            } else {
                for (step, &price) in STEPS.iter().enumerate().take(place + 1) {
                    let held_gap = step == 0 && said.get(place).is_some_and(|s| s.frame.is_none());
                    let price = if held_gap { 0.0 } else { price };
                    let before = scores.get(place - step).copied().unwrap_or(f32::INFINITY);
                    if before + price < best.0 {
                        best = (before + price, step as u8);
                    }
                }
            }
            if best.0.is_finite()
                && let (Some(slot), Some(step), Some(said)) =
                    (next.get_mut(place), steps.get_mut(place), said.get(place))
            {
                *slot = best.0 + cost(frame, said);
                *step = best.1;
            }
        }
        scores = next;
    }
    let mut place = ends.min_by(|&a, &b| compare(&scores, a, b))?;
    if !scores.get(place)?.is_finite() {
        return None;
    }
    let mut path = vec![0; heard.len()];
    for (slot, steps) in path.iter_mut().zip(steps.chunks(width)).rev() {
        *slot = place;
        place = place.saturating_sub(usize::from(steps.get(place).copied().unwrap_or(0)));
    }
    Some(path)
}

fn compare(scores: &[f32], a: usize, b: usize) -> std::cmp::Ordering {
    let score = |n: usize| scores.get(n).copied().unwrap_or(f32::INFINITY);
    score(a).total_cmp(&score(b))
}
