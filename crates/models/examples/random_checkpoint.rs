//! Writes a checkpoint of a preset's names and shapes with random bf16 weights, streamed, in
//! the official single-file layout: `random_checkpoint ltx-13b|ltx-2b OUT.safetensors [sparse]`.
//! With `sparse` the weights are a hole in the file: full size, hardly any disk.
//!
//! For trying what only size shows: `reword models verify OUT.safetensors`.
#![allow(clippy::print_stderr, reason = "a program for developers")]

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::process::ExitCode;

use models::ltx::{TransformerConfig, VaeConfig};
use serde_json::{Map, json};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (preset, output, sparse) = match arguments.as_slice() {
        [preset, output] => (preset, output, false),
        [preset, output, word] if word == "sparse" => (preset, output, true),
        _ => {
            return Err("usage: random_checkpoint ltx-13b|ltx-2b OUT.safetensors [sparse]".into());
        }
    };
    let transformer = TransformerConfig::preset(preset).ok_or("no such preset")?;
    let transformer = transformer.shapes().into_iter();
    let vae = VaeConfig::ltx().shapes().into_iter();
    let statistics = ["mean-of-means", "std-of-means"];
    let mut tensors: Vec<(String, Vec<usize>)> = transformer
        .map(|(name, shape)| (format!("model.diffusion_model.{name}"), shape))
        .chain(vae.map(|(name, shape)| (format!("vae.{name}"), shape)))
        .collect();
    for name in statistics {
        tensors.push((format!("vae.per_channel_statistics.{name}"), vec![128]));
    }
    let mut header = Map::new();
    let mut offset = 0_u64;
    for (name, shape) in &tensors {
        let end = offset + 2 * shape.iter().product::<usize>() as u64;
        let entry = json!({"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]});
        header.insert(name.clone(), entry);
        offset = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    // The data start on a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 22, File::create(output)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    if sparse {
        file.flush()?;
        file.get_ref().set_len(8 + header.len() as u64 + offset)?;
        return Ok(());
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut left = offset;
    let mut block = vec![0_u8; 1 << 16];
    while left > 0 {
        for word in block.as_chunks_mut::<8>().0 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Signs and mantissas at random, exponents that make values of about 0.02.
            *word = ((state & 0x80ff_80ff_80ff_80ff) | 0x3c00_3c00_3c00_3c00).to_le_bytes();
        }
        let count = (left as usize).min(block.len());
        file.write_all(block.get(..count).unwrap_or_default())?;
        left -= count as u64;
    }
    file.flush()?;
    Ok(())
}
