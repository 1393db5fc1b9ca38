//! What is done with hostile bytes, one function a reader. They return quietly, whatever the bytes are: a panic, a
//! hang, or a broken promise is a finding.
//!
//! `fuzz_targets/` calls these from libFuzzer, `crates/project/tests/hostile.rs` with mutated seeds in every gate.

use edit::cuts::CutConfig;
use edit::diff::{self, WordOp};
use edit::edits::{self, FillerConfig, Request, Wish};
use edit::script::Script;
use edit::timeline::{TimelineConfig, TimelineInput};
use edit::{EditList, FrameClock, PictureRun, SoundClock, Timeline, Transcript, Word};
use media::{Clip, OpenOptions};
use std::io::Write;
use std::ops::Range;
use units::{FrameIndex, FrameRate, SampleIndex, SampleRate, Seconds};

/// Numbers taken from the bytes one after the other; zeros when they run out.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// 0..1.
    fn share(&mut self) -> f64 {
        f64::from(u16::from_le_bytes([self.byte(), self.byte()])) / 65535.0
    }

    /// Any float at all, `NaN` and infinity among them.
    fn wild(&mut self) -> f64 {
        let mut bytes = [0; 8];
        bytes.fill_with(|| self.byte());
        f64::from_le_bytes(bytes)
    }
}

/// Transcripts of all formats: what is read has ordered words, and comes back as it was written.
pub(crate) fn transcript(bytes: &[u8]) {
    let Ok(loaded) = speech::transcript::parse(bytes) else {
        return;
    };
    let transcript = loaded.transcript;
    let mut last = Seconds::ZERO;
    for word in transcript.words() {
        assert!(word.start >= last && word.end >= word.start, "{word:?}");
        assert!(!word.text.trim().is_empty(), "{word:?}");
        last = word.end;
    }
    let written = speech::transcript::to_json(&transcript);
    speech::transcript::to_vtt(&transcript);
    if transcript.is_empty() {
        return;
    }
    let again = match speech::transcript::parse(written.as_bytes()) {
        Ok(loaded) => loaded.transcript,
        Err(error) => panic!("what was written can't be read: {error}"),
    };
    assert_eq!(again.len(), transcript.len());
    for (word, was) in again.words().iter().zip(transcript.words()) {
        // Times are written to the millisecond.
        let near = |a: Seconds, b: Seconds| (a.0 - b.0).abs() < 6e-4;
        assert!(
            word.text == was.text && near(word.start, was.start) && near(word.end, was.end),
            "{word:?} {was:?}"
        );
    }
    speech::transcript::to_srt(&transcript);
}

/// Scripts against a transcript whose words are the script's own, thinned out: the operations cover both texts in order.
pub(crate) fn script(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(script) = Script::parse(&text) else {
        return;
    };
    let mut now = 0.0;
    let mut words = Vec::new();
    for (index, word) in script.words().iter().enumerate() {
        if bytes
            .get(index % bytes.len().max(1))
            .is_some_and(|byte| byte % 3 != 0)
        {
            words.push(Word::new(
                word.text.clone(),
                Seconds(now),
                Seconds(now + 0.2),
            ));
        }
        now += 0.25;
    }
    let Ok(transcript) = Transcript::new(None, words) else {
        return;
    };
    let difference = diff::diff(&transcript, &script);
    let (mut old, mut new) = (0, 0);
    for op in &difference.ops {
        let (words, said) = match op {
            WordOp::Keep { words, script } | WordOp::Replace { words, script, .. } => {
                (words.clone(), script.clone())
            }
            WordOp::Remove { words } => (words.clone(), new..new),
            WordOp::Insert { at, script, .. } => (*at..*at, script.clone()),
            WordOp::Pause { .. } => continue,
        };
        assert_eq!(
            (words.start, said.start),
            (old, new),
            "{:?}",
            difference.ops
        );
        (old, new) = (words.end, said.end);
    }
    assert!((0.0..=1.0).contains(&difference.similarity));
    for value in text.lines() {
        let _ = edits::remove(value, false, &transcript);
        let _ = edits::replace(value, &transcript);
    }
    let _ = edits::fillers(&transcript, &FillerConfig::default());
}

/// Edit lists on clips of any clock: whatever can be planned accounts for every frame and sample once.
pub(crate) fn timeline(bytes: &[u8]) {
    let mut numbers = Numbers(bytes);
    let Some(clock) = clock(&mut numbers) else {
        return;
    };
    let hertz = [8000, 16_000, 44_100, 48_000, 192_000, 1][usize::from(numbers.byte() % 6)];
    let Ok(rate) = SampleRate::new(hertz) else {
        return;
    };
    let sound = SoundClock {
        rate,
        samples: rate.samples_in(clock.end() * (numbers.share() * 1.5)),
        start: Seconds(numbers.share() - 0.5),
    };
    let words = (0..numbers.byte() % 32)
        .map(|_| {
            let start = clock.end() * numbers.share();
            Word::new("word", start, start + Seconds(numbers.share()))
        })
        .collect();
    let Ok(transcript) = Transcript::from_rough(None, words) else {
        return;
    };
    let requests: Vec<Request> = (0..numbers.byte() % 12)
        .map(|index| {
            Request::new(
                format!("edit {index}"),
                wish(&mut numbers, &transcript, &clock),
            )
        })
        .collect();
    let config = CutConfig::default();
    let Ok(list) = EditList::build(&requests, &transcript, clock.end(), None, &config) else {
        return;
    };
    let speech: Vec<Seconds> = list
        .insertions()
        .map(|_| {
            Seconds(if numbers.byte() == 255 {
                numbers.wild()
            } else {
                numbers.share() * 4.0
            })
        })
        .collect();
    let mut shots: Vec<FrameIndex> = (0..numbers.byte() % 4)
        .map(|_| FrameIndex((numbers.share() * clock.frames() as f64) as u64))
        .collect();
    shots.sort_unstable();
    shots.dedup();
    let settings = TimelineConfig::default();
    let input = TimelineInput {
        shots: &shots,
        ..TimelineInput::new(&list, &clock, Some(sound), &speech, &settings)
    };
    let Ok(timeline) = Timeline::plan(&input) else {
        return;
    };
    check_timeline(&timeline, &clock, &sound);
}

fn check_timeline(timeline: &Timeline, clock: &FrameClock, sound: &SoundClock) {
    let frames: u64 = timeline.pictures.iter().map(PictureRun::len).sum();
    assert_eq!(frames, timeline.frames());
    assert!(
        timeline
            .source_frames()
            .iter()
            .all(|frame| frame.0 < clock.frames())
    );
    let samples = sound.rate.nearest(timeline.clock.end()).0;
    assert_eq!(timeline.samples(), samples);
    for run in &timeline.sound {
        if let edit::SoundRun::Source { samples } = run {
            assert!(samples.start < samples.end && samples.end <= SampleIndex(sound.samples));
        }
    }
    for lips in &timeline.lips {
        assert!(lips.start < lips.end && lips.end.0 <= frames);
    }
}

fn clock(numbers: &mut Numbers<'_>) -> Option<FrameClock> {
    let rates = [
        (22, 1),
        (24_000, 1001),
        (25, 1),
        (30_000, 1001),
        (60, 1),
        (1, 1),
        (1000, 1),
    ];
    let (numerator, denominator) = rates[usize::from(numbers.byte() % 7)];
    let rate = FrameRate::new(numerator, denominator).ok()?;
    let frames = u64::from(numbers.byte()) + 1;
    if numbers.byte().is_multiple_of(2) {
        return FrameClock::constant(rate, frames).ok();
    }
    let wild = numbers.byte() == 255;
    let mut now = numbers.share() * 0.2;
    let starts = (0..frames)
        .map(|_| {
            let start = Seconds(now);
            now += if wild {
                numbers.wild()
            } else {
                numbers.share() * 3.0 * rate.frame_duration().0
            };
            start
        })
        .collect();
    FrameClock::new(starts, Seconds(now), rate).ok()
}

fn wish(numbers: &mut Numbers<'_>, transcript: &Transcript, clock: &FrameClock) -> Wish {
    let count = transcript.len().max(1);
    let first = usize::from(numbers.byte()) % count;
    let words = first..(first + 1 + usize::from(numbers.byte() % 3)).min(count);
    let span = |numbers: &mut Numbers<'_>| -> Range<Seconds> {
        let (a, b) = (numbers.share() * 1.1, numbers.share() * 1.1);
        clock.end() * a.min(b)..clock.end() * a.max(b)
    };
    let new = || edit::edits::NewSpeech::say("new words");
    match numbers.byte() % 7 {
        0 => Wish::Remove(words),
        1 => Wish::Replace(words, new()),
        2 => Wish::Insert(first, new()),
        3 => Wish::Pause(first, Seconds(numbers.share() * 3.0)),
        4 => Wish::RemoveSpan {
            span: span(numbers),
            exact: numbers.byte().is_multiple_of(2),
        },
        5 => Wish::Retime {
            span: span(numbers),
            lasts: Seconds(numbers.share() * 5.0),
        },
        _ => Wish::Rerender(span(numbers)),
    }
}

/// Weight files: the header is checked before anything is read through it.
pub(crate) fn weights(bytes: &[u8]) {
    let Some(file) = file(bytes) else {
        return;
    };
    let Ok(checkpoint) = nn::weights::Checkpoint::open(file.path()) else {
        return;
    };
    for name in checkpoint.names() {
        let Some(info) = checkpoint.info(name) else {
            panic!("{name} is named and not there");
        };
        let elements: usize = info.shape.iter().product();
        assert!(
            elements <= bytes.len() * 2,
            "{name} is larger than its file"
        );
        let _ = checkpoint.tensor(name, nn::DType::F32, &nn::Device::Cpu);
    }
    let _ = checkpoint.config::<serde_json::Value>("config");
}

/// Clips: probing says what is there or why it can't be read, and the first frames and samples agree with it.
pub(crate) fn clip(bytes: &[u8]) {
    let Some(file) = file(bytes) else {
        return;
    };
    let Ok(clip) = Clip::open(file.path(), &OpenOptions::default()) else {
        return;
    };
    let info = clip.info();
    assert!(info.duration.0.is_finite() && info.duration.0 >= 0.0);
    if let Some(video) = &info.video {
        assert!(video.frames > 0 && video.times.len() as u64 == video.frames);
        let last = FrameIndex(video.frames.min(3));
        if let Ok(frames) = clip.frames(FrameIndex::ZERO..last) {
            for frame in frames.flatten() {
                assert_eq!(
                    (frame.width(), frame.height()),
                    (video.width as usize, video.height as usize)
                );
            }
        }
    }
    if let Some(audio) = &info.audio {
        let last = SampleIndex(audio.samples.min(4096));
        if let Ok(mut reader) = clip.audio(SampleIndex::ZERO..last) {
            while let Ok(Some(block)) = reader.next_block() {
                assert_eq!(block.channels.len(), usize::from(audio.channels));
            }
        }
    }
}

fn file(bytes: &[u8]) -> Option<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new().ok()?;
    file.write_all(bytes).ok()?;
    Some(file)
}
