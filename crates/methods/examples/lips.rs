//! Times a lip job on crops made up on the spot.
//!
//!     cargo run --release -p methods --example lips -- WEIGHTS [FRAMES] [f32|bf16] [GUIDANCE]
#![allow(clippy::print_stdout, reason = "its result")]

use std::time::Instant;

use candle_core::{DType, Device};
use methods::BoxError;
use methods::edit_yourself::{
    CropSource, EditYourself, LipJob, LipObserver, LipRange, MadeCrop, References,
};
use units::{FrameIndex, FrameRate};

struct Crops(usize);

impl CropSource for Crops {
    fn crop(&mut self, frame: FrameIndex) -> Result<Vec<f32>, BoxError> {
        let side = self.0;
        let phase = frame.0 as f32 * 0.2;
        Ok((0..3 * side * side)
            .map(|i| {
                0.5 + 0.4
                    * ((i % side) as f32 * 0.05 + phase).sin()
                    * ((i / side) as f32 * 0.03).cos()
            })
            .collect())
    }
}

struct Count(u64);

impl LipObserver for Count {
    fn crop(&mut self, _made: MadeCrop) -> Result<(), BoxError> {
        self.0 += 1;
        Ok(())
    }
}

fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let weights = arguments.next().ok_or("WEIGHTS is missing")?;
    let frames: u64 = arguments.next().map_or(Ok(250), |n| n.parse())?;
    let dtype = match arguments.next().as_deref() {
        Some("bf16") => DType::BF16,
        _ => DType::F32,
    };
    let guidance: f64 = arguments.next().map_or(Ok(1.0), |n| n.parse())?;
    let start = Instant::now();
    let model = EditYourself::load(&weights, dtype, &Device::Cpu)?;
    println!("load {:.2} s", start.elapsed().as_secs_f64());
    let job = LipJob {
        ranges: vec![LipRange {
            frames: FrameIndex(0)..FrameIndex(frames),
            available: FrameIndex(0)..FrameIndex(frames),
        }],
        rate: FrameRate::new(25, 1)?,
        references: References::Fixed([0, frames / 3, 2 * frames / 3].map(FrameIndex).to_vec()),
        said: Vec::new(),
        seed: 1,
        schedule: None,
        audio_guidance: Some(guidance),
        margin: 16,
    };
    let mel: Vec<[f32; 80]> = (0..frames as usize * 4)
        .map(|t| std::array::from_fn(|band| (t as f32 * 0.2 + band as f32 * 0.1).sin()))
        .collect();
    let start = Instant::now();
    let mut count = Count(0);
    let report = model.run(
        &job,
        &mut Crops(model.config().crop),
        &mel,
        &mut count,
        None,
    )?;
    println!(
        "{} frames in {:.2} s, {} blocks",
        count.0,
        start.elapsed().as_secs_f64(),
        report.blocks
    );
    println!("{:#.2?}", report.timings);
    Ok(())
}
