//! Tracks of a face as the procedure asks for them: at 25 fps, without a break, long and large enough.

use super::crop::{Place, places};
use super::{RATE, SyncOptions};
use face::geometry::Rect;
use face::track::Chosen;
use media::VideoInfo;
use units::FrameIndex;

/// A face's boxes at 25 fps, without a break.
pub(super) struct Track {
    pub(super) first: usize,
    /// For each frame, the clip's frame that is shown.
    pub(super) sources: Vec<u64>,
    pub(super) places: Vec<Place>,
}

/// The frame shown at 25 fps: the one that starts nearest to the tick, as an encoder at a constant rate takes it.
fn source_frames(video: &VideoInfo) -> Vec<u64> {
    let zero = video.times.start(FrameIndex::ZERO).0;
    let end = video
        .times
        .end_of(FrameIndex(video.frames.saturating_sub(1)))
        .0
        - zero;
    let count = (end * RATE).round().max(0.0) as u64;
    let mut source = 0;
    (0..count)
        .map(|tick| {
            let time = (tick as f64 + 0.5) / RATE;
            while source + 1 < video.frames
                && video.times.start(FrameIndex(source + 1)).0 - zero <= time - 1e-6
            {
                source += 1;
            }
            source
        })
        .collect()
}

/// Every track that is long and large enough, or why there is none.
pub(super) fn tracks(
    video: &VideoInfo,
    chosen: &Chosen,
    options: &SyncOptions,
) -> Result<Vec<Track>, String> {
    let sources = source_frames(video);
    let boxes: Vec<Option<Rect>> = sources
        .iter()
        .map(|frame| Rect::around(chosen.face(FrameIndex(*frame))?.landmarks.iter().copied()))
        .collect();
    let (mut tracks, mut longest, mut largest) = (Vec::new(), 0, 0.0_f32);
    let mut start = 0;
    while start < boxes.len() {
        let run: Vec<Rect> = boxes.iter().skip(start).map_while(|area| *area).collect();
        if run.is_empty() {
            start += 1;
            continue;
        }
        let size = run.iter().map(|b| b.width().max(b.height())).sum::<f32>() / run.len() as f32;
        longest = longest.max(run.len());
        if run.len() >= options.least_frames {
            largest = largest.max(size);
            if size > options.least_size {
                tracks.push(Track {
                    first: start,
                    sources: sources
                        .iter()
                        .copied()
                        .skip(start)
                        .take(run.len())
                        .collect(),
                    places: places(&run),
                });
            }
        }
        start += run.len();
    }
    if !tracks.is_empty() {
        return Ok(tracks);
    }
    Err(if longest == 0 {
        "no face was found".to_owned()
    } else if longest < options.least_frames {
        format!(
            "the longest face track has {longest} frames at 25 fps; {} are needed",
            options.least_frames
        )
    } else {
        format!(
            "the face is {largest:.0} px large; more than {:.0} are needed",
            options.least_size
        )
    })
}
