//! `reword forward`: run one network on saved tensors, so that anyone can check us against another implementation.

use crate::arguments::{CommonArguments, DtypeName, ForwardArguments};
use crate::failure::Failure;
use crate::terminal::Terminal;
use models::ModelFile;
use models::forward::{Call, ENTRIES, Tensors, find};
use nn::weights::Checkpoint;
use nn::{DType, Device};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Runs the command.
pub(crate) fn run(
    arguments: &ForwardArguments,
    common: &CommonArguments,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let Some(entry) = find(&arguments.network) else {
        let names: Vec<&str> = ENTRIES.iter().map(|entry| entry.name).collect();
        return Err(
            Failure::usage(format!("there is no network `{}`", arguments.network))
                .with_hint(format!("the networks are {}", names.join(", "))),
        );
    };
    let weights =
        ModelFile::open(&arguments.weights).map_err(|error| Failure::input(error.to_string()))?;
    let (config, preset) = match &common.config {
        None => (None, None),
        Some(path) if path.is_file() => (Some(read_config(path)?), None),
        Some(name) => (None, Some(name.display().to_string())),
    };
    let device = Device::Cpu;
    let inputs = read_tensors(&arguments.inputs, &device)?;
    let call = Call {
        weights: &weights,
        config: config.as_ref(),
        preset: preset.as_deref(),
        inputs: &inputs,
        dtype: match common.dtype.unwrap_or(DtypeName::F32) {
            DtypeName::F32 => DType::F32,
            DtypeName::Bf16 => DType::BF16,
        },
        device: &device,
    };
    let outputs = entry.run(&call).map_err(|error| {
        Failure::input(format!("{}: {error}", entry.name))
            .with_hint(format!("its inputs are {}", entry.inputs))
    })?;
    nn::weights::save(&arguments.output, &outputs, &BTreeMap::new())
        .map_err(|error| Failure::fault(error.to_string()))?;
    terminal.result(&arguments.output.display().to_string());
    Ok(())
}

fn read_tensors(path: &Path, device: &Device) -> Result<Tensors, Failure> {
    let failed = |error: nn::weights::WeightsError| Failure::input(error.to_string());
    let file = Checkpoint::open(path).map_err(failed)?;
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    names
        .into_iter()
        .map(|name| {
            let tensor = file.tensor(&name, DType::F32, device).map_err(failed)?;
            Ok((name, tensor))
        })
        .collect()
}

fn read_config(path: &Path) -> Result<Value, Failure> {
    let text = super::shared::read_text(path)?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::input(format!(
            "{} is not JSON: {error} (line {})",
            path.display(),
            error.line()
        ))
    })
}
