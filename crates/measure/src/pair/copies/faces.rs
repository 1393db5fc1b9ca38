//! The course of a face, by which it is told how much one clip runs behind another, and where one's frame lies in the
//! other's: cut, stretched or mirrored.

use super::Side;
use super::lag::{Shown, search};
use crate::statistics::median;
use face::geometry::Point;
use face::mesh;
use media::image::Affine;
use units::FrameIndex;

/// Points by which a face is known again: eyes, nose, mouth, chin.
const POINTS: [usize; 10] = [
    mesh::EYE_OUTER_LEFT,
    mesh::EYE_INNER_LEFT,
    mesh::EYE_INNER_RIGHT,
    mesh::EYE_OUTER_RIGHT,
    mesh::NOSE_TIP,
    mesh::MOUTH_LEFT,
    mesh::MOUTH_RIGHT,
    mesh::LIP_UPPER_INNER,
    mesh::LIP_LOWER_INNER,
    mesh::CHIN,
];
/// Where each of them stands in a mirror.
const MIRRORED: [usize; POINTS.len()] = [3, 2, 1, 0, 4, 6, 5, 7, 8, 9];
/// Faces as near as this (mean distance of their points, in distances of the eyes) may be one picture.
const NEAR: f64 = 0.06;
/// Scales that are looked for: a picture in a picture, or a part of it.
const SIZES: std::ops::RangeInclusive<f32> = 0.2..=5.0;
/// Corners that moved less than this part of the frame are where they were.
const UNMOVED: f32 = 0.01;

/// A face's points.
type Shape = [Point; POINTS.len()];

/// A few points of every face, as parts of the frame, and when they are shown.
pub(super) struct Faces {
    shown: Shown,
    shapes: Vec<Option<Shape>>,
    /// Height over width, by which parts of the frame become comparable.
    aspect: f32,
}

/// Where a clip's frames lie in another's: for each axis a scale and a shift, parts of the frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frames {
    axes: [[f32; 2]; 2],
    /// Left and right have changed places.
    pub(super) mirrored: bool,
}

/// How a clip lies in another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fit {
    /// How much later its pictures stand in the other, seconds.
    pub(super) lag: f64,
    /// Where its frames lie in the other's.
    pub(super) frames: Frames,
}

impl Frames {
    /// Whole frame upon whole frame.
    pub(super) fn whole(mirrored: bool) -> Self {
        let across = if mirrored { [-1.0, 1.0] } else { [1.0, 0.0] };
        Self {
            axes: [across, [1.0, 0.0]],
            mirrored,
        }
    }

    /// The least-squares map of many points to many others; `None` where they do not spread.
    fn fit(pairs: &[(Shape, Shape)], mirrored: bool) -> Option<Self> {
        let mut axes = [[1.0, 0.0]; 2];
        for (axis, map) in axes.iter_mut().enumerate() {
            let (mut count, mut x, mut y, mut xx, mut xy) = (0.0_f64, 0.0, 0.0, 0.0, 0.0);
            for (from, to) in pairs {
                for (index, point) in from.iter().enumerate() {
                    let (a, b) = (
                        f64::from(*point.get(axis)?),
                        f64::from(*partner(to, index, mirrored)?.get(axis)?),
                    );
                    count += 1.0;
                    (x, y, xx, xy) = (x + a, y + b, xx + a * a, xy + a * b);
                }
            }
            let spread = count * xx - x * x;
            if spread <= 1e-12 {
                return None;
            }
            let scale = (count * xy - x * y) / spread;
            *map = [scale as f32, ((y - scale * x) / count) as f32];
        }
        let [[across, _], [down, _]] = axes;
        let sizes = SIZES.contains(&across.abs()) && SIZES.contains(&down);
        (sizes && (across < 0.0) == mirrored).then_some(Self { axes, mirrored })
    }

    fn apply(&self, [x, y]: Point) -> Point {
        let [[across, right], [down, below]] = self.axes;
        [across * x + right, down * y + below]
    }

    /// Whether every part of a frame lies where it lay, as far as faces tell.
    pub(super) fn unmoved(&self) -> bool {
        [[0.0, 0.0], [1.0, 1.0]].into_iter().all(|corner| {
            let [x, y] = self.apply(corner);
            (x - corner[0]).abs() < UNMOVED && (y - corner[1]).abs() < UNMOVED
        })
    }

    /// From positions in the other's frames to this clip's, both in pixels (continuous).
    pub(super) fn back(&self, other: (usize, usize), mine: (usize, usize)) -> Option<Affine> {
        let [[across, right], [down, below]] = self.axes;
        let parts = Affine::scale(1.0 / other.0 as f32, 1.0 / other.1 as f32);
        let into = Affine([across, 0.0, right, 0.0, down, below]).inverse()?;
        let pixels = Affine::scale(mine.0 as f32, mine.1 as f32);
        Some(pixels.compose(&into).compose(&parts))
    }
}

/// The point of a shape that belongs to another's `index`.
fn partner(shape: &Shape, index: usize, mirrored: bool) -> Option<&Point> {
    let place = if mirrored {
        *MIRRORED.get(index)?
    } else {
        index
    };
    shape.get(place)
}

impl Faces {
    pub(super) fn of(side: &Side<'_>) -> Self {
        let video = &side.course.video;
        let (width, height) = (video.width as f32, video.height as f32);
        let shape = |frame: u64| {
            let face = side
                .face?
                .face(FrameIndex(frame))
                .filter(|face| !face.bridged)?;
            let mut shape = [[0.0; 2]; POINTS.len()];
            for (place, index) in shape.iter_mut().zip(POINTS) {
                let [x, y] = face.landmarks.get(index).copied()?;
                *place = [x / width, y / height];
            }
            Some(shape)
        };
        Self {
            shown: Shown::of(video, side.course.frames),
            shapes: (0..side.course.frames).map(shape).collect(),
            aspect: height / width,
        }
    }

    fn shape(&self, frame: usize) -> Option<&Shape> {
        self.shapes.get(frame)?.as_ref()
    }

    /// How far a shape is from one of these, in distances of the outer corners of the eyes.
    fn distance(&self, shape: &Shape, own: &Shape, frames: &Frames) -> Option<f64> {
        let length = |a: &Point, b: &Point| {
            f64::from(a[0] - b[0]).hypot(f64::from((a[1] - b[1]) * self.aspect))
        };
        let [left, _, _, right, ..] = own;
        let eyes = length(left, right).max(1e-6);
        let mut sum = 0.0;
        for (index, point) in shape.iter().enumerate() {
            let other = partner(own, index, frames.mirrored)?;
            sum += length(&frames.apply(*point), other);
        }
        Some(sum / POINTS.len() as f64 / eyes)
    }
}

/// The lag and the place of frames at which the faces are nearest; `None` where they are never near.
pub(super) fn fit(mine: &Faces, theirs: &Faces) -> Option<Fit> {
    let seen: Vec<usize> = (0..mine.shown.frames())
        .filter(|frame| mine.shape(*frame).is_some())
        .collect();
    let (distance, lag, frames) = search(&mine.shown, &theirs.shown, &seen, |pairs| {
        let shapes: Vec<(Shape, Shape)> = pairs
            .iter()
            .filter_map(|(one, two)| Some((*mine.shape(*one)?, *theirs.shape(*two)?)))
            .collect();
        let distance = |mirrored: bool| {
            let frames = Frames::fit(&shapes, mirrored)?;
            let distances: Vec<f64> = shapes
                .iter()
                .filter_map(|(shape, own)| theirs.distance(shape, own, &frames))
                .collect();
            // Faces that are missing in the other clip count as far away.
            let missing = vec![f64::MAX; pairs.len() - distances.len()];
            Some((median(&[distances, missing].concat())?, frames))
        };
        let (plain, mirrored) = (distance(false), distance(true));
        match (plain, mirrored) {
            (Some(plain), Some(mirrored)) if mirrored.0 < plain.0 => Some(mirrored),
            (plain, mirrored) => plain.or(mirrored),
        }
    })?;
    (distance < NEAR).then_some(Fit { lag, frames })
}

/// Pairs of frames of such a clip: the frame shown, or one beside it whose face is nearer (rates may differ). Both ascend.
pub(super) fn partners(mine: &Faces, theirs: &Faces, fit: &Fit) -> Vec<(u64, u64)> {
    let mut pairs: Vec<(u64, u64)> = Vec::new();
    for frame in 0..mine.shown.frames() {
        let Some(shown) = theirs.shown.at(mine.shown.middle(frame) + fit.lag) else {
            continue;
        };
        let shape = mine.shape(frame);
        let near = (shown.saturating_sub(1)..=shown + 1)
            .filter_map(|other| {
                let distance = theirs.distance(shape?, theirs.shape(other)?, &fit.frames)?;
                Some((distance, other))
            })
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
            .map_or(shown, |(_, other)| other) as u64;
        let last = pairs.last().map_or(0, |(_, other)| *other);
        pairs.push((frame as u64, near.max(last)));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::{Faces, Fit, Frames, MIRRORED, POINTS, Shown, fit, partners};

    /// A head that wanders: frames `from..to` of its course at `rate`.
    fn faces(from: usize, to: usize, rate: f64, size: f32) -> Faces {
        let shape = |n: usize| {
            let t = (from as f64 / 25.0 + n as f64 / rate) as f32;
            let mut shape = [[0.0; 2]; POINTS.len()];
            for (index, point) in shape.iter_mut().enumerate() {
                let k = index as f32;
                *point = [
                    0.3 + 0.02 * k + 0.03 * (t * 2.1).sin() * size,
                    0.4 + 0.01 * k + 0.02 * (t * 3.7 + k).cos() * size,
                ];
            }
            Some(shape)
        };
        let count = ((to - from) as f64 / 25.0 * rate) as usize;
        Faces {
            shown: Shown::constant(count, rate),
            shapes: (0..count).map(shape).collect(),
            aspect: 1.0,
        }
    }

    #[test]
    fn a_clip_that_starts_later_is_found_by_its_faces_and_another_one_is_not() {
        let whole = faces(0, 120, 25.0, 1.0);
        let same = fit(&whole, &whole).unwrap();
        assert!(same.lag == 0.0 && same.frames.unmoved() && !same.frames.mirrored);
        let cut = faces(10, 120, 25.0, 1.0);
        let late = fit(&cut, &whole).unwrap();
        assert!((late.lag - 0.4).abs() < 1e-9);
        assert!((fit(&whole, &cut).unwrap().lag + 0.4).abs() < 1e-9);
        assert_eq!(fit(&faces(0, 120, 25.0, -3.0), &whole), None);
        assert_eq!(partners(&cut, &whole, &late)[..2], [(0, 10), (1, 11)]);
        let early = Fit { lag: -0.4, ..late };
        assert_eq!(partners(&whole, &cut, &early)[0], (10, 0));
        // Most of it must be there.
        assert_eq!(fit(&whole, &faces(20, 110, 25.0, 1.0)), None);
    }

    #[test]
    fn another_rate_is_paired_by_the_nearest_face() {
        let (slow, whole) = (faces(25, 125, 12.5, 1.0), faces(0, 150, 25.0, 1.0));
        let found = fit(&slow, &whole).unwrap();
        let pairs = partners(&slow, &whole, &found);
        assert_eq!(pairs[..3], [(0, 25), (1, 27), (2, 29)]);
    }

    #[test]
    fn a_part_of_the_frame_and_a_mirror_are_found() {
        let whole = faces(0, 120, 25.0, 1.0);
        let mut part = faces(12, 120, 25.0, 1.0);
        for shape in part.shapes.iter_mut().flatten() {
            // Seven tenths of the width and eight of the height, from (0.1, 0.15) on, seen in a mirror.
            let seen = shape.map(|[x, y]| [1.0 - (x - 0.1) / 0.7, (y - 0.15) / 0.8]);
            *shape = std::array::from_fn(|index| seen[MIRRORED[index]]);
        }
        let found = fit(&part, &whole).unwrap();
        assert!(found.frames.mirrored && !found.frames.unmoved());
        assert!((found.lag - 0.48).abs() < 1e-9);
        // The middle of the whole frame of 100 x 200, in a part of 300 x 300.
        let back = found.frames.back((100, 200), (300, 300)).unwrap();
        let (x, y) = back.apply(50.0, 100.0);
        assert!((x - 300.0 * (1.0 - 0.4 / 0.7)).abs() < 0.1, "{x}");
        assert!((y - 300.0 * 0.35 / 0.8).abs() < 0.1, "{y}");
        assert!(Frames::whole(false).unmoved() && !Frames::whole(true).unmoved());
    }

    #[test]
    fn few_faces_are_no_course() {
        let whole = faces(0, 120, 25.0, 1.0);
        assert_eq!(fit(&faces(0, 9, 25.0, 1.0), &whole), None);
    }
}
