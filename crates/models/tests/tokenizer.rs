//! Tokens of prompts against the sentencepiece library (`tools/parity/tokenizer.py`).
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};

use candle_core::Device;
use models::tokenizer::PromptTokenizer;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizer")
}

fn prompts() -> Vec<(String, Vec<u32>)> {
    let text = std::fs::read_to_string(folder().join("tokens.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn verify_tokens_of_both_files() {
    for name in ["spiece.model", "tokenizer.json"] {
        let tokenizer = PromptTokenizer::open(folder().join(name)).unwrap();
        for (prompt, wanted) in prompts() {
            assert_eq!(
                tokenizer.tokens(&prompt).unwrap(),
                wanted,
                "{name}: {prompt:?}"
            );
        }
    }
}

#[test]
fn prompts_are_cut_and_padded_to_their_length() {
    let tokenizer = PromptTokenizer::open(folder().join("spiece.model")).unwrap();
    for (prompt, wanted) in prompts() {
        let tokens = tokenizer.prompt(&prompt, 24, &Device::Cpu).unwrap();
        let ids = tokens.ids.to_vec2::<u32>().unwrap().remove(0);
        let mask = tokens.mask.to_vec2::<f32>().unwrap().remove(0);
        let count = wanted.len().min(24);
        assert_eq!((ids.len(), mask.len()), (24, 24));
        assert_eq!(ids[..count - 1], wanted[..count - 1]);
        assert_eq!(ids[count - 1], 1, "the end token stays");
        assert!(ids[count..].iter().all(|id| *id == 0));
        assert_eq!(mask.iter().sum::<f32>() as usize, count);
    }
}

#[test]
fn broken_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(self::folder().join("spiece.model")).unwrap();
    let path = folder.path().join("spiece.model");
    for bytes in [&b""[..], b"not a model at all", &whole[..whole.len() / 3]] {
        std::fs::write(&path, bytes).unwrap();
        assert!(PromptTokenizer::open(&path).is_err());
    }
    assert!(PromptTokenizer::open(folder.path().join("nothing")).is_err());
}
