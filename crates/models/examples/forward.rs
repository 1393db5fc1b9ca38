//! `reword forward` without the rest of the program, for `tools/parity/random_networks.py`:
//! `forward NETWORK WEIGHTS CONFIG|- INPUTS OUTPUT f32|bf16`.
#![allow(clippy::print_stderr, reason = "a program for developers")]

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

use candle_core::{DType, Device};
use models::ModelFile;
use models::forward::{Call, Tensors, find};
use nn::weights::Checkpoint;

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
    let [network, weights, config, inputs, output, dtype] = arguments.as_slice() else {
        return Err("usage: forward NETWORK WEIGHTS CONFIG|- INPUTS OUTPUT f32|bf16".into());
    };
    let device = Device::Cpu;
    let weights = ModelFile::open(weights)?;
    let file = std::path::Path::new(config);
    let json = if file.is_file() {
        Some(serde_json::from_slice(&std::fs::read(file)?)?)
    } else {
        None
    };
    let saved = Checkpoint::open(inputs)?;
    let mut inputs = Tensors::new();
    for name in saved.names() {
        inputs.insert(name.to_owned(), saved.tensor(name, DType::F32, &device)?);
    }
    let call = Call {
        weights: &weights,
        config: json.as_ref(),
        preset: (json.is_none() && config != "-").then_some(config.as_str()),
        inputs: &inputs,
        dtype: if dtype == "bf16" {
            DType::BF16
        } else {
            DType::F32
        },
        device: &device,
    };
    let entry = find(network).ok_or_else(|| format!("no network '{network}'"))?;
    nn::weights::save(output, &entry.run(&call)?, &BTreeMap::new())?;
    Ok(())
}
