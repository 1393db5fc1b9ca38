//! Contact sheets: the frames of a system that are farthest from the truth, beside the truth.

use super::config::Loaded;
use super::plot::escaped;
use super::report::SystemReport;
use crate::MeasureError;
use base64::Engine as _;
use media::image::Rgb8;
use media::{Clip, OpenOptions};
use std::fmt::Write as _;
use std::path::Path;
use units::FrameIndex;

/// Frames on a sheet.
const COUNT: usize = 8;
/// Longer side of a picture, pixels.
const SIDE: usize = 320;
/// Frames of one clip on a sheet stand at least so far apart.
const APART: usize = 12;

struct Worst {
    clip: usize,
    frame: usize,
    psnr: f64,
}

/// An SVG with the worst frames of a system, the truth on the left; `None` without frames.
pub(super) fn contact_sheet(
    system: &SystemReport,
    loaded: &Loaded,
    open: OpenOptions,
) -> Result<Option<String>, MeasureError> {
    let worst = worst(system);
    if worst.is_empty() {
        return Ok(None);
    }
    let mut cells = Vec::new();
    for entry in &worst {
        let (Some(result), Some(clip)) = (
            system.clips.get(entry.clip),
            loaded.suite.clip.get(entry.clip),
        ) else {
            continue;
        };
        let Some(report) = &result.report else {
            continue;
        };
        let partner = report.curve.partners.get(entry.frame).copied();
        let frames = [
            (clip.truth(), partner.unwrap_or(entry.frame as u64)),
            (report.made.path.as_path(), entry.frame as u64),
        ];
        let pictures = frames.map(|(path, frame)| picture(path, frame, open));
        let [Some(truth), Some(made)] = pictures.map(Result::ok).map(Option::flatten) else {
            continue;
        };
        cells.push((entry, result.clip.as_str(), [truth, made]));
    }
    let line = SIDE as f64 + 26.0;
    let (width, height) = (2.0 * SIDE as f64 + 12.0, line * cells.len() as f64 + 30.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"4\" y=\"20\" font-size=\"15\">{}: truth | made, the worst frames first</text>\n",
        escaped(&system.name)
    );
    for (row, (entry, clip, pictures)) in cells.iter().enumerate() {
        let y = 30.0 + line * row as f64;
        // Writing to a string can't fail.
        let _ = writeln!(
            svg,
            "<text x=\"4\" y=\"{:.1}\">{}, frame {}, {:.1} dB</text>",
            y + 15.0,
            escaped(clip),
            entry.frame,
            entry.psnr
        );
        for (column, image) in pictures.iter().enumerate() {
            let _ = writeln!(
                svg,
                "<image x=\"{}\" y=\"{:.1}\" width=\"{}\" height=\"{}\" href=\"data:image/png;base64,{}\"/>",
                4 + column * (SIDE + 4),
                y + 20.0,
                image.width,
                image.height,
                base64::engine::general_purpose::STANDARD.encode(png(image)?)
            );
        }
    }
    svg += "</svg>\n";
    Ok(Some(svg))
}

/// The worst frames over all clips, no two of one clip close together.
fn worst(system: &SystemReport) -> Vec<Worst> {
    let mut all: Vec<Worst> = system
        .clips
        .iter()
        .enumerate()
        .filter_map(|(index, clip)| Some((index, clip.report.as_ref()?)))
        .flat_map(|(clip, report)| {
            report
                .curve
                .psnr
                .iter()
                .enumerate()
                .filter_map(move |(frame, psnr)| {
                    Some(Worst {
                        clip,
                        frame,
                        psnr: (*psnr)?,
                    })
                })
        })
        .collect();
    all.sort_by(|a, b| {
        a.psnr
            .total_cmp(&b.psnr)
            .then((a.clip, a.frame).cmp(&(b.clip, b.frame)))
    });
    let mut kept: Vec<Worst> = Vec::new();
    for entry in all {
        if kept.len() == COUNT {
            break;
        }
        let near =
            |other: &Worst| other.clip == entry.clip && other.frame.abs_diff(entry.frame) < APART;
        if !kept.iter().any(near) {
            kept.push(entry);
        }
    }
    kept
}

fn picture(path: &Path, frame: u64, open: OpenOptions) -> Result<Option<Rgb8>, MeasureError> {
    let clip = Clip::open(path, &open)?;
    let index = FrameIndex(frame);
    let Some(frame) = clip.frames(index..index.next())?.next() else {
        return Ok(None);
    };
    let image = frame?.to_rgb8();
    let longer = image.width.max(image.height).max(1);
    let shrink = |side: usize| (side * SIDE.min(longer) / longer).max(1);
    Ok(Some(
        image.resize(shrink(image.width), shrink(image.height)),
    ))
}

fn png(image: &Rgb8) -> Result<Vec<u8>, MeasureError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width as u32, image.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let broken = |error: png::EncodingError| MeasureError::Features {
        reason: error.to_string(),
    };
    let mut writer = encoder.write_header().map_err(broken)?;
    writer.write_image_data(&image.data).map_err(broken)?;
    writer.finish().map_err(broken)?;
    Ok(bytes)
}
