//! Windowed denoising against plain denoising, and a resumed run against an undisturbed one.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use candle_core::{Device, Tensor};
use diffusion::{
    ChaChaNoise, Ends, NoiseKey, NoiseSource as _, Purpose, Result, Schedule, ShiftedWindows,
    State, Walk, Window, WindowVelocity,
};

/// A velocity that mixes the latents of a window, so that the partition matters.
struct Mixing;

impl WindowVelocity for Mixing {
    fn velocity(&mut self, x: &Tensor, window: &Window, time: f64) -> Result<Tensor> {
        let mean = x.mean_keepdim(0)?;
        let place = *window.latents.first().unwrap_or(&0) as f64;
        let y = x.broadcast_sub(&mean)?.affine(time, 0.01 * place)?;
        Ok((y + x.tanh()?)?)
    }
}

fn noise(latents: u64) -> Tensor {
    let source = ChaChaNoise::new(11);
    let rows: Vec<Tensor> = (0..latents)
        .map(|index| {
            let key = NoiseKey {
                purpose: Purpose::Start,
                index,
            };
            source.normal(key, &[3, 2], &Device::Cpu).unwrap()
        })
        .collect();
    Tensor::stack(&rows, 0).unwrap()
}

fn values(tensor: &Tensor) -> Vec<u32> {
    let flat = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    flat.into_iter().map(f32::to_bits).collect()
}

fn finish(walk: &mut Walk) -> Vec<u32> {
    while walk.advance(&mut Mixing).unwrap() {}
    values(walk.latents())
}

#[test]
fn one_block_without_shift_equals_plain_sampling() {
    let times = Schedule::linear_quadratic(8).times().unwrap();
    let mut plain = noise(9);
    for (index, t) in times.iter().enumerate() {
        let window = Window {
            latents: (0..9).collect(),
        };
        let velocity = Mixing.velocity(&plain, &window, *t).unwrap();
        let next = times.get(index + 1).copied().unwrap_or(0.0);
        plain = (&plain - (velocity * (t - next)).unwrap()).unwrap();
    }
    for windows in [
        ShiftedWindows::plain(9),
        ShiftedWindows {
            shift: 0,
            ..ShiftedWindows::paper()
        },
    ] {
        let mut walk = Walk::new(times.clone(), windows, noise(9));
        assert_eq!(finish(&mut walk), values(&plain));
    }
}

#[test]
fn shifting_changes_the_result_where_blocks_meet() {
    let times = Schedule::linear_quadratic(8).times().unwrap();
    let run = |shift| {
        let windows = ShiftedWindows {
            width: 5,
            shift,
            ends: Ends::Averaged,
            still: 0.0,
        };
        finish(&mut Walk::new(times.clone(), windows, noise(20)))
    };
    assert_ne!(run(0), run(2));
}

/// Every window says its own first latent.
struct Places;

impl WindowVelocity for Places {
    fn velocity(&mut self, x: &Tensor, window: &Window, _: f64) -> Result<Tensor> {
        Ok(x.ones_like()?.affine(window.latents[0] as f64, 0.0)?)
    }
}

#[test]
fn a_latent_in_two_windows_gets_the_mean_of_what_they_say() {
    // Windows 0..17 and 3..20; one step from 1 to 0.
    let mut walk = Walk::new(vec![1.0], ShiftedWindows::paper(), noise(20));
    assert!(walk.advance(&mut Places).unwrap());
    let moved = (noise(20) - walk.latents()).unwrap();
    let moved = moved.flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
    for (latent, row) in moved.iter().enumerate() {
        let wanted = match latent {
            0..3 => 0.0,
            3..17 => 1.5,
            _ => 3.0,
        };
        assert!(
            row.iter().all(|value| (value - wanted).abs() < 1e-5),
            "{latent}: {row:?}"
        );
    }
}

#[test]
fn a_resumed_run_equals_an_undisturbed_one_bit_for_bit() {
    let times = Schedule::Uniform { steps: 7 }.times().unwrap();
    let windows = ShiftedWindows {
        width: 5,
        shift: 2,
        ends: Ends::Averaged,
        still: 0.5,
    };
    let wanted = finish(&mut Walk::new(times.clone(), windows, noise(13)));
    for stop in 0..7 {
        let mut walk = Walk::new(times.clone(), windows, noise(13));
        for _ in 0..stop {
            walk.advance(&mut Mixing).unwrap();
        }
        let bytes = walk.save().to_bytes().unwrap();
        let state = State::from_bytes(&bytes).unwrap();
        let mut resumed = Walk::resume(times.clone(), windows, &state).unwrap();
        assert_eq!(resumed.step(), stop);
        assert_eq!(finish(&mut resumed), wanted);
    }
}

#[test]
fn a_state_of_another_schedule_is_refused() {
    let times = Schedule::Uniform { steps: 7 }.times().unwrap();
    let walk = Walk::new(times, ShiftedWindows::plain(5), noise(5));
    let other = Schedule::Uniform { steps: 8 }.times().unwrap();
    assert!(Walk::resume(other, ShiftedWindows::plain(5), &walk.save()).is_err());
    assert!(State::from_bytes(b"not a state at all").is_err());
}
