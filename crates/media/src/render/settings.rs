//! The encoders' settings.

use crate::info::{Chroma, ColourRange, ColourTags, HdrMetadata, PixelFormat};
use crate::libav::Parameters;
use std::fmt::Write;

/// Settings that keep encoded pictures above 45 dB: a low rate factor, a cap on the quantiser,
/// and no psychovisual trades.
pub(super) fn x264(
    source: Option<&Parameters>,
    format: PixelFormat,
) -> Vec<(&'static str, String)> {
    let profile = match (format.chroma, format.bits) {
        (Chroma::C444, _) => "high444",
        (Chroma::C422, _) => "high422",
        (_, 10..) => "high10",
        _ => match source.map(|source| source.profile & 0xFF) {
            Some(66) => "baseline",
            Some(77) => "main",
            _ => "high",
        },
    };
    vec![
        ("preset", "veryfast".to_owned()),
        ("profile", profile.to_owned()),
        ("crf", "13".to_owned()),
        (
            "x264-params",
            "bframes=0:aq-strength=0.4:psy=0:mbtree=0:qpmax=16:rc-lookahead=0:open-gop=0:keyint=120:stitchable=1"
                .to_owned(),
        ),
    ]
}

pub(super) fn x265(colour: ColourTags, hdr: &HdrMetadata) -> Vec<(&'static str, String)> {
    let mut parameters = "log-level=none:info=0:repeat-headers=0:hrd=0:bframes=0:open-gop=0:\
        keyint=120:qpmax=17:aq-mode=1:aq-strength=0.4:psy-rd=0:psy-rdoq=0:frame-threads=1:\
        rc-lookahead=5"
        .to_owned();
    if colour.range == ColourRange::Full {
        parameters += ":range=full";
    }
    if let Some(display) = hdr.mastering {
        let point =
            |(x, y): (f64, f64)| format!("({},{})", fifty_thousandths(x), fifty_thousandths(y));
        let [red, green, blue] = display.primaries;
        let luminance = |value: f64| (value * 10_000.0).round() as u64;
        let _ = write!(
            parameters,
            ":master-display=G{}B{}R{}WP{}L({},{})",
            point(green),
            point(blue),
            point(red),
            point(display.white),
            luminance(display.luminance.1),
            luminance(display.luminance.0),
        );
    }
    if let Some(light) = hdr.light {
        let _ = write!(
            parameters,
            ":max-cll={},{}",
            light.max_content, light.max_frame_average
        );
    }
    if hdr.mastering.is_some() || hdr.light.is_some() {
        parameters += ":hdr10=1";
    }
    vec![
        ("preset", "ultrafast".to_owned()),
        ("crf", "12".to_owned()),
        ("x265-params", parameters),
    ]
}

fn fifty_thousandths(value: f64) -> u64 {
    (value * 50_000.0).round() as u64
}

pub(super) fn vp9() -> Vec<(&'static str, String)> {
    [
        ("deadline", "good"),
        ("cpu-used", "5"),
        ("crf", "6"),
        ("b", "0"),
        ("qmin", "0"),
        ("qmax", "14"),
        ("auto-alt-ref", "0"),
        ("lag-in-frames", "0"),
        ("g", "120"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .to_vec()
}

pub(super) fn prores(
    source: Option<&Parameters>,
    format: PixelFormat,
) -> Vec<(&'static str, String)> {
    // Proxy, LT, standard, HQ; 4444 and XQ for full colour.
    let known = source
        .map(|source| source.profile)
        .filter(|profile| (0..=5).contains(profile));
    let profile = match (known, format.chroma) {
        (Some(profile), Chroma::C444) => profile.max(4),
        (None, Chroma::C444) => 4,
        // Below HQ a second generation would show.
        (Some(profile), _) => profile.min(3),
        (None, _) => 3,
    };
    vec![
        ("profile", profile.to_string()),
        ("vendor", "apl0".to_owned()),
        ("bits_per_mb", "8000".to_owned()),
    ]
}
