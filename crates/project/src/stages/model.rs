//! The model of a job: the embedded one, or a file.

use super::loras;
use crate::{Precision, ProjectError, RegionRequest, RenderRequest, VideoRequest};
use candle_core::{DType, Device};
use methods::edit_yourself::EditYourself;
use sha2::{Digest, Sha256};
use std::path::Path;

/// The embedded model's file, also found beside the program.
const TINY: &[u8] = include_bytes!("../../../../assets/models/tiny.safetensors");

/// A loaded model.
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) network: EditYourself,
}

/// Loads the model that is asked for.
pub(crate) fn load(request: &RenderRequest) -> Result<Model, ProjectError> {
    if request.region != RegionRequest::Lip {
        return Err(ProjectError::usage(format!(
            "this model makes the region lip only, not {}",
            request.region
        ))
        .with_hint("leave --region out; EditYourself's parts for whole pictures, given with --model and --adapter, make others"));
    }
    let device = request.device.clone();
    let dtype = match request.precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    };
    if let Some(video) = &request.video {
        return adapted(video, request, dtype, &device);
    }
    let mut model = match &request.model {
        None => Ok(Model {
            name: "tiny".to_owned(),
            sha256: checksum(TINY),
            network: EditYourself::from_bytes("tiny", TINY, dtype, &device)
                .map_err(|error| ProjectError::fault("generate", error))?,
        }),
        Some(path) => Ok(Model {
            name: path.display().to_string(),
            sha256: checksum_of(path)?,
            network: EditYourself::load(path, dtype, &device)
                .map_err(|error| ProjectError::input(error.to_string()))?,
        }),
    }?;
    let adapters = loras::read(&request.loras)?;
    model.network.add_loras(&adapters).map_err(loras::refused)?;
    Ok(model)
}

/// A video model with `EditYourself`'s parts.
fn adapted(
    video: &VideoRequest,
    request: &RenderRequest,
    dtype: DType,
    device: &Device,
) -> Result<Model, ProjectError> {
    let wrong = |error: &dyn std::fmt::Display| ProjectError::input(error.to_string());
    let Some(path) = &video.adapter else {
        return Err(ProjectError::usage(format!(
            "{} makes no mouths without EditYourself's parts",
            video.files.name
        ))
        .with_hint("give them with --adapter FILE"));
    };
    let base = super::video::open(&video.files.transformer)?;
    let adapter = super::video::open(path)?;
    let (file, own) = models::ltx::with_adapter(&base, &adapter).map_err(|error| wrong(&error))?;
    let mut network =
        EditYourself::from_file(&file, dtype, device).map_err(|error| wrong(&error))?;
    let mut adapters: Vec<_> = own.into_iter().map(|lora| (lora, 1.0)).collect();
    adapters.extend(loras::read(&request.loras)?);
    network.add_loras(&adapters).map_err(loras::refused)?;
    Ok(Model {
        name: format!("{} with {}", video.files.name, path.display()),
        sha256: checksum_of(path)?,
        network,
    })
}

/// The embedded model's bytes.
pub(crate) fn embedded() -> &'static [u8] {
    TINY
}

/// The embedded model's checksum.
pub(crate) fn embedded_checksum() -> String {
    checksum(TINY)
}

/// SHA-256 in hexadecimal.
fn checksum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn checksum_of(path: &Path) -> Result<String, ProjectError> {
    let failed = |source| ProjectError::Files {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(failed)?;
    Ok(hex(&hash.finalize()))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
