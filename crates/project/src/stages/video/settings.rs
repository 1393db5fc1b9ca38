//! The settings of a denoise: the released ones that belong to the weights, as the job changes them.

use super::input;
use crate::request::VideoRequest;
use crate::{ProjectError, RenderRequest, VideoFiles};
use diffusion::{Guidance, GuidanceSchedule, Pass, Preset, Schedule};
use methods::ltx_video::PartsConfig;
use models::ModelFile;
use models::ltx::TransformerConfig;
use serde_json::Value;

/// Steps of `EditYourself`'s denoise.
const PAPER_STEPS: usize = 40;

/// The released settings that belong to the weights, with the job's number of steps.
pub(super) fn preset(
    video: &VideoRequest,
    transformer: &ModelFile,
    config: &TransformerConfig,
    parts: Option<&PartsConfig>,
    request: &RenderRequest,
) -> Result<Preset, ProjectError> {
    let files = &video.files;
    let json = transformer.config().map_err(input)?;
    let name = files.preset.as_deref();
    let mut preset = match name.or_else(|| told(files, &json, config)) {
        Some(name) => Preset::named(name)
            .ok_or_else(|| ProjectError::usage(format!("there are no settings `{name}`")))?,
        None => unreleased(&json)?,
    };
    if let Some(parts) = parts {
        preset.first = with_parts(&json, parts)?;
    }
    for pass in [&mut preset.first, &mut preset.second] {
        for entry in &mut pass.guidance.entries {
            entry.scale = video.guidance.unwrap_or(entry.scale);
            entry.perturbed = video.stg.unwrap_or(entry.perturbed);
        }
        for blocks in &mut pass.skip_blocks {
            // A block that the model lacks can't be perturbed.
            blocks.retain(|block| *block < config.num_layers);
        }
        if video.stg.is_some_and(|stg| stg > 0.0) {
            // A list without a block would leave nothing to guide away from.
            for blocks in pass
                .skip_blocks
                .iter_mut()
                .filter(|blocks| blocks.is_empty())
            {
                blocks.push(config.num_layers * 2 / 3);
            }
        }
    }
    let own = preset.first.schedule.steps();
    let wanted = request.steps_of(own);
    if wanted != own {
        preset.first = preset.first.with_steps(wanted);
    }
    Ok(preset)
}

/// The denoise that a model with `EditYourself`'s parts was trained for: the schedule of the adapter's header, or the
/// paper's forty steps, with as much guidance by text as the parts ask for.
fn with_parts(json: &Value, parts: &PartsConfig) -> Result<Pass, ProjectError> {
    let scheduler = json.get("scheduler").cloned().unwrap_or(Value::Null);
    let schedule = if scheduler.is_null() || scheduler.get("steps").is_none() {
        Schedule::linear_quadratic(PAPER_STEPS)
    } else {
        Schedule::from_json(&scheduler, None, 4096)
            .map_err(|error| ProjectError::input(error.to_string()))?
    };
    let mut pass = Pass::plain(schedule);
    for entry in &mut pass.guidance.entries {
        entry.scale = parts.text_guidance;
    }
    Ok(pass)
}

/// What the header, the size and the file's name say.
fn told(files: &VideoFiles, json: &Value, config: &TransformerConfig) -> Option<&'static str> {
    let path = files.transformer.to_string_lossy();
    let distilled = path.contains("distilled")
        || json
            .get("allowed_inference_steps")
            .is_some_and(|steps| !steps.is_null());
    match config.num_layers {
        48 if distilled => Some("ltx-13b-distilled"),
        48 => Some("ltx-13b-dev"),
        28 => Some("ltx-2b"),
        _ => None,
    }
}

/// Weights of a size that was never released: their own schedule, with guidance by text.
fn unreleased(json: &Value) -> Result<Preset, ProjectError> {
    let scheduler = json.get("scheduler").cloned().unwrap_or(Value::Null);
    let schedule = if scheduler.is_null() {
        Schedule::linear_quadratic(40)
    } else {
        Schedule::from_json(&scheduler, None, 4096)
            .map_err(|error| ProjectError::input(error.to_string()))?
    };
    let entry = Guidance {
        scale: 3.0,
        ..Guidance::default()
    };
    Ok(Preset {
        first: Pass {
            guidance: GuidanceSchedule {
                timesteps: vec![1.0],
                entries: vec![entry],
            },
            ..Pass::plain(schedule)
        },
        ..Preset::ltx_2b()
    })
}
