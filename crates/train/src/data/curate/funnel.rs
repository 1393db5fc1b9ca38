//! How many clips each filter drops, as a table and a picture.

use std::fmt::Write as _;

use media::image::Rgb8;
use serde::Serialize;

use super::{Filter, Verdict};

/// One filter's line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The filter.
    pub filter: Filter,
    /// Clips that fell here.
    pub dropped: usize,
    /// Clips that are left behind it.
    pub left: usize,
    /// Seconds that are left.
    pub seconds: f64,
}

/// All filters in order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Funnel {
    /// Clips at the start.
    pub clips: usize,
    /// Their seconds, as far as they are known.
    pub seconds: f64,
    /// One a filter.
    pub steps: Vec<Step>,
}

impl Funnel {
    /// Counts verdicts.
    pub fn of(verdicts: &[Verdict]) -> Self {
        let seconds = |verdict: &Verdict| match (verdict.examined.frames, verdict.examined.rate) {
            (Some(frames), Some(rate)) if rate > 0.0 => frames as f64 / rate,
            _ => 0.0,
        };
        let mut left: Vec<&Verdict> = verdicts.iter().collect();
        let mut steps = Vec::new();
        for filter in Filter::ALL {
            let before = left.len();
            left.retain(|verdict| verdict.failed != Some(filter));
            steps.push(Step {
                filter,
                dropped: before - left.len(),
                left: left.len(),
                seconds: left.iter().map(|v| seconds(v)).sum(),
            });
        }
        Self {
            clips: verdicts.len(),
            seconds: verdicts.iter().map(seconds).sum(),
            steps,
        }
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:16} {:>8} {:>8} {:>9}\n{:16} {:>8} {:>8} {:>9}\n",
            "filter",
            "dropped",
            "left",
            "minutes",
            "",
            "",
            self.clips,
            format!("{:.1}", self.seconds / 60.0)
        );
        for step in &self.steps {
            // Writing to a string can't fail.
            let _ = writeln!(
                text,
                "{:16} {:>8} {:>8} {:>9}",
                step.filter.name(),
                step.dropped,
                step.left,
                format!("{:.1}", step.seconds / 60.0)
            );
        }
        text
    }

    /// Bars of what is left behind each filter, one below the other.
    pub fn picture(&self) -> Rgb8 {
        const ROW: usize = 24;
        const WIDTH: usize = 640;
        let rows = self.steps.len() + 1;
        let mut picture = Rgb8::filled(WIDTH + 200, rows * ROW + 16, [255; 3]);
        let all = self.clips.max(1);
        let lines = std::iter::once(("all", self.clips, 0)).chain(
            self.steps
                .iter()
                .map(|s| (s.filter.name(), s.left, s.dropped)),
        );
        for (row, (name, left, dropped)) in lines.enumerate() {
            let top = 8 + row * ROW;
            let (kept, lost) = (WIDTH * left / all, WIDTH * dropped / all);
            for y in top..top + ROW - 6 {
                for x in 0..kept + lost {
                    let colour = if x < kept {
                        [86, 180, 233]
                    } else {
                        [213, 94, 0]
                    };
                    picture.set_pixel(190 + x, y, colour);
                }
            }
            let label = format!("{name} {left}");
            crate::log::write_text(&mut picture, 6, top + 5, &label);
        }
        picture
    }
}
