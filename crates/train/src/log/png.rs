//! PNG files.

use std::path::Path;

use media::image::Rgb8;

use crate::error::{Result, TrainError};

/// The picture as a PNG file's bytes; nothing for a picture of no size.
pub fn png_bytes(image: &Rgb8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width as u32, image.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&image.data));
    if written.is_err() {
        return Vec::new();
    }
    bytes
}

/// Writes a PNG file whole or not at all.
///
/// # Errors
/// When it can't be written.
pub fn write_png(path: &Path, image: &Rgb8) -> Result<()> {
    let temporary = path.with_extension("png.tmp");
    std::fs::write(&temporary, png_bytes(image)).map_err(TrainError::io(&temporary))?;
    std::fs::rename(&temporary, path).map_err(TrainError::io(path))
}
