//! CMX 3600 edit decision list.
//!
//! One list for pictures (`V`) and one for sound (`A`), in one file, numbered through. Sound is
//! cut to the sample in `reword` and to the frame here: the format knows nothing finer.

use super::segments::{pictures, sounds};
use super::{Plan, Timecode};
use std::fmt::Write as _;
use std::ops::Range;
use units::{SampleIndex, SampleRate};

/// The plan as an edit decision list. New speech is on reel `BL` (black), with its words in a
/// comment.
pub fn edl(plan: &Plan<'_>) -> String {
    let drop = Timecode::is_drop_frame(plan.clip.rate);
    let mut list = List {
        plan,
        text: String::new(),
        number: 0,
    };
    list.line(format_args!("TITLE: {}", one_line(plan.title())));
    list.line(format_args!(
        "FCM: {}",
        if drop { "DROP FRAME" } else { "NON-DROP FRAME" }
    ));
    list.pictures();
    if let Some(sound) = plan.clip.sound {
        list.sounds(sound.rate);
    }
    list.text
}

struct List<'a> {
    plan: &'a Plan<'a>,
    text: String,
    number: usize,
}

impl List<'_> {
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string can't fail.
        let _ = writeln!(self.text, "{text}");
    }

    fn event(
        &mut self,
        reel: &str,
        track: &str,
        how: &str,
        source: &Range<u64>,
        record: &Range<u64>,
    ) {
        let code = |frame| Timecode::new(frame, self.plan.clip.rate);
        let line = format!(
            "{:03}  {reel:<8} {track:<5} {how:<8} {} {} {} {}",
            self.number,
            code(source.start),
            code(source.end),
            code(record.start),
            code(record.end),
        );
        self.line(format_args!("{line}"));
    }

    fn pictures(&mut self) {
        let reel = reel(self.plan.title());
        // A dissolve belongs to the event that comes; it begins while the last one is still seen.
        let mut dissolve = 0;
        let mut before: Option<u64> = None;
        for picture in pictures(self.plan) {
            self.number += 1;
            let next = picture.dissolve;
            let record = picture.output.start - dissolve..picture.output.end - next;
            match &picture.source {
                Some(source) => {
                    let taken =
                        source.start.saturating_sub(dissolve)..source.end.saturating_sub(next);
                    if dissolve > 0 {
                        let from = before.unwrap_or_default();
                        self.event(
                            &reel,
                            "V",
                            "C",
                            &(from..from),
                            &(record.start..record.start),
                        );
                        self.event(
                            &reel,
                            "V",
                            &format!("D    {:03}", 2 * dissolve),
                            &taken,
                            &record,
                        );
                        self.clip_name("FROM CLIP NAME");
                        self.clip_name("TO CLIP NAME");
                    } else {
                        self.event(&reel, "V", "C", &taken, &record);
                        self.clip_name("FROM CLIP NAME");
                    }
                    before = Some(taken.end);
                }
                None => self.black("V", picture.insertion, &record),
            }
            dissolve = next;
        }
    }

    fn sounds(&mut self, rate: SampleRate) {
        let reel = reel(self.plan.title());
        let rate_of_pictures = self.plan.clip.rate;
        let start_of = |sample| rate.start_of(sample);
        let frame = |sample: SampleIndex| rate_of_pictures.nearest(start_of(sample)).0;
        let parts: Vec<_> = sounds(self.plan)
            .into_iter()
            .map(|part| {
                let record = frame(part.output.start)..frame(part.output.end);
                // The offset is rounded once, and as the pictures' is, so that both agree.
                let start = part.source.map(|source| {
                    let offset = start_of(source.start) - start_of(part.output.start);
                    let offset = (offset.0 * rate_of_pictures.per_second() - 1e-6).round();
                    record.start.saturating_add_signed(offset as i64)
                });
                (start, part.insertion, record)
            })
            .collect();
        for (start, insertion, record) in parts {
            if record.start >= record.end {
                continue;
            }
            self.number += 1;
            match start {
                Some(start) => {
                    let source = start..start + (record.end - record.start);
                    self.event(&reel, "A", "C", &source, &record);
                    self.clip_name("FROM CLIP NAME");
                }
                None => self.black("A", insertion, &record),
            }
        }
    }

    fn black(&mut self, track: &str, insertion: Option<usize>, record: &Range<u64>) {
        self.event("BL", track, "C", &(0..record.end - record.start), record);
        if let Some(insertion) = insertion {
            let label = one_line(&self.plan.label(insertion));
            self.line(format_args!("* COMMENT: NEW SPEECH {label}"));
        }
    }

    fn clip_name(&mut self, what: &str) {
        let name = one_line(&self.plan.clip.name);
        self.line(format_args!("* {what}: {name}"));
    }
}

/// A reel name: up to eight capital letters and digits.
fn reel(title: &str) -> String {
    let name: String = title
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .map(|character| character.to_ascii_uppercase())
        .collect();
    // `BL` is black, `AX` the usual name of a reel without one.
    if name.is_empty() || name == "BL" {
        "AX".to_owned()
    } else {
        name
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
