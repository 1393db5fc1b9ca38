//! Tables as text, Markdown and CSV.

use crate::metric::{METRICS, Metric};
use crate::pair::PairReport;
use std::fmt::Write as _;

/// Rows of cells under headings; the first column is a name, the others are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Headings.
    pub heads: Vec<String>,
    /// Cells, as many as headings.
    pub rows: Vec<Vec<String>>,
    /// Sentences under the table.
    pub notes: Vec<String>,
}

impl Table {
    /// Aligned columns for a terminal; names to the left, numbers to the right.
    pub fn to_text(&self) -> String {
        let columns = self.heads.len();
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                std::iter::once(&self.heads)
                    .chain(&self.rows)
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in std::iter::once(&self.heads).chain(&self.rows) {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let fill = " ".repeat(width - cell.chars().count().min(*width));
                let last = column + 1 == columns;
                if column == 0 || (last && self.last_is_text()) {
                    line += cell;
                    if !last {
                        line += &fill;
                    }
                } else {
                    line += &fill;
                    line += cell;
                }
                if !last {
                    line += "  ";
                }
            }
            text += line.trim_end();
            text.push('\n');
        }
        for note in &self.notes {
            // Writing to a string can't fail.
            let _ = writeln!(text, "- {note}");
        }
        text
    }

    /// A Markdown table with its notes as a list.
    pub fn to_markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = line(&self.heads);
        let rule: Vec<String> = (0..self.heads.len())
            .map(|column| {
                let plain = column == 0 || (column + 1 == self.heads.len() && self.last_is_text());
                if plain { "---" } else { "---:" }.to_owned()
            })
            .collect();
        text += &line(&rule);
        for row in &self.rows {
            text += &line(row);
        }
        if !self.notes.is_empty() {
            text.push('\n');
            for note in &self.notes {
                let _ = writeln!(text, "- {note}");
            }
        }
        text
    }

    /// Comma-separated values (RFC 4180), without the notes.
    pub fn to_csv(&self) -> String {
        let mut text = String::new();
        for row in std::iter::once(&self.heads).chain(&self.rows) {
            let cells: Vec<String> = row.iter().map(|cell| quoted(cell)).collect();
            text += &cells.join(",");
            text.push('\n');
        }
        text
    }

    fn last_is_text(&self) -> bool {
        self.heads
            .last()
            .is_some_and(|head| head == "note" || head == "reason")
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// A number with as many digits as its size asks for.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 {
        format!("{value:.1}")
    } else if size >= 10.0 {
        format!("{value:.2}")
    } else if size >= 0.001 || size == 0.0 {
        format!("{value:.3}")
    } else {
        format!("{value:.1e}")
    }
}

/// The metric with its unit and the way in which it gets better.
pub fn heading(metric: &Metric) -> String {
    if metric.unit.is_empty() {
        format!("{} {}", metric.name, metric.better.arrow())
    } else {
        format!(
            "{} ({}) {}",
            metric.name,
            metric.unit,
            metric.better.arrow()
        )
    }
}

impl PairReport {
    /// One line a metric.
    pub fn table(&self) -> Table {
        let rows = self
            .scores
            .iter()
            .map(|score| {
                let metric = METRICS.iter().find(|metric| metric.name == score.metric);
                vec![
                    metric.map_or_else(|| score.metric.to_owned(), heading),
                    score.value.map_or_else(|| "–".to_owned(), number),
                    match (&score.reason, metric) {
                        (Some(reason), _) => reason.clone(),
                        (None, Some(metric)) => metric.about.to_owned(),
                        (None, None) => String::new(),
                    },
                ]
            })
            .collect();
        let mut notes = self.notes.clone();
        for (network, file) in &self.networks {
            notes.push(format!("{network}: {file}"));
        }
        Table {
            heads: ["metric", "value", "note"].map(str::to_owned).to_vec(),
            rows,
            notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, number};

    fn table() -> Table {
        Table {
            heads: ["name", "a", "note"].map(str::to_owned).to_vec(),
            rows: vec![
                ["x|y", "1.5", "one, \"two\""].map(str::to_owned).to_vec(),
                ["longer", "–", ""].map(str::to_owned).to_vec(),
            ],
            notes: vec!["said".to_owned()],
        }
    }

    #[test]
    fn all_three_forms_hold_the_same_cells() {
        assert_eq!(
            table().to_text(),
            "name      a  note\nx|y     1.5  one, \"two\"\nlonger    –\n- said\n"
        );
        assert_eq!(
            table().to_markdown(),
            "| name | a | note |\n| --- | ---: | --- |\n| x\\|y | 1.5 | one, \"two\" |\n| longer | – |  |\n\n- said\n"
        );
        assert_eq!(
            table().to_csv(),
            "name,a,note\nx|y,1.5,\"one, \"\"two\"\"\"\nlonger,–,\n"
        );
    }

    #[test]
    fn digits_follow_the_size() {
        assert_eq!(
            [123.456, 12.3456, 0.123_45, 0.000_012_3, 0.0, -4.5].map(number),
            ["123.5", "12.35", "0.123", "1.2e-5", "0.000", "-4.500"]
        );
    }
}
