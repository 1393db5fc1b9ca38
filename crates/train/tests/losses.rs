//! Losses, timesteps and noise against PyTorch (`tools/parity/train.py`).

#![allow(clippy::unwrap_used, reason = "a test may stop at the first fault")]

mod common;

use candle_core::{Tensor, Var};
use common::{Fixture, distance, values};
use train::loss::{self, FaceWeights};
use train::noise;
use train::timesteps::{Timesteps, shifted};

/// Value and gradient of the first input.
fn check(
    fixture: &Fixture,
    name: &str,
    inputs: &[&str],
    f: impl Fn(&[Tensor]) -> train::Result<Tensor>,
) {
    let mut tensors: Vec<Tensor> = inputs
        .iter()
        .map(|input| fixture.get(&format!("{name}.{input}")))
        .collect();
    let first = Var::from_tensor(&tensors[0]).unwrap();
    tensors[0] = first.as_tensor().clone();
    let value = f(&tensors).unwrap();
    let found = f64::from(value.to_scalar::<f32>().unwrap());
    let wanted = fixture.number(&format!("{name}.value"));
    let error = (found - wanted).abs() / wanted.abs().max(0.1);
    assert!(error < 1e-5, "{name}: {found}, PyTorch has {wanted}");
    let store = value.backward().unwrap();
    let gradient = values(store.get(first.as_tensor()).unwrap());
    let d = distance(
        &gradient,
        &values(&fixture.get(&format!("{name}.gradient"))),
        0.0,
    );
    assert!(d < 1e-4, "gradient of {name}: {d}");
}

#[test]
fn verify_loss_parity() {
    let f = Fixture::open("losses");
    check(&f, "masked", &["v", "u", "m"], |i| {
        loss::masked_flow(&i[0], &i[1], Some(&i[2]))
    });
    check(&f, "contrastive", &["v", "u"], |i| {
        loss::contrastive_flow(&i[0], &i[1], 0.05, None)
    });
    check(&f, "face", &["v", "u", "f", "l"], |i| {
        loss::face_weighted_flow(&i[0], &i[1], &i[2], &i[3], FaceWeights::default())
    });
    check(&f, "joint", &["v", "u", "m"], |i| {
        loss::joint_flow(&i[0], &i[1], &i[2], (0.7, 0.2))
    });
    check(&f, "gated", &["v", "u", "l"], |i| {
        loss::gated_flow(&i[0], &i[1], &i[2], 0.1, 0.5)
    });
    check(&f, "single", &["v", "x0", "eps", "t", "w"], |i| {
        let target = noise::velocity(&i[1], &i[2])?;
        let t = i[3].reshape((3, 1, 1))?;
        let estimate = loss::single_step(&i[1], &target, &i[0], &t, 0.6)?;
        Ok((estimate * &i[4])?.sum_all()?)
    });
    check(&f, "cosine", &["a", "b"], |i| {
        loss::cosine_loss(&i[0], &i[1], None)
    });
    check(&f, "correlation", &["a", "b"], |i| {
        loss::correlation_loss(&i[0], &i[1], None)
    });
    check(&f, "smooth", &["a", "b"], |i| loss::smooth_l1(&i[0], &i[1]));
}

#[test]
fn verify_timestep_parity() {
    let f = Fixture::open("losses");
    let normals = values(&f.get("time.normal"));
    let close = |found: Vec<f32>, name: &str| {
        let d = distance(&found, &values(&f.get(name)), 0.0);
        assert!(d < 1e-6, "{name}: {d}");
    };
    let at = |sampler: Timesteps| -> Vec<f32> {
        let one = |z: &f32| sampler.at(f64::from(*z), 0.0) as f32;
        normals.iter().map(one).collect()
    };
    close(at(Timesteps::default()), "time.paper");
    for alpha in [4.0, 1.5, 0.25] {
        let sampler = Timesteps {
            mean: 0.0,
            shift: alpha,
            ..Timesteps::default()
        };
        close(at(sampler), &format!("time.shift_{alpha:?}"));
    }
    assert!((shifted(0.5, 4.0) - 0.8).abs() < 1e-12);
}

#[test]
fn verify_noise_parity() {
    let f = Fixture::open("losses");
    let (clean, candidates) = (f.get("near.clean"), f.get("near.candidates"));
    let wanted = f.get("near.chosen");
    for row in 0..3 {
        let four: Vec<Tensor> = (0..4)
            .map(|k| candidates.get(row).unwrap().get(k).unwrap())
            .collect();
        let chosen = noise::nearest(&clean.get(row).unwrap(), &four).unwrap();
        assert_eq!(values(&chosen), values(&wanted.get(row).unwrap()));
    }
    let (clean, eps) = (f.get("mix.clean"), f.get("mix.noise"));
    let mixed = noise::noised(&clean, &eps, &f.get("mix.t")).unwrap();
    assert!(distance(&values(&mixed), &values(&f.get("mix.value")), 0.0) < 1e-6);
    let velocity = noise::velocity(&clean, &eps).unwrap();
    assert!(distance(&values(&velocity), &values(&f.get("mix.velocity")), 0.0) < 1e-6);
}

#[test]
fn the_nearest_of_four_draws_is_nearer_than_one() {
    use train::random::{Draw, Purpose};
    let clean = Draw::new(1, Purpose::Weights, 0, 0)
        .normals(&[6, 8])
        .unwrap();
    let mean = |k: usize| -> f64 {
        (0..200)
            .map(|n| {
                let noise =
                    noise::immiscible(&clean, k, &mut Draw::new(7, Purpose::Noise, 0, n)).unwrap();
                let d = (noise - &clean).unwrap().sqr().unwrap().sum_all().unwrap();
                f64::from(d.to_scalar::<f32>().unwrap())
            })
            .sum::<f64>()
            / 200.0
    };
    assert!(mean(4) < 0.95 * mean(1));
}
