//! The tracker: one pass over the frames.

use super::appearance::Appearance;
use super::cuts::{Change, CutDetector};
use super::live::Live;
use super::points::Points;
use super::{FaceFrame, FaceTrack, TrackOptions, Tracks, gaps, scenes};
use crate::detect::{Detection, FaceFinder, FallbackFinder, FindFaces};
use crate::geometry::distance;
use crate::landmark::{Landmarker, Landmarks};
use crate::{FaceError, mesh};
use media::image::Rgb8;
use std::ops::Range;
use std::sync::Arc;
use units::FrameIndex;

/// A detection that overlaps a followed face by this much is that face.
const SAME_PLACE: f32 = 0.25;
/// Two followed faces that overlap by this much are one.
const SAME_FACE: f32 = 0.6;
/// Heads as alike as this are one person.
const SAME_PERSON: f32 = 0.6;
/// A lost face that comes back near its place must be at least as alike as this.
const SAME_NEARBY: f32 = 0.35;
/// A new face must be as sure as this.
const NEW_FACE: f32 = 0.5;
/// While no face is found at all, the fallback detector looks every so many frames.
const FALLBACK_EVERY: u64 = 25;

/// Follows the faces of a clip.
///
/// Frames are pushed in order, every one of the stretches that are wanted; pixels are not kept, and points of faces
/// beyond some ten minutes lie in a file.
pub struct Tracker {
    options: TrackOptions,
    finder: Box<dyn FindFaces>,
    fallback: Option<Box<dyn FindFaces>>,
    landmarker: Landmarker,
    cuts: CutDetector,
    cut_frames: Vec<FrameIndex>,
    points: Arc<Points>,
    live: Vec<Live>,
    done: Vec<FaceTrack>,
    /// What each person looked like last.
    people: Vec<Appearance>,
    runs: Vec<Range<FrameIndex>>,
    next: Option<FrameIndex>,
    detected: Option<FrameIndex>,
}

impl Tracker {
    /// With the embedded networks, and the fallback detector where the first finds nothing.
    ///
    /// # Errors
    /// [`FaceError::Weights`] where embedded weights are broken.
    pub fn new(options: TrackOptions) -> Result<Self, FaceError> {
        Ok(Self::with_finders(
            options,
            Box::new(FaceFinder::new()?),
            Some(Box::new(FallbackFinder::new()?)),
            Landmarker::new()?,
        ))
    }

    /// With other detectors.
    pub fn with_finders(
        options: TrackOptions,
        finder: Box<dyn FindFaces>,
        fallback: Option<Box<dyn FindFaces>>,
        landmarker: Landmarker,
    ) -> Self {
        Self {
            options,
            finder,
            fallback,
            landmarker,
            cuts: CutDetector::default(),
            cut_frames: Vec::new(),
            points: Arc::default(),
            live: Vec::new(),
            done: Vec::new(),
            people: Vec::new(),
            runs: Vec::new(),
            next: None,
            detected: None,
        }
    }

    /// Looks at the next frame.
    ///
    /// # Errors
    /// [`FaceError::Order`] when frames do not follow one another, [`FaceError::Points`] when there is no room for what
    /// was found.
    pub fn push(&mut self, index: FrameIndex, frame: &Rgb8) -> Result<(), FaceError> {
        if let Some(expected) = self.next.filter(|&next| next != index) {
            return Err(FaceError::Order {
                expected,
                found: index,
            });
        }
        match self.runs.last_mut().filter(|run| run.end == index) {
            Some(run) => run.end = index.next(),
            None => self.runs.push(index..index.next()),
        }
        self.next = Some(index.next());
        let change = self.cuts.push(frame);
        if change.is_some_and(Change::is_cut) {
            self.cut(index);
        }
        if self.follow(index, frame, change) {
            self.cut(index);
        }
        self.drop_doubles(index);
        let due = self
            .detected
            .is_none_or(|last| index.since(last) >= self.options.detect_every);
        if due || self.live.is_empty() || self.live.iter().any(|face| face.lost > 0) {
            self.detect(index, frame);
        }
        self.drop_forgotten();
        self.points.check()
    }

    /// Leaves out the frames up to `index`, which comes next. All tracks end, but people are known
    /// again after it; where the picture is another one by then, that frame counts as a cut.
    ///
    /// # Errors
    /// [`FaceError::Order`] when `index` lies before the frames that were pushed.
    pub fn skip_to(&mut self, index: FrameIndex) -> Result<(), FaceError> {
        if let Some(expected) = self.next.filter(|&next| next > index) {
            return Err(FaceError::Order {
                expected,
                found: index,
            });
        }
        if self.next != Some(index) {
            for live in std::mem::take(&mut self.live) {
                self.retire(live);
            }
            self.cuts.skip();
            self.detected = None;
        }
        self.next = Some(index);
        Ok(())
    }

    /// A new scene starts: every track ends.
    fn cut(&mut self, index: FrameIndex) {
        if self.cut_frames.last() != Some(&index) {
            self.cut_frames.push(index);
        }
        for live in std::mem::take(&mut self.live) {
            self.retire(live);
        }
    }

    /// Finds each face near its last place. True when a face jumped as only a cut makes it.
    fn follow(&mut self, index: FrameIndex, frame: &Rgb8, change: Option<Change>) -> bool {
        for live in &mut self.live {
            if live.lost > 0 {
                live.miss();
                continue;
            }
            let found = live
                .square()
                .map(|place| self.landmarker.landmarks(frame, &place))
                .filter(|found| found.presence >= self.options.least_presence)
                .filter(|found| live.plausible(found));
            match found {
                Some(found) if change.is_some_and(|c| c.is_cut_at(live.jump(&found))) => {
                    return true;
                }
                Some(found) => live.see(index, face_frame(found)),
                None => live.miss(),
            }
        }
        false
    }

    /// Of two tracks on one face, the younger loses it.
    fn drop_doubles(&mut self, index: FrameIndex) {
        let mut i = 0;
        while i < self.live.len() {
            let double = self.live.iter().enumerate().any(|(j, other)| {
                self.live.get(i).is_some_and(|live| {
                    live.lost == 0
                        && other.lost == 0
                        && (other.seen(), j) > (live.seen(), i)
                        && other.area().overlap(&live.area()) > SAME_FACE
                })
            });
            if double {
                let mut live = self.live.remove(i);
                live.forget(index);
                self.retire(live);
            } else {
                i += 1;
            }
        }
    }

    /// Looks for faces in the whole frame: lost ones, and new ones.
    fn detect(&mut self, index: FrameIndex, frame: &Rgb8) {
        self.detected = Some(index);
        let mut found = self.finder.detect(frame);
        if found.is_empty() && self.live.is_empty() && index.0.is_multiple_of(FALLBACK_EVERY) {
            let fallback = self.fallback.as_ref();
            found = fallback.map_or_else(Vec::new, |finder| finder.detect(frame));
        }
        found.sort_by(|a, b| b.area.area().total_cmp(&a.area.area()));
        for detection in &found {
            self.place(index, frame, detection);
        }
        for live in self.live.iter_mut().filter(|live| live.lost == 0) {
            if let Some(place) = live.square() {
                live.look.follow(&Appearance::of(frame, &place));
            }
        }
    }

    /// Gives a detection to the face that it shows, or makes it a new one.
    fn place(&mut self, index: FrameIndex, frame: &Rgb8, detection: &Detection) {
        let followed = self.live.iter().any(|live| {
            live.lost == 0
                && (live.area().overlap(&detection.area) > SAME_PLACE
                    || live.area().contains(detection.area.centre()))
        });
        let room = self.live.iter().filter(|live| live.lost == 0).count() < self.options.most_faces;
        if followed || !room {
            return;
        }
        let found = self.landmarker.settle(frame, &detection.square());
        let Some(square) = found.square() else {
            return;
        };
        if found.presence < self.options.least_presence {
            return;
        }
        let look = Appearance::of(frame, &square);
        let returned = self
            .live
            .iter()
            .enumerate()
            .filter(|(_, live)| live.lost > 0)
            .filter_map(|(i, live)| {
                let before = live.square()?;
                let moved = distance(before.centre, square.centre) / before.side;
                let reach = 0.5 + live.lost as f32 / 20.0;
                let alike = live.look.likeness(&look);
                let needed = if moved < reach {
                    SAME_NEARBY
                } else {
                    SAME_PERSON
                };
                (alike > needed).then_some((i, alike - moved))
            })
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((i, _)) = returned {
            if let Some(live) = self.live.get_mut(i) {
                live.see(index, face_frame(found));
            }
        } else if detection.score >= NEW_FACE {
            let person = self.recognise(&look);
            self.live.push(Live::new(
                person,
                index,
                face_frame(found),
                look,
                &self.points,
            ));
        }
    }

    /// The person that looks like this and is not in the picture already, or a new one.
    fn recognise(&mut self, look: &Appearance) -> usize {
        let known = self
            .people
            .iter()
            .enumerate()
            .filter(|(person, _)| self.live.iter().all(|live| live.person != *person))
            .map(|(person, known)| (person, known.likeness(look)))
            .filter(|(_, alike)| *alike > SAME_PERSON)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        known.map_or_else(
            || {
                self.people.push(look.clone());
                self.people.len() - 1
            },
            |(person, _)| person,
        )
    }

    /// Ends the tracks whose face has been gone for too long.
    fn drop_forgotten(&mut self) {
        let patience = self.frames(self.options.forget.0);
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.live)
            .into_iter()
            .partition(|live| live.lost > patience);
        self.live = kept;
        for live in gone {
            self.retire(live);
        }
    }

    fn retire(&mut self, live: Live) {
        if let Some(known) = self.people.get_mut(live.person) {
            *known = live.look.clone();
        }
        self.done.push(live.finish());
    }

    fn frames(&self, seconds: f64) -> u64 {
        (seconds * self.options.rate.per_second()).round() as u64
    }

    /// Ends all tracks, bridges short gaps, and numbers the people by how much there is of them.
    pub fn finish(mut self) -> Tracks {
        for live in std::mem::take(&mut self.live) {
            self.retire(live);
        }
        let longest = self.frames(self.options.bridge.0);
        let mut tracks = self.done;
        let scenes = scenes(&self.runs, &self.cut_frames);
        // What flickers up for a frame or two in a longer scene is no face.
        tracks.retain(|track| {
            let scene = scenes
                .iter()
                .find(|scene| scene.contains(&track.frames.start));
            let length = scene.map_or(1, |scene| scene.end.since(scene.start));
            track.seen() as u64 >= length.min(3)
        });
        let mut weight = vec![0.0_f32; self.people.len()];
        for track in &mut tracks {
            if let Some(sum) = weight.get_mut(track.person) {
                *sum += track.seen() as f32 * track.size();
            }
            gaps::bridge(track, longest);
        }
        let mut order: Vec<usize> = (0..weight.len()).filter(|&p| weight[p] > 0.0).collect();
        order.sort_by(|&a, &b| weight[b].total_cmp(&weight[a]));
        for track in &mut tracks {
            let rank = order.iter().position(|&person| person == track.person);
            track.person = rank.unwrap_or(track.person);
        }
        tracks.sort_by_key(|track| (track.frames.start, track.person));
        Tracks {
            tracks: tracks.into_iter().map(Arc::new).collect(),
            cuts: self.cut_frames,
            runs: self.runs,
            rate: self.options.rate,
        }
    }
}

fn face_frame(found: Landmarks) -> FaceFrame {
    let yaw = mesh::yaw(&found.points, &found.depths);
    FaceFrame {
        yaw,
        landmarks: found.points,
        presence: found.presence,
        bridged: false,
    }
}
