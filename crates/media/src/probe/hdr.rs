//! HDR10's side data as libav keeps it.

use crate::info::{ContentLight, MasteringDisplay};

/// libav's `AVMasteringDisplayMetadata`: ten rationals (six primaries, two white, darkest,
/// brightest), then two flags that say which of them are set.
pub(super) fn mastering(bytes: &[u8]) -> Option<MasteringDisplay> {
    let word = |index: usize| {
        let bytes = bytes.get(index * 4..index * 4 + 4)?;
        Some(i32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let ratio = |index: usize| {
        let (numerator, denominator) = (word(index * 2)?, word(index * 2 + 1)?);
        (denominator != 0).then(|| f64::from(numerator) / f64::from(denominator))
    };
    if word(20)? == 0 || word(21)? == 0 {
        return None;
    }
    Some(MasteringDisplay {
        primaries: [
            (ratio(0)?, ratio(1)?),
            (ratio(2)?, ratio(3)?),
            (ratio(4)?, ratio(5)?),
        ],
        white: (ratio(6)?, ratio(7)?),
        luminance: (ratio(8)?, ratio(9)?),
    })
}

/// libav's `AVContentLightMetadata`: two unsigned words.
pub(super) fn light(bytes: &[u8]) -> Option<ContentLight> {
    let word = |at: usize| {
        let bytes = bytes.get(at..at + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    Some(ContentLight {
        max_content: word(0)?,
        max_frame_average: word(4)?,
    })
}
