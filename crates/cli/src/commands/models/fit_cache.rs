//! `reword models fit-cache`: the coefficients of a step cache, from denoises of the model.

use std::path::{Path, PathBuf};

use diffusion::{Schedule, cache, euler, schedule};
use methods::ltx_video::Pairs;
use models::ModelFile;
use models::ltx::{Inputs, Rope, Transformer, TransformerConfig};
use nn::{DType, Device, Tensor};
use serde_json::json;

use crate::failure::Failure;
use crate::terminal::Terminal;

/// Runs the command; `steps` and `degree` of the denoise and of the polynomial.
pub(crate) fn run(
    weights: &Path,
    inputs: &[PathBuf],
    (steps, degree): (usize, usize),
    output: &Path,
    config: Option<&Path>,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::input(error.to_string());
    let file = ModelFile::open(weights).map_err(|error| wrong(&error))?;
    let config = match config {
        Some(path) if path.is_file() => {
            let text = super::super::shared::read_text(path)?;
            let json = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
            TransformerConfig::from_json(&json).map_err(|error| wrong(&error))?
        }
        Some(name) => TransformerConfig::preset(&name.display().to_string())
            .ok_or_else(|| Failure::usage(format!("there is no preset `{}`", name.display())))?,
        None => file
            .config()
            .and_then(|json| TransformerConfig::from_json(&json))
            .map_err(|error| wrong(&error))?,
    };
    let model = Transformer::load(&file, &config, DType::F32, &Device::Cpu)
        .map_err(|error| wrong(&error))?;
    let times = Schedule::linear_quadratic(steps)
        .times()
        .map_err(|error| Failure::usage(error.to_string()))?;
    let mut pairs = Pairs::default();
    for (index, path) in inputs.iter().enumerate() {
        pairs.restart();
        denoise(&model, path, &times, &mut pairs)
            .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
        terminal.note(&format!("{} of {} denoises", index + 1, inputs.len()));
    }
    let coefficients = cache::fit(&pairs.pairs, degree).map_err(|error| wrong(&error))?;
    let text = json!({
        "coefficients": coefficients, "threshold": 0.0, "degree": degree,
        "pairs": pairs.pairs.len(), "steps": steps, "model": weights,
    });
    let text = serde_json::to_string_pretty(&text).map_err(|error| wrong(&error))?;
    super::super::shared::write_whole(output, text.as_bytes())?;
    terminal.result(&output.display().to_string());
    Ok(())
}

fn denoise(
    model: &Transformer,
    path: &Path,
    times: &[f64],
    pairs: &mut Pairs,
) -> Result<(), models::ModelError> {
    let file = ModelFile::open(path)?;
    let view = file.view(DType::F32, &Device::Cpu)?;
    let mask = if view.contains("caption_mask") {
        Some(view.get_any("caption_mask")?)
    } else {
        None
    };
    let caption = if view.contains("caption") {
        model.caption(&view.get_any("caption")?, mask.as_ref())?
    } else {
        model.empty_caption()?
    };
    let rope = Rope::of_coords(model.config(), &view.get_any("coords")?)?;
    let mut x: Tensor = view.get_any("latents")?;
    for t in times {
        let timestep = Tensor::full(*t as f32, x.dim(0)?, &Device::Cpu)?;
        let velocity = model.forward_cached(
            &Inputs {
                latents: &x,
                timestep: &timestep,
                rope: &rope,
                caption: &caption,
                audio: None,
                context: None,
                perturbation: None,
                self_bias: None,
            },
            Some(pairs),
        )?;
        x = euler::step(&x, &velocity, *t, schedule::next_time(times, *t)).map_err(|error| {
            models::ModelError::Input {
                name: "latents",
                reason: error.to_string(),
            }
        })?;
    }
    Ok(())
}
