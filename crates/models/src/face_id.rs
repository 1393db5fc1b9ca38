//! Networks that tell faces apart: `MobileFaceNet` and `ArcFace`'s residual networks.
//!
//! Both take an aligned face crop and give an embedding; the cosine of two embeddings is how alike the faces are.
//! Which one a file holds is seen from its names.

mod arc_face;
mod mobile_face_net;

use candle_core::{DType, Device, Tensor};

use crate::error::{ModelError, Result};
use crate::file::ModelFile;
use arc_face::ArcFace;
use mobile_face_net::MobileFaceNet;

/// A loaded network.
#[derive(Debug, Clone)]
pub struct FaceId {
    net: Net,
}

#[derive(Debug, Clone)]
enum Net {
    Mobile(Box<MobileFaceNet>),
    Arc(Box<ArcFace>),
}

/// Where the eyes, the tip of the nose and the corners of the mouth lie in an aligned crop of 112x112 (`ArcFace`'s
/// template); crops that are 96 wide are the same without 8 columns on either side (`SphereFace`'s template).
pub const TEMPLATE: [[f32; 2]; 5] = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
];

impl FaceId {
    /// Reads whichever network the file holds.
    ///
    /// # Errors
    /// When it is neither, or a tensor is missing.
    pub fn load(file: &ModelFile, device: &Device) -> Result<Self> {
        let view = file.view(DType::F32, device)?;
        let net = if view.contains("linear7.conv.weight") {
            Net::Mobile(Box::new(MobileFaceNet::load(&view)?))
        } else if view.contains("layer1.0.bn1.weight") && view.contains("fc.weight") {
            Net::Arc(Box::new(ArcFace::load(&view)?))
        } else {
            return Err(ModelError::config(
                "face-id",
                format!(
                    "{} holds neither MobileFaceNet (linear7) nor ArcFace (layer1.0.bn1, fc)",
                    file.origin()
                ),
            ));
        };
        Ok(Self { net })
    }

    /// Which network it is, for tables.
    pub fn name(&self) -> String {
        match &self.net {
            Net::Mobile(_) => "MobileFaceNet".to_owned(),
            Net::Arc(net) => format!("ArcFace, {} blocks", net.blocks()),
        }
    }

    /// Width and height of the crops.
    pub fn size(&self) -> (usize, usize) {
        match &self.net {
            Net::Mobile(_) => (96, 112),
            Net::Arc(_) => (112, 112),
        }
    }

    /// Embeddings `[B, D]` of crops `[B, 3, H, W]`, RGB in 0..255.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn embed(&self, crops: &Tensor) -> Result<Tensor> {
        let (_, channels, height, width) = crops.dims4()?;
        if channels != 3 || (width, height) != self.size() {
            let (width, height) = self.size();
            return Err(ModelError::input(
                "crops",
                format!("{:?} instead of [B, 3, {height}, {width}]", crops.dims()),
            ));
        }
        match &self.net {
            // (x - 127.5) / 128
            Net::Mobile(net) => net.forward(&crops.affine(1.0 / 128.0, -127.5 / 128.0)?),
            // (x / 255 - 0.5) / 0.5
            Net::Arc(net) => net.forward(&crops.affine(1.0 / 127.5, -1.0)?),
        }
    }
}
