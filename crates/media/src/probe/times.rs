//! When frames are shown: from the times of packets, or by decoding everything where those are missing.

use super::{KeyKind, PacketEntry, feed};
use crate::MediaError;
use crate::libav::{AvFrame, Code, Decoder, Input, Packet, StreamView};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use units::Seconds;

/// What a packet says before all of them are known.
pub(super) struct Raw {
    pub(super) pts: Option<i64>,
    pub(super) dts: Option<i64>,
    pub(super) duration: i64,
    pub(super) key: KeyKind,
    pub(super) shown: bool,
}

/// Starts of the frames, where the last one ends if that is known, and the packets.
pub(super) type Found = (Vec<i64>, Option<i64>, Vec<PacketEntry>);

/// Frame times from packet times; `first` is that of the first frame that decodes.
pub(super) fn by_packets(raw: &[Raw], first: Option<i64>, warnings: &mut Vec<String>) -> Found {
    let mut starts = BTreeSet::new();
    let mut end = None;
    let mut packets = Vec::with_capacity(raw.len());
    for packet in raw {
        let pts = packet.pts.or(packet.dts).unwrap_or(0);
        let decodable = first.is_none_or(|ticks| pts >= ticks);
        let shown = packet.shown && decodable && starts.insert(pts);
        if shown && packet.duration > 0 {
            end = end.max(Some((pts, pts + packet.duration)));
        }
        packets.push(PacketEntry {
            pts,
            dts: packet.dts.unwrap_or(pts),
            key: packet.key,
            shown,
        });
    }
    let skipped = raw
        .iter()
        .zip(&packets)
        .filter(|(raw, entry)| raw.shown && !entry.shown)
        .count();
    if skipped > 0 {
        warnings.push(format!(
            "{skipped} frames before the first one that can be decoded are left out."
        ));
    }
    let last = starts.last().copied();
    let end = end
        .filter(|&(start, _)| Some(start) == last)
        .map(|(_, end)| end);
    (starts.into_iter().collect(), end, packets)
}

/// Frame times from decoding everything, for streams whose packets have no usable times.
pub(super) fn by_decoding(
    raw: &[Raw],
    view: &StreamView,
    file: &Arc<File>,
    stream: usize,
    path: &Path,
) -> Result<Found, MediaError> {
    let failed = |code: Code| MediaError::Unreadable {
        path: path.to_path_buf(),
        reason: code.to_string(),
    };
    let mut input = Input::open(Arc::clone(file)).map_err(failed)?;
    input.only(&[stream]);
    let mut decoder = Decoder::open(&input, stream).map_err(failed)?;
    let mut packet = Packet::new().map_err(failed)?;
    let mut frame = AvFrame::new().map_err(failed)?;
    let mut frames = 0_u64;
    let mut step = raw
        .iter()
        .map(|packet| packet.duration)
        .find(|&duration| duration > 0);
    if step.is_none() {
        let (numerator, denominator) = view.base_rate;
        if numerator > 0 && denominator > 0 {
            let seconds = f64::from(denominator) / f64::from(numerator);
            step = Some(view.base.ticks(Seconds(seconds)));
        }
    }
    while let Ok(true) = input.read(&mut packet) {
        feed(&mut decoder, Some(&packet), &mut frame, |_| frames += 1);
    }
    feed(&mut decoder, None, &mut frame, |_| frames += 1);
    // Times of such streams are guesses at best; the frame count is not.
    let step = step
        .unwrap_or_else(|| view.base.ticks(Seconds(0.04)))
        .max(1);
    let origin = raw
        .iter()
        .find_map(|packet| packet.pts.or(packet.dts))
        .unwrap_or(0);
    let starts: Vec<i64> = (0..frames as i64).map(|n| origin + n * step).collect();
    let packets = raw
        .iter()
        .zip(0_i64..)
        .map(|(packet, n)| PacketEntry {
            pts: origin + n * step,
            dts: origin + n * step,
            key: packet.key,
            shown: packet.shown,
        })
        .collect();
    let end = origin + frames as i64 * step;
    Ok((starts, Some(end), packets))
}
