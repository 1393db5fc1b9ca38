//! Adapters that a user puts beside a model's weights.

use crate::{LoraRequest, ProjectError};
use methods::MethodError;
use models::ModelError;
use models::lora::LoraFile;

/// Reads the files that are asked for, with their strengths.
pub(crate) fn read(requests: &[LoraRequest]) -> Result<Vec<(LoraFile, f64)>, ProjectError> {
    let mut files = Vec::new();
    for request in requests {
        let file = LoraFile::open(&request.path).map_err(|error| {
            ProjectError::input(error.to_string())
                .with_hint("an adapter is a safetensors file of PEFT, ComfyUI or kohya, or what `reword adapt` wrote; EditYourself's parts are given with --adapter")
        })?;
        files.push((file, f64::from(request.strength)));
    }
    Ok(files)
}

/// Why adapters could not be put beside a model's weights.
pub(crate) fn refused(error: MethodError) -> ProjectError {
    match error {
        MethodError::Model(
            error @ (ModelError::Differences { .. } | ModelError::Config { .. }),
        ) => ProjectError::input(error.to_string()).with_hint(
            "an adapter fits the model that it was trained on; --model says which one is used",
        ),
        other => ProjectError::fault("generate", other),
    }
}
