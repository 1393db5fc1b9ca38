//! Where the time of the embedded model goes.

use crate::failure::Failure;
use crate::terminal::Terminal;
use methods::BoxError;
use methods::edit_yourself::{
    CropSource, EditYourself, LipJob, LipObserver, LipRange, MadeCrop, References, Timings,
};
use nn::{DType, Device};
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use units::{FrameIndex, FrameRate};

/// Frames of the job: 10 s.
const FRAMES: u64 = 250;

/// Steps of the runs.
const STEPS: [usize; 2] = [8, 1];

/// One run.
pub(super) struct Measured {
    steps: usize,
    total: Duration,
    timings: Timings,
}

/// Crops made up on the spot: moving waves.
struct Crops(usize);

impl CropSource for Crops {
    fn crop(&mut self, frame: FrameIndex) -> Result<Vec<f32>, BoxError> {
        let side = self.0;
        let phase = frame.0 as f32 * 0.2;
        let pixel = |i: usize| {
            let (x, y) = ((i % side) as f32, (i / side) as f32);
            0.5 + 0.4 * (x * 0.05 + phase).sin() * (y * 0.03).cos()
        };
        Ok((0..3 * side * side).map(pixel).collect())
    }
}

struct Nobody;

impl LipObserver for Nobody {
    fn crop(&mut self, _made: MadeCrop) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A mouth of 10 s, made by the embedded model.
pub(super) fn run(terminal: &Terminal) -> Result<Vec<Measured>, Failure> {
    let fault = |error: &dyn std::fmt::Display| Failure::fault(error.to_string());
    let model =
        EditYourself::from_bytes("tiny", project::embedded_model(), DType::F32, &Device::Cpu)
            .map_err(|error| fault(&error))?;
    let mel: Vec<[f32; 80]> = (0..FRAMES as usize * 4)
        .map(|t| std::array::from_fn(|band| (t as f32 * 0.2 + band as f32 * 0.1).sin()))
        .collect();
    let mut measured = Vec::new();
    for steps in STEPS {
        let job = LipJob {
            ranges: vec![LipRange {
                frames: FrameIndex(0)..FrameIndex(FRAMES),
                available: FrameIndex(0)..FrameIndex(FRAMES),
            }],
            rate: FrameRate::new(25, 1).map_err(|error| fault(&error))?,
            references: References::Fixed([0, FRAMES / 3, 2 * FRAMES / 3].map(FrameIndex).to_vec()),
            seed: 1,
            schedule: Some(model.schedule().with_steps(steps)),
            audio_guidance: None,
            margin: 0,
            said: Vec::new(),
        };
        let start = Instant::now();
        let mut crops = Crops(model.config().crop);
        let report = model
            .run(&job, &mut crops, &mel, &mut Nobody, None)
            .map_err(|error| fault(&error))?;
        let measure = Measured {
            steps,
            total: start.elapsed(),
            timings: report.timings,
        };
        terminal.result(&format!(
            "tiny, 10 s, {steps} steps: denoise {:.2} s, VAE {:.2} s, all {:.2} s",
            measure.timings.denoise.as_secs_f64(),
            measure.vae().as_secs_f64(),
            measure.total.as_secs_f64(),
        ));
        measured.push(measure);
    }
    Ok(measured)
}

impl Measured {
    fn vae(&self) -> Duration {
        self.timings.encode + self.timings.decode
    }
}

/// The runs as Markdown.
pub(super) fn table(runs: &[Measured]) -> String {
    let mut text = String::from(
        "The embedded model on a head crop of 10 s at 25 frames a second, one run; seconds and the part of the whole. \
         Reading, decoding and encoding the clip itself are not in it (`reword bench sync` has them).\n\n\
         | steps | denoise | VAE encode | VAE decode | context | sound | rest | all |\n|---|---|---|---|---|---|---|---|\n",
    );
    for run in runs {
        let t = &run.timings;
        let stages = [t.denoise, t.encode, t.decode, t.context, t.sound];
        let rest = run.total.saturating_sub(stages.iter().sum());
        let _ = write!(text, "| {} |", run.steps);
        for stage in stages.into_iter().chain([rest]) {
            let (seconds, all) = (stage.as_secs_f64(), run.total.as_secs_f64());
            let _ = write!(text, " {seconds:.2} ({:.0} %) |", seconds / all * 100.0);
        }
        let _ = writeln!(text, " {:.2} |", run.total.as_secs_f64());
    }
    text
}
