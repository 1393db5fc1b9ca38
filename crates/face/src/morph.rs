//! A blend of two frames in which the head is in between, for seams.
//!
//! A plain crossfade of two poses shows two heads. Here both frames are first drawn towards the pose
//! between them, by a smooth warp that carries some forty points of the face, and then blended.

mod warp;

use crate::crop::Placement;
use crate::geometry::{Point, Rect};
use crate::mesh;
use crate::patch::{Patch, rise};
use crate::sample;
use media::image::{Rgb8, RgbF32};
use warp::Warp;

/// The head's oval, crop units: centre and half axes.
const OVAL_CENTRE: Point = [0.5, 0.52];
const OVAL_AXES: Point = [0.48, 0.62];
/// The outer part of the oval in which the patch fades out, as a share of the half axes.
const FADE: f32 = 0.3;

/// Points inside the outline that the warp carries: brows, eyes, nose, mouth.
const INNER: [usize; 26] = [
    70, 105, 107, 336, 334, 300, // brows
    33, 159, 133, 145, 362, 386, 263, 374, // eyes
    168, 6, 1, 2, 98, 327, // nose
    61, 291, 0, 17, 13, 14, // mouth
];

/// A frame and the face in it.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The frame.
    pub frame: &'a Rgb8,
    /// 468 points of the face mesh in frame pixels.
    pub landmarks: &'a [Point],
}

/// The head between `from` (`weight` 0) and `to` (`weight` 1), as a patch to lay over a frame: colours
/// 0..1, and weights that cover the head and fade out around it.
///
/// `None` where the frames' sizes differ, a face lacks points, or the head is outside of the frame.
pub fn morph(from: Side, to: Side, weight: f32) -> Option<Patch> {
    let (width, height) = (from.frame.width, from.frame.height);
    if (to.frame.width, to.frame.height) != (width, height)
        || from.landmarks.len() != to.landmarks.len()
    {
        return None;
    }
    let weight = weight.clamp(0.0, 1.0);
    let mix = |a: f32, b: f32| a + (b - a) * weight;
    let between: Vec<Point> = from
        .landmarks
        .iter()
        .zip(to.landmarks)
        .map(|(a, b)| [mix(a[0], b[0]), mix(a[1], b[1])])
        .collect();
    let place = Placement::fit(&between)?;
    let oval = Rect::new(
        OVAL_CENTRE[0] - OVAL_AXES[0],
        OVAL_CENTRE[1] - OVAL_AXES[1],
        OVAL_CENTRE[0] + OVAL_AXES[0],
        OVAL_CENTRE[1] + OVAL_AXES[1],
    );
    let (x, y, across, down) = place.bounds(&oval).pixels(width, height);
    if across == 0 || down == 0 {
        return None;
    }
    let area = Rect::new(x as f32, y as f32, (x + across) as f32, (y + down) as f32);
    let targets = controls(&between)?;
    let to_from = Warp::new(&area, &targets, &controls(from.landmarks)?);
    let to_to = Warp::new(&area, &targets, &controls(to.landmarks)?);
    let mut data = Vec::with_capacity(across * down * 3);
    let mut alpha = Vec::with_capacity(across * down);
    for i in 0..across * down {
        let at = [(x + i % across) as f32 + 0.5, (y + i / across) as f32 + 0.5];
        let [u, v] = to_from.apply(at);
        let a = sample::bilinear(from.frame, u - 0.5, v - 0.5);
        let [u, v] = to_to.apply(at);
        let b = sample::bilinear(to.frame, u - 0.5, v - 0.5);
        data.extend(a.iter().zip(b).map(|(&a, b)| mix(a, b) / 255.0));
        let [u, v] = place.to_unit(at);
        let radius =
            ((u - OVAL_CENTRE[0]) / OVAL_AXES[0]).hypot((v - OVAL_CENTRE[1]) / OVAL_AXES[1]);
        alpha.push(rise(1.0 - radius, FADE));
    }
    Some(Patch {
        x,
        y,
        image: RgbF32 {
            width: across,
            height: down,
            data,
        },
        alpha,
    })
}

/// The points that the warp carries: every other one of the outline, and the inner ones.
fn controls(landmarks: &[Point]) -> Option<Vec<Point>> {
    mesh::OVAL
        .iter()
        .step_by(2)
        .chain(&INNER)
        .map(|&index| landmarks.get(index).copied())
        .collect()
}

#[cfg(test)]
mod tests;
