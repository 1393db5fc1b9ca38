//! Which codec sound is written in.

use super::super::container::Container;
use crate::libav::SampleKind;

/// The sound encoder for a source and a container.
pub(super) struct Choice {
    pub(super) codec: &'static str,
    pub(super) encoder: &'static str,
    pub(super) format: SampleKind,
    pub(super) rate: u32,
    pub(super) bit_rate: i64,
}

impl Choice {
    /// The source's codec where the container takes it, otherwise the container's usual one.
    pub(super) fn new(
        container: Container,
        source: Option<&str>,
        rate: u32,
        channels: usize,
    ) -> Self {
        use Container::{Mkv, Mov, Mp4, Webm};
        let plain = |codec: &'static str, format| Self {
            codec,
            encoder: codec,
            format,
            rate,
            bit_rate: 0,
        };
        match (container, source) {
            (Webm, _) | (Mkv | Mp4, Some("opus")) | (Mkv, Some("vorbis")) => Self {
                codec: "opus",
                encoder: "libopus",
                format: SampleKind::Float,
                // Opus has only this rate inside.
                rate: 48_000,
                bit_rate: 96_000 * channels.max(1) as i64,
            },
            (Mkv, Some("flac")) => plain("flac", SampleKind::Int),
            (Mov | Mp4 | Mkv, Some("alac")) => plain("alac", SampleKind::PlanarInt),
            (Mov | Mkv, Some("pcm_s16le")) => plain("pcm_s16le", SampleKind::Short),
            (Mov, Some("pcm_s16be")) => plain("pcm_s16be", SampleKind::Short),
            (Mov | Mkv, Some("pcm_s24le")) => plain("pcm_s24le", SampleKind::Int),
            (Mov, Some("pcm_s24be")) => plain("pcm_s24be", SampleKind::Int),
            (Mov | Mkv, Some("pcm_s32le")) => plain("pcm_s32le", SampleKind::Int),
            (Mov | Mkv, Some("pcm_f32le")) => plain("pcm_f32le", SampleKind::Float),
            _ => {
                // Matroska can't say how much of AAC's first block is priming; at a high rate it
                // is short enough not to matter.
                let rate = match (container, rate) {
                    (Mkv, 11_025 | 22_050) => 44_100,
                    (Mkv, ..44_100) => 48_000,
                    _ => aac_rate(rate),
                };
                // As much as AAC can use: 6144 bits a channel and block, below its limit.
                let most = i64::from(rate) * 11 / 2;
                Self {
                    codec: "aac",
                    encoder: "aac",
                    format: SampleKind::PlanarFloat,
                    rate,
                    bit_rate: most.min(160_000) * channels.max(1) as i64,
                }
            }
        }
    }
}

/// The lowest rate of AAC that holds all of a rate.
fn aac_rate(rate: u32) -> u32 {
    const RATES: [u32; 13] = [
        7350, 8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200,
        96_000,
    ];
    RATES
        .into_iter()
        .find(|&known| known >= rate)
        .unwrap_or(96_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_kept_where_the_container_takes_them() {
        let codec = |container, source| Choice::new(container, source, 44_100, 2).codec;
        assert_eq!(codec(Container::Mov, Some("pcm_s16le")), "pcm_s16le");
        assert_eq!(codec(Container::Mp4, Some("pcm_s16le")), "aac");
        assert_eq!(codec(Container::Mkv, Some("flac")), "flac");
        assert_eq!(codec(Container::Mp4, Some("mp2")), "aac");
        assert_eq!(codec(Container::Webm, Some("aac")), "opus");
    }

    #[test]
    fn aac_rates_never_lose_highs() {
        assert_eq!(
            (aac_rate(16_000), aac_rate(22_000), aac_rate(192_000)),
            (16_000, 22_050, 96_000)
        );
    }
}
