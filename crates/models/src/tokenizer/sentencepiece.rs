//! `SentencePiece`'s model file: a protocol buffer with the pieces, their scores, and how text
//! is normalised (google/sentencepiece `src/sentencepiece_model.proto`).

use tokenizers::Tokenizer;
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{NormalizerWrapper, Precompiled, Replace, Sequence, Strip};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};

use super::PromptTokenizer;

/// Its sign for a space.
const SPACE: char = '\u{2581}';

/// More pieces than any T5 has; a file that claims more is broken.
const PIECES: usize = 1 << 20;

/// A file as the tokenizer that it describes; only unigram models, as T5's are.
pub(super) fn read(bytes: &[u8]) -> Result<PromptTokenizer, String> {
    let model = Model::parse(bytes)?;
    if model.kind != 1 {
        return Err(format!(
            "it is a SentencePiece model of type {}, wanted a unigram model",
            model.kind
        ));
    }
    let index = |id: i64, what: &str| {
        usize::try_from(id)
            .ok()
            .filter(|id| *id < model.pieces.len())
            .ok_or_else(|| format!("its {what} token {id} is none of {}", model.pieces.len()))
    };
    let unknown = index(model.unknown, "unknown")?;
    let end = index(model.end, "end")? as u32;
    // Models without a padding token are padded with what the mask hides anyway.
    let pad = index(model.pad, "padding").unwrap_or(0) as u32;
    let unigram = Unigram::from(model.pieces.clone(), Some(unknown), model.byte_fallback)
        .map_err(|error| error.to_string())?;
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if !model.characters.is_empty() {
        let map = Precompiled::from(&model.characters).map_err(|error| error.to_string())?;
        steps.push(map.into());
    }
    if model.squeeze {
        steps.push(Strip::new(true, true).into());
        let runs = Replace::new(ReplacePattern::Regex(" {2,}".to_owned()), " ")
            .map_err(|error| error.to_string())?;
        steps.push(runs.into());
    }
    let prepend = if model.dummy_prefix {
        PrependScheme::Always
    } else {
        PrependScheme::Never
    };
    let mut inner = Tokenizer::new(unigram);
    inner
        .with_normalizer(Some(Sequence::new(steps)))
        .map_err(|error| error.to_string())?;
    inner.with_pre_tokenizer(Some(Metaspace::new(SPACE, prepend, true)));
    Ok(PromptTokenizer { inner, end, pad })
}

/// What is needed of a `ModelProto`.
struct Model {
    pieces: Vec<(String, f64)>,
    kind: u64,
    unknown: i64,
    end: i64,
    pad: i64,
    byte_fallback: bool,
    characters: Vec<u8>,
    dummy_prefix: bool,
    squeeze: bool,
}

impl Model {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        // The defaults of the format.
        let mut model = Self {
            pieces: Vec::new(),
            kind: 1,
            unknown: 0,
            end: 2,
            pad: -1,
            byte_fallback: false,
            characters: Vec::new(),
            dummy_prefix: true,
            squeeze: true,
        };
        for field in Fields(bytes) {
            match field? {
                (1, Value::Bytes(piece)) => {
                    if model.pieces.len() == PIECES {
                        return Err(format!("it has more than {PIECES} pieces"));
                    }
                    model.pieces.push(self::piece(piece)?);
                }
                (2, Value::Bytes(trainer)) => model.trainer(trainer)?,
                (3, Value::Bytes(normaliser)) => model.normaliser(normaliser)?,
                _ => {}
            }
        }
        if model.pieces.is_empty() {
            return Err("it is no SentencePiece model: it has no pieces".to_owned());
        }
        Ok(model)
    }

    fn trainer(&mut self, bytes: &[u8]) -> Result<(), String> {
        for field in Fields(bytes) {
            match field? {
                (3, Value::Number(kind)) => self.kind = kind,
                (35, Value::Number(yes)) => self.byte_fallback = yes != 0,
                // Negative numbers are written as the 64 bits of their complement.
                (40, Value::Number(id)) => self.unknown = id as i64,
                (42, Value::Number(id)) => self.end = id as i64,
                (43, Value::Number(id)) => self.pad = id as i64,
                _ => {}
            }
        }
        Ok(())
    }

    fn normaliser(&mut self, bytes: &[u8]) -> Result<(), String> {
        for field in Fields(bytes) {
            match field? {
                (2, Value::Bytes(map)) => self.characters = map.to_vec(),
                (3, Value::Number(yes)) => self.dummy_prefix = yes != 0,
                (4, Value::Number(yes)) => self.squeeze = yes != 0,
                _ => {}
            }
        }
        Ok(())
    }
}

/// A piece and its score.
fn piece(bytes: &[u8]) -> Result<(String, f64), String> {
    let (mut text, mut score) = (String::new(), 0.0);
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => {
                text = String::from_utf8(bytes.to_vec())
                    .map_err(|_| "a piece is not UTF-8".to_owned())?;
            }
            (2, Value::Four(bits)) => score = f64::from(f32::from_bits(bits)),
            _ => {}
        }
    }
    Ok((text, score))
}

/// A value on the wire; groups are not used by this format.
enum Value<'a> {
    Number(u64),
    Four(u32),
    Eight,
    Bytes(&'a [u8]),
}

/// The fields of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let count = usize::try_from(count).ok()?;
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.number()?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            1 => {
                self.take(8)?;
                Value::Eight
            }
            2 => {
                let count = self.number()?;
                Value::Bytes(self.take(count)?)
            }
            5 => Value::Four(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or_else(|| "it is no SentencePiece model: its fields break off".to_owned()))
    }
}
