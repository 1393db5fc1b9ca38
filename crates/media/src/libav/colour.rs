//! Colour tags as libav's enumerations.

use crate::info::{ColourRange, ColourTags};
use ffmpeg_next::ffi;
use ffmpeg_next::ffi::AVChromaLocation::{
    AVCHROMA_LOC_BOTTOM, AVCHROMA_LOC_BOTTOMLEFT, AVCHROMA_LOC_CENTER, AVCHROMA_LOC_LEFT,
    AVCHROMA_LOC_TOP, AVCHROMA_LOC_TOPLEFT, AVCHROMA_LOC_UNSPECIFIED,
};
use ffmpeg_next::ffi::AVColorPrimaries::{
    AVCOL_PRI_BT470BG, AVCOL_PRI_BT470M, AVCOL_PRI_BT709, AVCOL_PRI_BT2020, AVCOL_PRI_FILM,
    AVCOL_PRI_SMPTE170M, AVCOL_PRI_SMPTE240M, AVCOL_PRI_SMPTE428, AVCOL_PRI_SMPTE431,
    AVCOL_PRI_SMPTE432, AVCOL_PRI_UNSPECIFIED,
};
use ffmpeg_next::ffi::AVColorSpace::{
    AVCOL_SPC_BT470BG, AVCOL_SPC_BT709, AVCOL_SPC_BT2020_CL, AVCOL_SPC_BT2020_NCL, AVCOL_SPC_FCC,
    AVCOL_SPC_SMPTE170M, AVCOL_SPC_SMPTE240M, AVCOL_SPC_UNSPECIFIED,
};
use ffmpeg_next::ffi::AVColorTransferCharacteristic::{
    AVCOL_TRC_ARIB_STD_B67, AVCOL_TRC_BT709, AVCOL_TRC_BT2020_10, AVCOL_TRC_BT2020_12,
    AVCOL_TRC_GAMMA22, AVCOL_TRC_GAMMA28, AVCOL_TRC_IEC61966_2_1, AVCOL_TRC_IEC61966_2_4,
    AVCOL_TRC_LINEAR, AVCOL_TRC_SMPTE170M, AVCOL_TRC_SMPTE240M, AVCOL_TRC_SMPTE2084,
    AVCOL_TRC_UNSPECIFIED,
};

/// Tags as libav's enumerations; code points it does not know are unspecified.
pub(super) struct RawColour {
    pub(super) primaries: ffi::AVColorPrimaries,
    pub(super) transfer: ffi::AVColorTransferCharacteristic,
    pub(super) matrix: ffi::AVColorSpace,
    pub(super) range: ffi::AVColorRange,
}

pub(super) fn raw_colour(tags: ColourTags) -> RawColour {
    RawColour {
        primaries: [
            AVCOL_PRI_BT709,
            AVCOL_PRI_BT470M,
            AVCOL_PRI_BT470BG,
            AVCOL_PRI_SMPTE170M,
            AVCOL_PRI_SMPTE240M,
            AVCOL_PRI_FILM,
            AVCOL_PRI_BT2020,
            AVCOL_PRI_SMPTE428,
            AVCOL_PRI_SMPTE431,
            AVCOL_PRI_SMPTE432,
        ]
        .into_iter()
        .find(|value| *value as u32 == u32::from(tags.primaries))
        .unwrap_or(AVCOL_PRI_UNSPECIFIED),
        transfer: [
            AVCOL_TRC_BT709,
            AVCOL_TRC_GAMMA22,
            AVCOL_TRC_GAMMA28,
            AVCOL_TRC_SMPTE170M,
            AVCOL_TRC_SMPTE240M,
            AVCOL_TRC_LINEAR,
            AVCOL_TRC_IEC61966_2_4,
            AVCOL_TRC_IEC61966_2_1,
            AVCOL_TRC_BT2020_10,
            AVCOL_TRC_BT2020_12,
            AVCOL_TRC_SMPTE2084,
            AVCOL_TRC_ARIB_STD_B67,
        ]
        .into_iter()
        .find(|value| *value as u32 == u32::from(tags.transfer))
        .unwrap_or(AVCOL_TRC_UNSPECIFIED),
        matrix: [
            AVCOL_SPC_BT709,
            AVCOL_SPC_FCC,
            AVCOL_SPC_BT470BG,
            AVCOL_SPC_SMPTE170M,
            AVCOL_SPC_SMPTE240M,
            AVCOL_SPC_BT2020_NCL,
            AVCOL_SPC_BT2020_CL,
        ]
        .into_iter()
        .find(|value| *value as u32 == u32::from(tags.matrix))
        .unwrap_or(AVCOL_SPC_UNSPECIFIED),
        range: match tags.range {
            ColourRange::Unspecified => ffi::AVColorRange::AVCOL_RANGE_UNSPECIFIED,
            ColourRange::Limited => ffi::AVColorRange::AVCOL_RANGE_MPEG,
            ColourRange::Full => ffi::AVColorRange::AVCOL_RANGE_JPEG,
        },
    }
}

pub(super) fn raw_chroma_location(location: u8) -> ffi::AVChromaLocation {
    [
        AVCHROMA_LOC_LEFT,
        AVCHROMA_LOC_CENTER,
        AVCHROMA_LOC_TOPLEFT,
        AVCHROMA_LOC_TOP,
        AVCHROMA_LOC_BOTTOMLEFT,
        AVCHROMA_LOC_BOTTOM,
    ]
    .into_iter()
    .find(|value| *value as u32 == u32::from(location))
    .unwrap_or(AVCHROMA_LOC_UNSPECIFIED)
}
