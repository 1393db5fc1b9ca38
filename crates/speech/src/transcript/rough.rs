//! Words as tools write them, and times for those that have none.

use edit::Word;
use units::Seconds;

/// A word whose times may be missing.
#[derive(Clone, Debug, Default)]
pub(super) struct Rough {
    pub(super) text: String,
    pub(super) start: Option<f64>,
    pub(super) end: Option<f64>,
    pub(super) confidence: Option<f32>,
    pub(super) speaker: Option<String>,
    /// Set where the times belong to a whole group: they bound the spreading, and are not the word's own.
    pub(super) bound: bool,
}

impl Rough {
    /// The words of a text that is said in a span of time, none of them with times of its own.
    pub(super) fn spread(text: &str, start: f64, end: f64, speaker: Option<&str>) -> Vec<Self> {
        let mut words: Vec<Self> = text
            .split_whitespace()
            .map(|word| Self {
                text: word.to_owned(),
                speaker: speaker.map(str::to_owned),
                bound: true,
                ..Self::default()
            })
            .collect();
        if let Some(first) = words.first_mut() {
            first.start = Some(start);
        }
        if let Some(last) = words.last_mut() {
            last.end = Some(end);
        }
        words
    }
}

/// How long a word takes to say, roughly: its letters and digits, and a little for its ends. A letter of a script
/// without spaces is a syllable.
fn weight(text: &str) -> f64 {
    let letters: f64 = text
        .chars()
        .map(|c| match u32::from(c) {
            0x0e00..=0x0e7f | 0x3040..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7af => 3.0,
            _ if c.is_ascii_digit() => 4.0,
            _ if c.is_alphanumeric() => 1.0,
            _ => 0.0,
        })
        .sum();
    letters + 1.0
}

/// Words with times, and how many of them were interpolated. Known times are made finite and orderly; runs of words
/// without times share the time between their neighbours by length. Words before or after all known times take 0.1 s
/// and a letter's time each.
pub(super) fn timed(group: Vec<Rough>) -> (Vec<Word>, usize) {
    let mut group: Vec<Rough> = group
        .into_iter()
        .filter(|word| !word.text.trim().is_empty())
        .collect();
    for word in &mut group {
        word.start = word.start.filter(|t| t.is_finite()).map(|t| t.max(0.0));
        word.end = word.end.filter(|t| t.is_finite()).map(|t| t.max(0.0));
    }
    let mut interpolated = 0;
    let mut at = 0;
    while let Some(word) = group.get(at) {
        if word.start.is_some() && word.end.is_some() && !word.bound {
            at += 1;
            continue;
        }
        // The run of words up to one with an end, or before one with a start.
        let mut end = at + 1;
        while group.get(end - 1).is_some_and(|w| w.end.is_none())
            && group.get(end).is_some_and(|w| w.start.is_none())
        {
            end += 1;
        }
        interpolated += fill(&mut group, at, end);
        at = end;
    }
    let words = group
        .into_iter()
        .map(|word| {
            let start = word.start.unwrap_or(0.0);
            Word {
                text: word.text.trim().to_owned(),
                start: Seconds(start),
                end: Seconds(word.end.unwrap_or(start).max(start)),
                confidence: word
                    .confidence
                    .filter(|c| c.is_finite())
                    .map(|c| c.clamp(0.0, 1.0)),
                speaker: word.speaker.filter(|s| !s.is_empty()),
            }
        })
        .collect();
    (words, interpolated)
}

/// Gives times to the words `from..to`; gives how many of them had not both.
fn fill(group: &mut [Rough], from: usize, to: usize) -> usize {
    let before = from
        .checked_sub(1)
        .and_then(|w| group.get(w))
        .and_then(|w| w.end);
    let after = group.get(to).and_then(|w| w.start);
    let Some(run) = group.get_mut(from..to) else {
        return 0;
    };
    let single = run.len() == 1;
    let total: f64 = run.iter().map(|w| weight(&w.text)).sum();
    let natural = total * 0.07;
    let first = run.first().and_then(|w| w.start).or(before);
    let last = run.last().and_then(|w| w.end).or(after);
    let (start, end) = match (first, last) {
        (Some(start), Some(end)) if end >= start => (start, end),
        (Some(start), _) => (start, start + natural),
        (None, Some(end)) => ((end - natural).max(0.0), end),
        (None, None) => (0.0, natural),
    };
    let mut passed = 0.0;
    let mut guessed = 0;
    for word in run.iter_mut() {
        let share = |weight: f64| start + (end - start) * weight / total;
        let own = word.start.is_some() && word.end.is_some() && single;
        guessed += usize::from(!own);
        let begin = share(passed);
        passed += weight(&word.text);
        word.start = Some(begin);
        word.end = Some(share(passed));
        word.bound = false;
    }
    guessed
}
