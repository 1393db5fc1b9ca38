//! The pass over pairs of frames: decoded in order, compared side by side, gathered in order.

use super::align::Alignment;
use super::compare::{FrameScores, FrameWants, compare};
use super::copies::{Pairs as Copies, Rest};
use super::features::Features;
use super::mask::{Mask, ring};
use super::report::CopyKind;
use crate::MeasureError;
use crate::picture::brisque::{BrisqueParameters, brisque};
use crate::picture::niqe::{NiqeParameters, niqe};
use crate::picture::{luma, psnr, same_size};
use crate::statistics::mean;
use crate::watch::Watch;
use face::geometry::Point;
use face::track::Chosen;
use media::image::Rgb8;
use media::{Clip, Frame, FrameReader};
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use units::FrameIndex;

/// Pairs that are compared at once.
const BATCH: usize = 8;

/// What to walk through.
pub(super) struct Job<'a> {
    pub(super) made: &'a Clip,
    pub(super) reference: &'a Clip,
    pub(super) alignment: &'a Alignment,
    pub(super) made_landmarks: Vec<Option<Vec<Point>>>,
    pub(super) reference_landmarks: Vec<Option<Vec<Point>>>,
    pub(super) reference_face: Option<&'a Chosen>,
    pub(super) mask: &'a Mask,
    pub(super) fit: bool,
    pub(super) wants: FrameWants,
    /// Whether a network wants the pictures too.
    pub(super) features: bool,
    /// Parameters of the metrics that look at made frames alone.
    pub(super) niqe: Option<&'a NiqeParameters>,
    pub(super) brisque: Option<&'a BrisqueParameters>,
}

/// What the pairs of frames add up to.
#[derive(Clone, Debug, Default)]
pub(super) struct Walked {
    pub(super) pairs: u64,
    /// Pairs of one size.
    pub(super) comparable: u64,
    pub(super) psnr: Vec<f64>,
    pub(super) ssim: Vec<f64>,
    pub(super) ssim_rgb: Vec<f64>,
    pub(super) mouth_psnr: Vec<f64>,
    pub(super) mouth_ssim: Vec<f64>,
    pub(super) outside_max: u8,
    pub(super) outside_error: u64,
    pub(super) outside_values: u64,
    /// Changes of the difference along the mask's border from frame to frame.
    pub(super) flicker: Vec<f64>,
    pub(super) niqe: Vec<Result<f64, String>>,
    pub(super) brisque: Vec<Result<f64, String>>,
    border: Option<Vec<f32>>,
    /// PSNR of every pair in order, in the mouth where there is one; for curves and contact sheets.
    pub(super) course: Vec<Option<f64>>,
    /// What tells a copy.
    copies: Option<Copies>,
}

/// A pair's number, what its frames have in common, what the made one says alone, and the frames where they are wanted.
type Compared = (
    usize,
    FrameScores,
    [Option<Result<f64, String>>; 2],
    Option<[Rgb8; 2]>,
);

/// A pair on its way.
struct Pair {
    index: usize,
    made: Frame,
    reference: Arc<Frame>,
}

impl Job<'_> {
    pub(super) fn run(
        &self,
        features: &mut Features<'_>,
        watch: &mut dyn Watch,
    ) -> Result<Walked, MeasureError> {
        let mut walked = Walked {
            copies: Some(Copies::new(self.made.video()?.rate)),
            ..Walked::default()
        };
        let alone = self.niqe.is_some() || self.brisque.is_some();
        if !self.wants.any() && !self.features && !alone {
            return Ok(walked);
        }
        watch.begin("frames", self.alignment.len() as u64);
        let ring = ring();
        let result = std::thread::scope(|scope| {
            // One batch waits while another is being compared.
            let (sender, receiver) = sync_channel(1);
            scope.spawn(move || {
                let mut pairs = match Pairs::open(self) {
                    Ok(pairs) => pairs,
                    Err(error) => {
                        let _ = sender.send(Err(error));
                        return;
                    }
                };
                loop {
                    let batch = pairs.batch();
                    let last = !matches!(&batch, Ok(batch) if !batch.is_empty());
                    // The other side hangs up when it was stopped.
                    if sender.send(batch).is_err() || last {
                        return;
                    }
                }
            });
            self.gather(&receiver, &ring, &mut walked, features, watch)
        });
        watch.end();
        result.map(|()| walked)
    }

    fn gather(
        &self,
        batches: &Receiver<Result<Vec<Pair>, MeasureError>>,
        ring: &[usize],
        walked: &mut Walked,
        features: &mut Features<'_>,
        watch: &mut dyn Watch,
    ) -> Result<(), MeasureError> {
        while let Ok(batch) = batches.recv() {
            let batch = batch?;
            if batch.is_empty() {
                break;
            }
            if watch.stopped() {
                return Err(MeasureError::Stopped);
            }
            let compared: Vec<Compared> = batch
                .par_iter()
                .with_max_len(1)
                .map(|pair| {
                    let reference = pair.reference.to_rgb8();
                    let mut made = pair.made.to_rgb8();
                    if self.fit && !same_size(&made, &reference) {
                        made = made.resize(reference.width, reference.height);
                    }
                    let partner = self
                        .alignment
                        .reference
                        .get(pair.index)
                        .copied()
                        .unwrap_or(0);
                    let place = self
                        .reference_face
                        .and_then(|f| f.placement(FrameIndex(partner)));
                    let scores = compare(&made, &reference, place, self.mask, ring, self.wants);
                    let niqe = self
                        .niqe
                        .map(|own| niqe(&luma(&made), made.width, made.height, own));
                    let brisque = self.brisque.map(|own| brisque(&made, own));
                    let pictures = self.features.then_some([made, reference]);
                    (pair.index, scores, [niqe, brisque], pictures)
                })
                .collect();
            for (index, scores, [niqe, brisque], pictures) in compared {
                walked.take(scores, self.wants);
                walked.niqe.extend(niqe);
                walked.brisque.extend(brisque);
                if let Some([made, reference]) = &pictures {
                    let partner = self.alignment.reference.get(index).copied().unwrap_or(0);
                    let points = [
                        self.made_landmarks.get(index).and_then(Option::as_deref),
                        self.reference_landmarks
                            .get(partner as usize)
                            .and_then(Option::as_deref),
                    ];
                    features.push([made, reference], points)?;
                }
            }
            watch.advance(batch.len() as u64);
        }
        Ok(())
    }
}

impl Walked {
    /// Whether the pairs are a copy side by side.
    pub(super) fn copy(&self) -> Result<Option<CopyKind>, Rest> {
        match &self.copies {
            Some(copies) if self.comparable == self.pairs => copies.kind(),
            _ => Ok(None),
        }
    }

    fn take(&mut self, scores: FrameScores, wants: FrameWants) {
        self.pairs += 1;
        if scores.same_size {
            self.comparable += 1;
        }
        let whole = psnr(scores.squared_error, scores.values);
        if let (Some(copies), Some(seen)) = (&mut self.copies, scores.seen) {
            copies.push(seen);
        }
        let mouth = scores.mouth.and_then(|(error, values)| psnr(error, values));
        self.course.push(mouth.or(whole));
        self.psnr.extend(whole);
        self.ssim.extend(scores.ssim);
        self.ssim_rgb.extend(scores.ssim_rgb);
        self.mouth_psnr.extend(mouth);
        self.mouth_ssim.extend(scores.mouth_ssim);
        if let Some(outside) = scores.outside {
            self.outside_max = self.outside_max.max(outside.max);
            self.outside_error += outside.squared_error;
            self.outside_values += outside.values;
        }
        if wants.flicker {
            if let (Some(before), Some(now)) = (&self.border, &scores.border) {
                let changes: Vec<f64> = before
                    .iter()
                    .zip(now)
                    .map(|(a, b)| f64::from((a - b).abs()))
                    .collect();
                self.flicker.extend(mean(&changes));
            }
            self.border = scores.border;
        }
    }
}

/// Decodes pairs in order.
struct Pairs<'a> {
    made: FrameReader,
    reference: FrameReader,
    alignment: &'a Alignment,
    index: usize,
    /// Frames of the reference that were read.
    read: u64,
    shown: Option<Arc<Frame>>,
}

impl<'a> Pairs<'a> {
    fn open(job: &Job<'a>) -> Result<Self, MeasureError> {
        let count = job.alignment.len() as u64;
        let last = job.alignment.reference.last().map_or(0, |last| last + 1);
        Ok(Self {
            made: job.made.frames(FrameIndex::ZERO..FrameIndex(count))?,
            reference: job.reference.frames(FrameIndex::ZERO..FrameIndex(last))?,
            alignment: job.alignment,
            index: 0,
            read: 0,
            shown: None,
        })
    }

    /// The next pairs; none at the end.
    fn batch(&mut self) -> Result<Vec<Pair>, MeasureError> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let Some(partner) = self.alignment.reference.get(self.index) else {
                break;
            };
            while self.read <= *partner {
                match self.reference.next() {
                    Some(frame) => self.shown = Some(Arc::new(frame?)),
                    None => return Ok(batch),
                }
                self.read += 1;
            }
            let (Some(made), Some(reference)) = (self.made.next(), &self.shown) else {
                break;
            };
            batch.push(Pair {
                index: self.index,
                made: made?,
                reference: Arc::clone(reference),
            });
            self.index += 1;
        }
        Ok(batch)
    }
}
