//! The model of a job: the embedded one, or a file.

use crate::{Precision, ProjectError, RegionRequest, RenderRequest};
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
            request.region.name()
        ))
        .with_hint("leave --region out"));
    }
    let device = Device::Cpu;
    let dtype = match request.precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    };
    match &request.model {
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
    }
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
