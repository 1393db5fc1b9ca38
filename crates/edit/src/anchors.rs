//! Anchors: moments of the clip that belong to moments of a new track (`dub --script`).
//!
//! A track in another wording or another language can't be laid under the clip word by word. What both share is found
//! first: words that are the same, else sentences where there are as many of them. Between two anchors the
//! pictures are retimed evenly, pauses first (`protect` of [`crate::timeline::TimelineInput`]).

use crate::diff::{self, Verdict, WordOp};
use crate::script::Script;
use crate::{Transcript, Word};
use std::ops::Range;
use units::Seconds;

/// A moment of the clip and the moment of the new track that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anchor {
    /// In the clip.
    pub clip: Seconds,
    /// In the new track.
    pub track: Seconds,
}

/// Which anchors are taken.
#[derive(Clone, Debug, PartialEq)]
pub struct AnchorConfig {
    /// A silence of this length parts phrases; anchors stand at the ends of phrases.
    pub pause: Seconds,
    /// Anchors are at least this far apart, in clip and track.
    pub apart: Seconds,
    /// How fast and how slow the clip may run between two anchors, against its pace over all.
    pub pace: f64,
    /// Texts with less in common than this are compared by sentences.
    pub similar: f64,
}

impl Default for AnchorConfig {
    fn default() -> Self {
        Self {
            pause: Seconds(0.2),
            apart: Seconds(0.4),
            pace: 1.6,
            similar: 0.5,
        }
    }
}

/// Anchors between the words of a clip of `duration` and those of a track that `lasts` as long as it says, ascending
/// in both. The two starts and the two ends belong together anyway and are not among them.
pub fn anchors(
    old: &Transcript,
    new: &Transcript,
    duration: Seconds,
    lasts: Seconds,
    config: &AnchorConfig,
) -> Vec<Anchor> {
    let found = by_words(old, new, config).unwrap_or_else(|| by_sentences(old, new));
    let even = duration.0 / lasts.0;
    let fits = |from: Anchor, to: Anchor| {
        let (clip, track) = (to.clip - from.clip, to.track - from.track);
        let pace = clip.0 / track.0 / even;
        clip >= config.apart
            && track >= config.apart
            && (1.0 / config.pace..=config.pace).contains(&pace)
    };
    let end = Anchor {
        clip: duration,
        track: lasts,
    };
    let mut last = Anchor {
        clip: Seconds::ZERO,
        track: Seconds::ZERO,
    };
    let mut kept = Vec::new();
    for anchor in found {
        if fits(last, anchor) && fits(anchor, end) {
            kept.push(anchor);
            last = anchor;
        }
    }
    kept
}

/// The stretches between anchors: where they lie in the clip, and how long they last under the new track.
pub fn stretches(
    anchors: &[Anchor],
    duration: Seconds,
    lasts: Seconds,
) -> Vec<(Range<Seconds>, Seconds)> {
    let end = Anchor {
        clip: duration,
        track: lasts,
    };
    let mut last = Anchor {
        clip: Seconds::ZERO,
        track: Seconds::ZERO,
    };
    anchors
        .iter()
        .chain([&end])
        .map(|&anchor| {
            let stretch = (last.clip..anchor.clip, anchor.track - last.track);
            last = anchor;
            stretch
        })
        .collect()
}

/// Ends of phrases whose words both texts share; `None` where they share too little.
fn by_words(old: &Transcript, new: &Transcript, config: &AnchorConfig) -> Option<Vec<Anchor>> {
    let text: Vec<&str> = new.words().iter().map(|word| word.text.as_str()).collect();
    let script = Script::parse(&text.join(" ")).ok()?;
    // Marks and spacing aside, the script's words are the track's.
    if script.words().len() != new.len() {
        return None;
    }
    let difference = diff::diff(old, &script);
    if difference.verdict == Verdict::Unrelated || difference.similarity < config.similar {
        return None;
    }
    let mut anchors = Vec::new();
    for op in &difference.ops {
        let WordOp::Keep { words, script } = op else {
            continue;
        };
        if words.len() != script.len() {
            continue;
        }
        for (index, said) in words.clone().zip(script.clone()) {
            let (Some(word), Some(twin)) = (old.words().get(index), new.words().get(said)) else {
                continue;
            };
            let before = index.checked_sub(1).and_then(|at| old.words().get(at));
            if before.is_none_or(|before| parted(before, word, config)) {
                anchors.push(Anchor {
                    clip: word.start,
                    track: twin.start,
                });
            }
            let after = old.words().get(index + 1);
            if after.is_none_or(|after| parted(word, after, config)) {
                anchors.push(Anchor {
                    clip: word.end,
                    track: twin.end,
                });
            }
        }
    }
    Some(anchors)
}

/// Whether a phrase ends between two words.
fn parted(word: &Word, next: &Word, config: &AnchorConfig) -> bool {
    next.start - word.end >= config.pause || ends_sentence(&word.text)
}

/// Starts and ends of sentences, where both texts have as many.
fn by_sentences(old: &Transcript, new: &Transcript) -> Vec<Anchor> {
    let (old, new) = (sentences(old), sentences(new));
    if old.len() != new.len() {
        return Vec::new();
    }
    old.into_iter()
        .zip(new)
        .flat_map(|(clip, track)| {
            [
                Anchor {
                    clip: clip.start,
                    track: track.start,
                },
                Anchor {
                    clip: clip.end,
                    track: track.end,
                },
            ]
        })
        .collect()
}

/// When each sentence is said.
fn sentences(transcript: &Transcript) -> Vec<Range<Seconds>> {
    transcript
        .words()
        .chunk_by(|word, _| !ends_sentence(&word.text))
        .filter_map(|words| Some(words.first()?.start..words.last()?.end))
        .collect()
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(['"', '\'', '”', '’', '»', '«', ')', ']', '」', '』'])
        .ends_with(['.', '!', '?', '…', '。', '！', '？', '।', '؟'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of 0.3 s, 0.1 s apart; `|` is half a second of silence.
    fn transcript(text: &str, pace: f64) -> Transcript {
        let mut now = 0.2 * pace;
        let mut words = Vec::new();
        for word in text.split(' ') {
            if word == "|" {
                now += 0.5 * pace;
                continue;
            }
            words.push(Word::new(word, Seconds(now), Seconds(now + 0.3 * pace)));
            now += 0.4 * pace;
        }
        Transcript::new(None, words).unwrap()
    }

    fn end(transcript: &Transcript) -> Seconds {
        transcript.words().last().unwrap().end + Seconds(0.3)
    }

    #[test]
    fn phrases_of_the_same_words_belong_together() {
        let old = transcript("we meet on Tuesday | um at nine | and bring the plan", 1.0);
        let new = transcript("we meet on Wednesday | at nine | | and bring the plan", 1.1);
        let found = anchors(&old, &new, end(&old), end(&new), &AnchorConfig::default());
        let nine = |transcript: &Transcript, word: &str| {
            let words = transcript.words();
            words.iter().find(|found| found.text == word).unwrap().end
        };
        assert!(found.contains(&Anchor {
            clip: nine(&old, "nine"),
            track: nine(&new, "nine")
        }));
        let pieces = stretches(&found, end(&old), end(&new));
        let (clip, track) = pieces.iter().fold((0.0, 0.0), |sum, (range, lasts)| {
            (sum.0 + (range.end - range.start).0, sum.1 + lasts.0)
        });
        assert!((clip - end(&old).0).abs() < 1e-9 && (track - end(&new).0).abs() < 1e-9);
    }

    #[test]
    fn sentences_of_another_language_belong_together() {
        let old = transcript("Good morning. | The blue box is ready. Come at nine.", 1.0);
        let new = transcript(
            "Guten Morgen. | Der blaue Kasten steht bereit. Kommt um neun.",
            1.2,
        );
        let found = anchors(&old, &new, end(&old), end(&new), &AnchorConfig::default());
        let at = |transcript: &Transcript, index: usize| transcript.words()[index].start;
        assert!(found.contains(&Anchor {
            clip: at(&old, 2),
            track: at(&new, 2)
        }));
        assert!(found.len() >= 3);
        let more = transcript(
            "Guten Morgen. Der Kasten. Steht bereit. Kommt um neun.",
            1.2,
        );
        assert_eq!(
            anchors(&old, &more, end(&old), end(&more), &AnchorConfig::default()),
            []
        );
    }

    #[test]
    fn anchors_that_would_race_or_freeze_the_picture_are_left_out() {
        let old = transcript("one two | three four | five six", 1.0);
        let new = transcript("one two | | | | | | | | three four | five six", 1.0);
        let config = AnchorConfig::default();
        let (duration, lasts) = (end(&old), end(&new));
        let found = anchors(&old, &new, duration, lasts, &config);
        for (range, track) in stretches(&found, duration, lasts) {
            let pace = (range.end - range.start).0 / track.0 / (duration.0 / lasts.0);
            assert!((0.6..=1.7).contains(&pace), "{pace}");
        }
    }
}
