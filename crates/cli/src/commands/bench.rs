//! `reword bench`: the speed figures that the README quotes, measured on this machine.
//!
//! The clips are made from the sample: its frames on a 1280x720 picture, played forwards and backwards.

mod gpu;
mod lips;
mod ops;
mod page;
mod tiny;

use super::shared::render_request;
use crate::arguments::{BenchArguments, ModelArguments};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;
use media::image::Rgb8;
use media::info::{ColourTags, Rotation};
use media::render::{BoxError, NewClip, Sound, write_clip};
use media::{AudioBlock, Clip, Frame, OpenOptions, PixelFormat};
use project::{ChangeRequest, Report, Silent};
use std::path::Path;
use std::time::Instant;
use units::{FrameIndex, FrameRate, SampleIndex};

/// The sample clip, so that the figures need nothing else.
const SAMPLE: &[u8] = include_bytes!("../../../../assets/sample/sample.mp4");

/// What can be measured: name, what it is, seconds of the clip.
const BENCHES: [(&str, &str, u64); 2] = [
    (
        "sync",
        "sync of a 10 s clip of 1280x720, every mouth made",
        10,
    ),
    (
        "edit",
        "edit that removes 1 s of a 60 s clip of 1280x720",
        60,
    ),
];

/// Runs the command.
pub(crate) fn run(
    arguments: &BenchArguments,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    match arguments.name.as_deref() {
        Some("lips") => return lips::run(&arguments.clips, settings, terminal),
        Some("ops") => return ops::run(arguments, terminal),
        Some(ops::SERVE) => return ops::serve(arguments),
        Some("gpu") => return gpu::run(arguments, settings, terminal),
        Some(gpu::SERVE) => return gpu::serve(settings),
        _ => {}
    }
    let wanted = |name: &str| arguments.name.as_deref().is_none_or(|asked| asked == name);
    if !BENCHES.iter().any(|(name, ..)| wanted(name)) {
        let names: Vec<&str> = BENCHES
            .iter()
            .map(|(name, ..)| *name)
            .chain(["lips", "ops", "gpu"])
            .collect();
        return Err(Failure::usage("there is no such figure")
            .with_hint(format!("the figures are {}", names.join(", "))));
    }
    let folder = tempfile::tempdir().map_err(|error| Failure::fault(error.to_string()))?;
    let sample = folder.path().join("sample.mp4");
    std::fs::write(&sample, SAMPLE).map_err(|error| Failure::fault(error.to_string()))?;
    for (name, what, seconds) in BENCHES.into_iter().filter(|(name, ..)| wanted(name)) {
        let clip = folder.path().join(format!("{name}.mp4"));
        terminal.note(&format!("making a clip of {seconds} s"));
        make_clip(&sample, &clip, seconds).map_err(|error| Failure::fault(error.to_string()))?;
        let started = Instant::now();
        let report = measure(name, &clip, settings)?;
        let total = started.elapsed().as_secs_f64();
        tell(what, total, &report, terminal);
    }
    Ok(())
}

fn measure(name: &str, clip: &Path, settings: &Settings) -> Result<Report, Failure> {
    let request = render_request(
        clip.to_owned(),
        clip.with_extension("out.mp4"),
        ModelArguments::default(),
        settings,
    )?;
    let report = if name == "sync" {
        project::sync(&request, clip, &mut Silent)
    } else {
        let change = ChangeRequest {
            remove: vec!["30.0-31.0".to_owned()],
            ..ChangeRequest::default()
        };
        project::edit(&request, &change, &mut Silent)
    };
    Ok(report?)
}

fn tell(what: &str, total: f64, report: &Report, terminal: &Terminal) {
    if terminal.json() {
        let value = serde_json::json!({
            "what": what, "seconds": total, "stages": report.timings, "peak_memory_bytes": report.peak_memory_bytes,
        });
        terminal.result(&value.to_string());
        return;
    }
    terminal.result(&format!(
        "{what}: {total:.1} s, peak memory {:.0} MiB",
        report.peak_memory_bytes as f64 / f64::from(1 << 20)
    ));
    for (stage, seconds) in &report.timings {
        terminal.result(&format!(
            "  {stage:9} {seconds:6.1} s  {:3.0} %",
            seconds / total * 100.0
        ));
    }
}

/// A clip of `seconds` seconds out of the sample.
fn make_clip(sample: &Path, target: &Path, seconds: u64) -> Result<(), BoxError> {
    let (width, height) = (1280, 720);
    let rate = FrameRate::new(25, 1)?;
    let sample = Clip::open(sample, &OpenOptions::default())?;
    let pictures: Vec<Rgb8> = sample
        .all_frames()?
        .map(|frame| Ok(frame?.to_rgb8_scaled(height, height)))
        .collect::<Result<_, BoxError>>()?;
    let turn = pictures.len().max(2) - 1;
    let mut frames = |index: FrameIndex| -> Result<Frame, BoxError> {
        let phase = index.as_usize() % (2 * turn);
        let at = if phase <= turn {
            phase
        } else {
            2 * turn - phase
        };
        let picture = pictures.get(at).ok_or("the sample has no frames")?;
        let left = ((width - height) / 2) as i64;
        let wide = picture.crop(-left, 0, width, height).to_f32();
        Ok(Frame::from_rgb(
            &wide,
            PixelFormat::YUV420,
            ColourTags::default(),
            Rotation::default(),
        )?)
    };
    let mut position = 0;
    let samples = sample.sound()?.samples;
    let mut reader = sample.all_audio()?;
    let end = sample
        .sound()?
        .rate
        .samples_in(units::Seconds(seconds as f64));
    let mut sound = || -> Result<Option<AudioBlock>, BoxError> {
        if position >= end {
            return Ok(None);
        }
        let block = if let Some(block) = reader.next_block()? {
            block
        } else {
            reader = sample.audio(SampleIndex::ZERO..SampleIndex(samples))?;
            let Some(block) = reader.next_block()? else {
                return Ok(None);
            };
            block
        };
        position += block.len() as u64;
        Ok(Some(block))
    };
    let new = NewClip {
        width,
        height,
        rate,
        format: PixelFormat::YUV420,
        colour: ColourTags::default(),
    };
    let count = seconds * 25;
    write_clip(
        &new,
        count,
        &mut frames,
        Sound::Made(&mut sound),
        target,
        &mut |_| {},
    )?;
    Ok(())
}
