//! The fallback detector: `SeetaFace`'s funnel-structured cascade, by the `rustface` crate.
//!
//! Slower and for upright, frontal faces only, but an independent method: it finds faces on which
//! the network's idea of a face fails.

use super::{Detection, FindFaces};
use crate::FaceError;
use crate::geometry::Rect;
use crate::net::WeightsError;
use media::image::Rgb8;

/// Frames are shrunk to this many pixels on the longer side.
const LONGEST: usize = 640;
/// The smallest face looked for, in pixels of the shrunk frame.
const SMALLEST: u32 = 40;
/// Where eyes, nose, mouth and ears lie in `SeetaFace`'s box, as shares of its width and height.
const LAYOUT: [[f32; 2]; 6] = [
    [0.31, 0.38],
    [0.69, 0.38],
    [0.50, 0.58],
    [0.50, 0.78],
    [0.05, 0.45],
    [0.95, 0.45],
];

/// `rustface` behind [`FindFaces`]; keypoints are guessed from the box.
pub struct FallbackFinder {
    model: rustface::Model,
}

impl FallbackFinder {
    /// The detector with its embedded model.
    ///
    /// # Errors
    /// [`FaceError::Weights`] where the embedded model can't be read (a broken build).
    pub fn new() -> Result<Self, FaceError> {
        let bytes = include_bytes!("../../weights/seeta_fd_frontal_v1.0.bin");
        let model =
            rustface::read_model(std::io::Cursor::new(&bytes[..])).map_err(WeightsError::from)?;
        Ok(Self { model })
    }
}

impl FindFaces for FallbackFinder {
    fn detect(&self, frame: &Rgb8) -> Vec<Detection> {
        let longest = frame.width.max(frame.height);
        let scale = (longest as f32 / LONGEST as f32).max(1.0);
        let width = (frame.width as f32 / scale) as usize;
        let height = (frame.height as f32 / scale) as usize;
        if width < SMALLEST as usize || height < SMALLEST as usize {
            return Vec::new();
        }
        let grey: Vec<u8> = frame
            .resize(width, height)
            .data
            .as_chunks::<3>()
            .0
            .iter()
            .map(|&[r, g, b]| {
                ((u32::from(r) * 77 + u32::from(g) * 150 + u32::from(b) * 29) >> 8) as u8
            })
            .collect();
        let mut detector = rustface::create_detector_with_model(self.model.clone());
        detector.set_min_face_size(SMALLEST);
        detector.set_score_thresh(2.0);
        detector.set_pyramid_scale_factor(0.8);
        let image = rustface::ImageData::new(&grey, width as u32, height as u32);
        let mut found: Vec<Detection> = detector
            .detect(&image)
            .into_iter()
            .map(|face| {
                let found = face.bbox();
                let (x, y) = (found.x() as f32 * scale, found.y() as f32 * scale);
                let (w, h) = (found.width() as f32 * scale, found.height() as f32 * scale);
                Detection {
                    area: Rect::new(x, y, x + w, y + h),
                    // Its scores are log odds of a kind; 2 is doubtful, 10 certain.
                    score: 1.0 / (1.0 + (-(face.score() as f32 - 2.0)).exp()),
                    keypoints: LAYOUT.map(|[u, v]| [x + u * w, y + v * h]),
                }
            })
            .collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found
    }
}
