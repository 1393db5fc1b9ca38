//! Praat's `TextGrid`, long and short: as Praat itself does, only free-standing numbers, quoted texts and flags count.

use super::columns::is_silence;
use super::rough::Rough;
use super::{Format, ParseError, Parsed};

/// A value of the file, with its line.
enum Value {
    Number(f64),
    Text(String),
    Flag,
}

struct Tier {
    name: String,
    intervals: Vec<(f64, f64, String)>,
}

pub(super) fn looks_like(text: &str) -> bool {
    let head: String = text.chars().take(200).collect();
    head.contains("ooTextFile") && head.contains("TextGrid")
}

pub(super) fn parse(text: &str) -> Result<Parsed, ParseError> {
    let values = values(text)?;
    let mut reader = Reader {
        values: values.into_iter(),
        line: 1,
    };
    reader.text()?;
    reader.text()?;
    reader.number()?;
    reader.number()?;
    reader.flag()?;
    let mut tiers = Vec::new();
    let count = reader.count()?;
    for _ in 0..count {
        if let Some(tier) = reader.tier()? {
            tiers.push(tier);
        }
    }
    Ok(Parsed {
        format: Format::TextGrid,
        language: None,
        groups: groups(&tiers),
    })
}

/// The tiers that hold words: those named so (one for each speaker), or the first that does not hold phones.
fn groups(tiers: &[Tier]) -> Vec<Vec<Rough>> {
    let named = |tier: &&Tier, names: &[&str]| {
        let name = tier.name.to_lowercase();
        names.iter().any(|n| name.contains(n))
    };
    let words = ["word", "wort", "mot", "palabra", "orth", "ort"];
    let phones = ["phone", "phon", "segment", "mau", "kan"];
    let mut chosen: Vec<&Tier> = tiers
        .iter()
        .filter(|t| named(t, &words) && !named(t, &["phone"]))
        .collect();
    if chosen.is_empty() {
        chosen = tiers
            .iter()
            .filter(|t| !named(t, &phones))
            .take(1)
            .collect();
    }
    if chosen.is_empty() {
        chosen = tiers.iter().take(1).collect();
    }
    let several = chosen.len() > 1;
    chosen
        .iter()
        .flat_map(|tier| {
            let speaker = several
                .then(|| tier.name.rsplit_once(" - ").map(|(speaker, _)| speaker))
                .flatten();
            tier.intervals
                .iter()
                .filter(|(_, _, text)| !is_silence(text))
                .map(move |(start, end, text)| {
                    let mut words = Rough::spread(text, *start, *end, speaker);
                    if let [single] = words.as_mut_slice() {
                        single.bound = false;
                    }
                    words
                })
        })
        .collect()
}

struct Reader {
    values: std::vec::IntoIter<(Value, usize)>,
    line: usize,
}

impl Reader {
    fn next(&mut self, what: &str) -> Result<Value, ParseError> {
        match self.values.next() {
            Some((value, line)) => {
                self.line = line;
                Ok(value)
            }
            None => Err(broken(self.line, format!("it ends where {what} should be"))),
        }
    }

    fn number(&mut self) -> Result<f64, ParseError> {
        match self.next("a number")? {
            Value::Number(number) => Ok(number),
            _ => Err(broken(self.line, "a number should be here".to_owned())),
        }
    }

    fn text(&mut self) -> Result<String, ParseError> {
        match self.next("a text")? {
            Value::Text(text) => Ok(text),
            _ => Err(broken(
                self.line,
                "a text in quotes should be here".to_owned(),
            )),
        }
    }

    fn flag(&mut self) -> Result<(), ParseError> {
        match self.next("a flag")? {
            Value::Flag => Ok(()),
            _ => Err(broken(self.line, "<exists> should be here".to_owned())),
        }
    }

    fn count(&mut self) -> Result<usize, ParseError> {
        let number = self.number()?;
        if number.fract() == 0.0 && (0.0..=10_000_000.0).contains(&number) {
            Ok(number as usize)
        } else {
            Err(broken(self.line, format!("{number} is no count")))
        }
    }

    /// A tier; nothing for a tier of points.
    fn tier(&mut self) -> Result<Option<Tier>, ParseError> {
        let class = self.text()?;
        let name = self.text()?;
        self.number()?;
        self.number()?;
        let count = self.count()?;
        if class == "TextTier" {
            for _ in 0..count {
                self.number()?;
                self.text()?;
            }
            return Ok(None);
        }
        let mut intervals = Vec::new();
        for _ in 0..count {
            intervals.push((self.number()?, self.number()?, self.text()?));
        }
        Ok(Some(Tier { name, intervals }))
    }
}

fn broken(line: usize, what: String) -> ParseError {
    ParseError::Broken {
        format: Format::TextGrid,
        line,
        what,
    }
}

fn values(text: &str) -> Result<Vec<(Value, usize)>, ParseError> {
    let mut values = Vec::new();
    let mut line = 1;
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '\n' => line += 1,
            '"' => {
                let began = line;
                let mut text = String::new();
                loop {
                    match letters.next() {
                        // A doubled quote stands for one.
                        Some('"') if letters.peek() == Some(&'"') => {
                            letters.next();
                            text.push('"');
                        }
                        Some('"') => break,
                        Some(c) => {
                            line += usize::from(c == '\n');
                            text.push(c);
                        }
                        None => return Err(broken(began, "a quote is not closed".to_owned())),
                    }
                }
                values.push((Value::Text(text), began));
            }
            '!' => {
                // A comment up to the end of the line.
                while letters.peek().is_some_and(|&c| c != '\n') {
                    letters.next();
                }
            }
            c if c.is_whitespace() => {}
            c => {
                let mut word = String::from(c);
                while let Some(&c) = letters.peek() {
                    if c.is_whitespace() || c == '"' {
                        break;
                    }
                    word.push(c);
                    letters.next();
                }
                if word.starts_with('<') {
                    values.push((Value::Flag, line));
                } else if word.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
                    && let Ok(number) = word.trim_end_matches('%').parse::<f64>()
                    && number.is_finite()
                {
                    values.push((Value::Number(number), line));
                }
            }
        }
    }
    Ok(values)
}
