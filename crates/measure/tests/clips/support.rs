//! Clips made of the sample's frames, and what is measured of them.

use measure::{
    FeatureSets, METRICS, Metric, Networks, PairOptions, PairReport, Silent, Weights, find,
    measure_pair,
};
use media::image::{Rgb8, RgbF32};
use media::info::{ColourTags, Rotation};
use media::render::{BoxError, NewClip, Sound, write_clip};
use media::{AudioBlock, Clip, Frame, OpenOptions, PixelFormat};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use units::{FrameIndex, FrameRate, SampleRate};

/// Frames of the tests' clips: the sample's first ones, small.
pub(crate) const COUNT: usize = 36;
pub(crate) const SIZE: usize = 256;

pub(crate) fn pictures() -> &'static [Rgb8] {
    static PICTURES: OnceLock<Vec<Rgb8>> = OnceLock::new();
    PICTURES.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sample/sample.mp4");
        let clip = Clip::open(path, &OpenOptions::default()).unwrap();
        let frames = clip
            .frames(FrameIndex(30)..FrameIndex(30 + COUNT as u64))
            .unwrap();
        frames
            .map(|frame| frame.unwrap().to_rgb8_scaled(SIZE, SIZE))
            .collect()
    })
}

/// Writes a clip of pictures; a tone that rests in the second half where `sound`.
pub(crate) fn write(path: &Path, pictures: &[Rgb8], rate: (u32, u32), sound: bool) -> PathBuf {
    write_with(path, pictures, rate, sound.then_some(0.4))
}

/// Writes a clip of pictures with a track of silence.
pub(crate) fn write_muted(path: &Path, pictures: &[Rgb8], rate: (u32, u32)) -> PathBuf {
    write_with(path, pictures, rate, Some(0.0))
}

fn write_with(path: &Path, pictures: &[Rgb8], rate: (u32, u32), loudness: Option<f32>) -> PathBuf {
    let first = &pictures[0];
    let new = NewClip {
        width: first.width,
        height: first.height,
        rate: FrameRate::new(rate.0, rate.1).unwrap(),
        format: PixelFormat::YUV420,
        colour: ColourTags::default(),
    };
    let mut frames = |index: FrameIndex| -> Result<Frame, BoxError> {
        let picture: RgbF32 = pictures[index.as_usize()].to_f32();
        Ok(Frame::from_rgb(
            &picture,
            new.format,
            new.colour,
            Rotation::None,
        )?)
    };
    let seconds = pictures.len() as f64 * f64::from(rate.1) / f64::from(rate.0);
    let samples = (seconds * 16_000.0) as usize;
    let mut block = Some(AudioBlock {
        rate: SampleRate::SPEECH,
        channels: vec![
            (0..samples)
                .map(|n| {
                    if n < samples / 2 {
                        (n as f32 * 0.2).sin() * loudness.unwrap_or(0.0)
                    } else {
                        0.0
                    }
                })
                .collect(),
        ],
    });
    let mut tone = || -> Result<Option<AudioBlock>, BoxError> { Ok(block.take()) };
    let track = if loudness.is_some() {
        Sound::Made(&mut tone)
    } else {
        Sound::Silent
    };
    write_clip(
        &new,
        pictures.len() as u64,
        &mut frames,
        track,
        path,
        &mut |_| {},
    )
    .unwrap();
    path.to_owned()
}

pub(crate) fn options(metrics: &[&str]) -> PairOptions {
    let metrics: Vec<&'static Metric> = metrics.iter().map(|name| find(name).unwrap()).collect();
    PairOptions::new(metrics)
}

pub(crate) fn measured(made: &Path, reference: &Path, options: &PairOptions) -> PairReport {
    let networks = Networks::load(
        &Weights::default(),
        &options.metrics,
        measure::LpipsNet::Alex,
    );
    let mut sets = FeatureSets::default();
    measure_pair(made, reference, options, &networks, &mut sets, &mut Silent).unwrap()
}

pub(crate) fn all() -> PairOptions {
    PairOptions::new(METRICS.iter().collect())
}

pub(crate) fn reason(report: &PairReport, metric: &str) -> String {
    let score = report
        .scores
        .iter()
        .find(|score| score.metric == metric)
        .unwrap();
    assert_eq!(score.value, None, "{metric}");
    score.reason.clone().unwrap()
}
