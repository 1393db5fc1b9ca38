//! `reword bench lips CLIP CLIP...`: how far made lips follow the sound, and only the sound.

use crate::arguments::ModelArguments;
use crate::commands::shared::render_request;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;
use measure::lips::opening_correlation;
use measure::rest::resting_share;
use project::{Silent, mouth_openings};
use speech::wave::Wave;
use std::path::{Path, PathBuf};

/// What is measured of a clip, in columns.
const COLUMNS: [&str; 3] = ["own sound", "another clip's sound", "rests in silence"];

/// For every clip its mouth made from its own sound, from the next clip's and from silence, against the mouth as
/// recorded: correlation of the openings, and the share of frames in which silence closes it.
pub(super) fn run(
    clips: &[PathBuf],
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    if clips.len() < 2 {
        return Err(Failure::usage(
            "bench lips needs at least two clips: each is compared with the sound of the next",
        ));
    }
    let fault = |error: &dyn std::fmt::Display| Failure::fault(error.to_string());
    let folder = tempfile::tempdir().map_err(|error| fault(&error))?;
    let silence = folder.path().join("silence.wav");
    let output = folder.path().join("out.mp4");
    let mut sums = [(0.0, 0_u32); COLUMNS.len()];
    for (index, clip) in clips.iter().enumerate() {
        let other = clips.get((index + 1) % clips.len()).unwrap_or(clip);
        let recorded = mouth_openings(clip)?;
        write_silence(clip, &silence)?;
        let made = |sound: &Path| -> Result<Vec<Option<f32>>, Failure> {
            let request = render_request(
                clip.clone(),
                output.clone(),
                ModelArguments::default(),
                settings,
            )?;
            project::sync(&request, sound, &mut Silent)?;
            Ok(mouth_openings(&output)?)
        };
        let found = [
            opening_correlation(&made(clip)?, &recorded),
            opening_correlation(&made(other)?, &recorded),
            resting_share(&made(&silence)?, &recorded),
        ];
        for (value, (sum, count)) in found.iter().zip(&mut sums) {
            if let Ok(value) = value {
                *sum += value;
                *count += 1;
            }
        }
        terminal.result(&line(found.map(Result::ok), &clip.display().to_string()));
    }
    let means = sums.map(|(sum, count)| (count > 0).then(|| sum / f64::from(count)));
    terminal.result(&line(means, &format!("mean: {}", COLUMNS.join(", "))));
    Ok(())
}

/// Values in columns, a dash where there is none, and what they are of.
fn line(values: [Option<f64>; COLUMNS.len()], name: &str) -> String {
    let cell =
        |value: Option<f64>| value.map_or("       –".to_owned(), |value| format!("{value:8.3}"));
    format!("{}  {name}", values.map(cell).concat())
}

/// A silent track as long as a clip's picture.
fn write_silence(clip: &Path, target: &Path) -> Result<(), Failure> {
    let fault = |error: &dyn std::fmt::Display| Failure::fault(error.to_string());
    let clip =
        media::Clip::open(clip, &media::OpenOptions::default()).map_err(|error| fault(&error))?;
    let rate = units::SampleRate::SPEECH;
    let samples = rate.samples_in(clip.info().duration);
    let wave = Wave {
        rate,
        samples: vec![0.0; samples as usize],
    };
    wave.write(target).map_err(|error| fault(&error))
}
