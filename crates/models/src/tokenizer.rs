//! Prompts to the token numbers that T5 takes.
//!
//! Either form in which a tokenizer is published: `tokenizer.json`, or `SentencePiece`'s
//! `spiece.model`. As LTX-Video's `encode_prompt` has it: the end token is appended, longer
//! prompts are cut, shorter ones padded, and the mask tells which tokens count.

mod sentencepiece;

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use tokenizers::Tokenizer;

use crate::error::{ModelError, Result};

/// Tokens of a prompt for LTX-Video 0.9.5 and later.
pub const PROMPT_TOKENS: usize = 256;

const PART: &str = "tokenizer";

/// Names under which files are looked for in a folder.
const NAMES: [&str; 3] = ["tokenizer.json", "spiece.model", "tokenizer.model"];

/// A tokenizer of T5's family.
#[derive(Debug, Clone)]
pub struct PromptTokenizer {
    inner: Tokenizer,
    end: u32,
    pad: u32,
}

/// A prompt as `[1, L]` tensors.
#[derive(Debug, Clone)]
pub struct PromptTokens {
    /// Token numbers, `u32`.
    pub ids: Tensor,
    /// 1 where a token counts, `f32`.
    pub mask: Tensor,
}

impl PromptTokenizer {
    /// Reads a `tokenizer.json`, a `SentencePiece` model, or a folder with one of them.
    ///
    /// # Errors
    /// When there is none, or it is no such file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = Self::file(path.as_ref())?;
        let bad =
            |reason: String| ModelError::config(PART, format!("{}: {reason}", path.display()));
        let bytes = std::fs::read(&path).map_err(|error| bad(error.to_string()))?;
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let inner = Tokenizer::from_bytes(&bytes).map_err(|error| bad(error.to_string()))?;
            let id = |token: &str| {
                inner
                    .token_to_id(token)
                    .ok_or_else(|| bad(format!("it has no token {token}")))
            };
            let (end, pad) = (id("</s>")?, id("<pad>")?);
            return Ok(Self { inner, end, pad });
        }
        sentencepiece::read(&bytes).map_err(bad)
    }

    /// The file that [`Self::open`] reads.
    ///
    /// # Errors
    /// When there is none.
    pub fn file(path: &Path) -> Result<PathBuf> {
        if path.is_file() {
            return Ok(path.to_owned());
        }
        NAMES
            .iter()
            .map(|name| path.join(name))
            .find(|file| file.is_file())
            .ok_or_else(|| {
                ModelError::config(
                    PART,
                    format!("{} has none of {}", path.display(), NAMES.join(", ")),
                )
            })
    }

    /// The tokens of a prompt, with the end token; not padded.
    ///
    /// # Errors
    /// When the text cannot be split.
    pub fn tokens(&self, prompt: &str) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode_fast(prompt.trim(), false)
            .map_err(|error| ModelError::config(PART, error.to_string()))?;
        let mut ids = encoding.get_ids().to_vec();
        ids.push(self.end);
        Ok(ids)
    }

    /// Exactly `length` tokens: cut in front of the end token, or padded behind it.
    ///
    /// # Errors
    /// As [`Self::tokens`].
    pub fn prompt(&self, prompt: &str, length: usize, device: &Device) -> Result<PromptTokens> {
        let mut ids = self.tokens(prompt)?;
        if ids.len() > length {
            ids.truncate(length);
            if let Some(last) = ids.last_mut() {
                *last = self.end;
            }
        }
        let mut mask = vec![1.0_f32; ids.len()];
        ids.resize(length, self.pad);
        mask.resize(length, 0.0);
        Ok(PromptTokens {
            ids: Tensor::from_vec(ids, (1, length), device)?,
            mask: Tensor::from_vec(mask, (1, length), device)?,
        })
    }
}
