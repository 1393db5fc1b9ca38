//! What of every output frame a video model makes: whole pictures where nothing is recorded, a region of the recorded
//! ones where the mouth must follow new words or where a stretch is rendered anew.

use crate::stages::heads::Heads;
use crate::stages::pictures::{Pictures, Shown};
use crate::{PixelBox, ProjectError, RegionRequest};
use edit::{PictureRun, Timeline};
use face::Point;
use media::VideoInfo;
use methods::ltx_video::{Area, Made, SpanRange};
use std::ops::Range;
use units::FrameIndex;

/// Recorded frames beside a span that the model may look at.
const LEAD: u64 = 64;

/// Frames that are encoded and held as one stretch at most: some three minutes.
const STRETCH: usize = 4096;

/// The face mesh's point at the tip of the nose.
const NOSE_TIP: usize = 1;

/// How far the head reaches beyond the points of the face, in shares of their box: up, down, and to each side.
const HEAD: [f64; 3] = [0.55, 0.1, 0.25];

/// Parts of recorded frames that are asked of a model.
pub(crate) struct Regions<'a> {
    pub(crate) region: RegionRequest,
    /// Output frames whose mouths follow new words.
    pub(crate) lips: &'a [Range<FrameIndex>],
    /// Output frames that are rendered anew whatever is said.
    pub(crate) anew: &'a [Range<FrameIndex>],
    pub(crate) heads: &'a Heads,
    /// Whether frames out of their place are those of a retimed clip, which are shown as they are around the region.
    pub(crate) retimed: bool,
    /// Rows and columns of the clip.
    pub(crate) size: (usize, usize),
    /// By which share masks grow.
    pub(crate) margin: f64,
}

impl Regions<'_> {
    /// The region of an output frame that follows new words; nothing where the lips can't be seen well.
    fn speaking(&self, pictures: &Pictures, output: FrameIndex) -> Made {
        if self.region.of_face() && self.heads.placement_at(pictures, output).is_none() {
            return Made::Nothing;
        }
        self.of(pictures, output)
    }

    /// The region of an output frame.
    fn of(&self, pictures: &Pictures, output: FrameIndex) -> Made {
        if self.region == RegionRequest::Whole {
            // The first picture of all stays: what follows is made from it, as from an image.
            return if output == FrameIndex::ZERO {
                Made::Nothing
            } else {
                Made::Whole
            };
        }
        if let RegionRequest::Box(own) = self.region {
            return Made::Part(area_of_box(own, self.size));
        }
        match self.area(self.region, pictures, output) {
            Some(area) => Made::Part(area.grown(self.margin)),
            None => Made::Nothing,
        }
    }

    /// Where a region lies in an output frame.
    fn area(&self, region: RegionRequest, pictures: &Pictures, output: FrameIndex) -> Option<Area> {
        let points = self.heads.landmarks_at(pictures, output)?;
        area_of(region, &points, self.size)
    }
}

/// Refuses a box that does not lie in the clip's picture.
pub(crate) fn check_box(region: RegionRequest, clip: &VideoInfo) -> Result<(), ProjectError> {
    let RegionRequest::Box(own) = region else {
        return Ok(());
    };
    let ends = |start: u32, length: u32| u64::from(start) + u64::from(length);
    let (width, height) = (u64::from(clip.width), u64::from(clip.height));
    if own.width == 0 || own.height == 0 {
        return Err(ProjectError::usage(format!("the region {region} is empty"))
            .with_hint("write the left edge, the top edge, the width and the height in pixels"));
    }
    if ends(own.left, own.width) > width || ends(own.top, own.height) > height {
        return Err(ProjectError::usage(format!(
            "the region {region} reaches out of the picture of {width} x {height} pixels"
        ))
        .with_hint("write the left edge, the top edge, the width and the height in pixels"));
    }
    Ok(())
}

fn area_of_box(own: PixelBox, size: (usize, usize)) -> Area {
    let share = |value: u32, size: usize| f64::from(value) / size.max(1) as f64;
    Area {
        left: share(own.left, size.1),
        top: share(own.top, size.0),
        right: share(own.left.saturating_add(own.width), size.1),
        bottom: share(own.top.saturating_add(own.height), size.0),
    }
}

/// The box of a region around the points of a face; nothing for points that lie outside of the picture.
fn area_of(region: RegionRequest, points: &[Point], size: (usize, usize)) -> Option<Area> {
    let tip = points.get(NOSE_TIP)?;
    let bounds = |axis: usize| {
        points
            .iter()
            .filter_map(|point| point.get(axis))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(f64::from(*value)), high.max(f64::from(*value)))
            })
    };
    let ((left, right), (top, bottom)) = (bounds(0), bounds(1));
    let (width, height) = (right - left, bottom - top);
    let (left, top, right, bottom) = match region {
        RegionRequest::Lip => (left, f64::from(tip[1]), right, bottom),
        RegionRequest::Face => (left, top, right, bottom),
        RegionRequest::Head | RegionRequest::Whole | RegionRequest::Box(_) => {
            let [above, below, beside] = HEAD;
            (
                left - beside * width,
                top - above * height,
                right + beside * width,
                bottom + below * height,
            )
        }
    };
    let share = |value: f64, size: usize| (value / size.max(1) as f64).clamp(0.0, 1.0);
    let area = Area {
        left: share(left, size.1),
        top: share(top, size.0),
        right: share(right, size.1),
        bottom: share(bottom, size.0),
    };
    (area.left < area.right && area.top < area.bottom).then_some(area)
}

/// Output frames that show footage out of its place or two frames at once: what a model that does not hear makes.
pub(crate) fn spans_of(timeline: &Timeline) -> Vec<Range<FrameIndex>> {
    let mut spans: Vec<Range<FrameIndex>> = Vec::new();
    for (output, run) in timeline.picture_runs() {
        if matches!(run, PictureRun::Source { .. }) {
            continue;
        }
        match spans.last_mut() {
            Some(last) if last.end == output.start => last.end = output.end,
            _ => spans.push(output),
        }
    }
    spans
}

/// What is made of every output frame.
pub(crate) fn made_of(
    timeline: &Timeline,
    pictures: &Pictures,
    regions: Option<&Regions<'_>>,
) -> Vec<Made> {
    let mut made = vec![Made::Nothing; pictures.len() as usize];
    if regions.is_none_or(|regions| !regions.retimed) {
        for frame in spans_of(timeline).into_iter().flat_map(indices) {
            put(&mut made, frame, Made::Whole);
        }
    }
    let Some(regions) = regions else {
        return made;
    };
    for frame in regions.lips.iter().cloned().flat_map(indices) {
        if made.get(frame.as_usize()) == Some(&Made::Nothing) {
            put(&mut made, frame, regions.speaking(pictures, frame));
        }
    }
    for frame in regions.anew.iter().cloned().flat_map(indices) {
        put(&mut made, frame, regions.of(pictures, frame));
    }
    made
}

fn indices(range: Range<FrameIndex>) -> impl Iterator<Item = FrameIndex> {
    (range.start.0..range.end.0).map(FrameIndex)
}

fn put(made: &mut [Made], frame: FrameIndex, value: Made) {
    if let Some(slot) = made.get_mut(frame.as_usize()) {
        *slot = value;
    }
}

/// Frames that are made, in one stretch as long as they are of one shot, with the recorded frames around them, up to the
/// next stretch or shot. Where the recording's own `latents` of so many frames are kept, with one of their borders.
pub(crate) fn ranges(
    made: &[Made],
    pictures: &Pictures,
    shots: &[FrameIndex],
    regions: Option<&Regions<'_>>,
    latents: Option<u64>,
) -> Vec<SpanRange> {
    let kind = |output: u64| made.get(output as usize).copied().unwrap_or(Made::Nothing);
    let shot = |output: u64| match pictures.at(FrameIndex(output)) {
        Shown::Frame(source) => Some(shots.partition_point(|first| *first <= source)),
        Shown::Between { .. } => None,
    };
    // Two recorded frames of different shots do not belong together; what is made whole joins both sides.
    let cut = |output: u64| {
        let recorded = |at: u64| kind(at) != Made::Whole;
        recorded(output - 1) && recorded(output) && shot(output - 1) != shot(output)
    };
    let mut spans: Vec<Range<u64>> = Vec::new();
    for output in 0..made.len() as u64 {
        if kind(output) == Made::Nothing {
            continue;
        }
        match spans.last_mut() {
            Some(last)
                if last.end == output
                    && !cut(output)
                    && (kind(output) == Made::Whole || last.end - last.start < STRETCH as u64) =>
            {
                last.end += 1;
            }
            _ => spans.push(output..output + 1),
        }
    }
    let is_context =
        |output: u64, of: Option<usize>| kind(output) == Made::Nothing && shot(output) == of;
    spans
        .into_iter()
        .map(|span| {
            let (mut start, mut end) = (span.start, span.end);
            let before = start.checked_sub(1).and_then(shot);
            while start > 0 && span.start - start < LEAD && is_context(start - 1, before) {
                start -= 1;
            }
            let behind = shot(end);
            while end < pictures.len() && end - span.end < LEAD && is_context(end, behind) {
                end += 1;
            }
            let grid = latents.and_then(|stride| {
                let mut near = (start..span.start)
                    .rev()
                    .chain(span.clone())
                    .chain(span.end..end);
                near.find_map(|output| match pictures.at(FrameIndex(output)) {
                    Shown::Frame(source) if kind(output) != Made::Whole => {
                        Some(border(output, source.0, stride))
                    }
                    _ => None,
                })
            });
            if let (Some(grid), Some(stride)) = (grid, latents) {
                let shown = pictures.at(FrameIndex(start));
                if shown != Shown::Frame(FrameIndex::ZERO) {
                    start = first_border(start, span.start, grid, stride);
                }
            }
            let kinds: Vec<Made> = span.clone().map(kind).collect();
            let all_whole = kinds.iter().all(|made| *made == Made::Whole);
            let face = |output: u64| {
                let regions = regions?;
                let recorded = kind(output) != Made::Whole;
                (recorded && matches!(pictures.at(FrameIndex(output)), Shown::Frame(_)))
                    .then(|| regions.area(RegionRequest::Lip, pictures, FrameIndex(output)))
                    .flatten()
            };
            SpanRange {
                frames: FrameIndex(span.start)..FrameIndex(span.end),
                available: FrameIndex(start)..FrameIndex(end),
                made: if all_whole { Vec::new() } else { kinds },
                faces: if regions.is_some() {
                    (start..end).map(face).collect()
                } else {
                    Vec::new()
                },
                grid,
            }
        })
        .collect()
}

/// The output frame at which a latent of the recording begins that is near an output frame which shows a source frame.
fn border(output: u64, source: u64, stride: u64) -> u64 {
    match source.checked_sub(1) {
        None => output + 1,
        // Ahead, since what is behind may lie before the output's beginning.
        Some(behind) => output + (stride - behind % stride) % stride,
    }
}

/// The first border between latents from `start` to the one at or before `span`; `start` itself where there is none.
fn first_border(start: u64, span: u64, grid: u64, stride: u64) -> u64 {
    let [from, at, grid, step] = [start, span, grid, stride].map(|n| n as i64);
    let last = grid + (at - grid).div_euclid(step) * step;
    if last < from {
        return start;
    }
    (last - (last - from) / step * step) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A face whose points span 40..80 across and 30..90 down, its nose at 60.
    fn face() -> Vec<Point> {
        let mut points = vec![[60.0, 60.0]; 468];
        points[0] = [40.0, 30.0];
        points[2] = [80.0, 90.0];
        points
    }

    #[test]
    fn regions_grow_from_lip_to_head() {
        let area = |region| area_of(region, &face(), (100, 200)).unwrap();
        let near = |found: Area, wanted: [f64; 4]| {
            let found = [found.left, found.top, found.right, found.bottom];
            let off = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f64::max) < 1e-6, "{found:?} {wanted:?}");
        };
        near(area(RegionRequest::Lip), [0.2, 0.6, 0.4, 0.9]);
        near(area(RegionRequest::Face), [0.2, 0.3, 0.4, 0.9]);
        near(area(RegionRequest::Head), [0.15, 0.0, 0.45, 0.96]);
        let away: Vec<Point> = face().iter().map(|[x, y]| [x - 500.0, *y]).collect();
        assert_eq!(area_of(RegionRequest::Lip, &away, (100, 200)), None);
    }

    /// Source frames 0..10, then 30..40.
    fn pictures() -> Pictures {
        let shown = (0..10).chain(30..40).map(|n| Shown::Frame(FrameIndex(n)));
        Pictures::showing(shown.collect())
    }

    #[test]
    fn stretches_end_at_shots_unless_what_is_made_joins_them() {
        let pictures = pictures();
        let part = Made::Part(Area {
            left: 0.1,
            top: 0.1,
            right: 0.2,
            bottom: 0.2,
        });
        let shots = [FrameIndex(20)];
        let found = |made: &[Made]| -> Vec<[u64; 4]> {
            ranges(made, &pictures, &shots, None, None)
                .iter()
                .map(|span| {
                    let (frames, all) = (&span.frames, &span.available);
                    [frames.start.0, frames.end.0, all.start.0, all.end.0]
                })
                .collect()
        };
        let mut made = vec![Made::Nothing; 20];
        made[8..12].fill(part);
        assert_eq!(found(&made), [[8, 10, 0, 10], [10, 12, 10, 20]]);
        made[8..12].fill(Made::Whole);
        assert_eq!(found(&made), [[8, 12, 0, 20]]);
        made[7] = part;
        assert_eq!(found(&made), [[7, 12, 0, 20]]);
        let span = &ranges(&made, &pictures, &shots, None, None)[0];
        assert_eq!(span.made.len(), 5);
        assert!(span.faces.is_empty());
    }
}
