//! Recorded tracks, read piece by piece.

use super::AssembleError;
use std::ops::Range;
use units::SampleRate;

/// Any error of a track's reader.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A recorded track that can be read at any place. Reads come mostly in order: a reader that goes on where the last
/// read ended, and seeks otherwise, is fast.
pub trait TrackSource {
    /// Samples a second.
    fn rate(&self) -> SampleRate;
    /// Channels.
    fn channels(&self) -> usize;
    /// Samples of each channel.
    fn samples(&self) -> u64;
    /// The samples of a range inside the track: one vector a channel, each as long as the range.
    fn read(&mut self, range: Range<u64>) -> Result<Vec<Vec<f32>>, BoxError>;
}

/// A track in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryTrack {
    /// Samples a second.
    pub rate: SampleRate,
    /// One vector a channel, all of one length.
    pub channels: Vec<Vec<f32>>,
}

impl TrackSource for MemoryTrack {
    fn rate(&self) -> SampleRate {
        self.rate
    }

    fn channels(&self) -> usize {
        self.channels.len()
    }

    fn samples(&self) -> u64 {
        self.channels.iter().map(Vec::len).min().unwrap_or(0) as u64
    }

    fn read(&mut self, range: Range<u64>) -> Result<Vec<Vec<f32>>, BoxError> {
        self.channels
            .iter()
            .map(|channel| {
                channel
                    .get(range.start as usize..range.end as usize)
                    .map(<[f32]>::to_vec)
                    .ok_or_else(|| "the range lies outside the track".into())
            })
            .collect()
    }
}

/// Reads a range of a track, checked.
pub(super) fn read<T: TrackSource>(
    track: &mut T,
    range: Range<u64>,
) -> Result<Vec<Vec<f32>>, AssembleError> {
    if range.is_empty() {
        return Ok(vec![Vec::new(); track.channels()]);
    }
    let asked = range.end - range.start;
    let block = track
        .read(range.clone())
        .map_err(|source| AssembleError::Source { range, source })?;
    let fits = block.len() == track.channels() && block.iter().all(|c| c.len() as u64 == asked);
    if !fits {
        return Err(AssembleError::Short {
            given: block.iter().map(Vec::len).min().unwrap_or(0),
            asked,
        });
    }
    Ok(block)
}
