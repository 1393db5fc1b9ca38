//! What the tests of the operations share.

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Numbers in -1..1.
pub(crate) fn noise(seed: u64, shape: &[usize]) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(x: &Tensor) -> Vec<f32> {
    x.to_dtype(DType::F32)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// Asserts that two tensors agree to `tolerance` of the larger one's largest element.
pub(crate) fn assert_close(what: &str, a: &Tensor, b: &Tensor, tolerance: f32) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let (a, b) = (values(a), values(b));
    let size = b.iter().fold(1e-3_f32, |m, x| m.max(x.abs()));
    for (i, (x, y)) in a.iter().zip(&b).enumerate() {
        assert!(
            (x - y).abs() <= tolerance * size,
            "{what}: element {i} is {x}, wanted {y}"
        );
    }
}

type Operation<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// The fast path equals the slow twin in `f32` to 1e-5, in bf16 to 2e-2, its gradients
/// equal the slow twin's, and those of some elements equal finite differences.
pub(crate) fn check(what: &str, inputs: &[Tensor], fast: Operation<'_>, slow: Operation<'_>) {
    let got = fast(inputs).unwrap();
    assert_close(what, &got, &slow(inputs).unwrap(), 1e-5);
    let narrow: Vec<Tensor> = inputs
        .iter()
        .map(|x| x.to_dtype(DType::BF16).unwrap())
        .collect();
    let got_narrow = fast(&narrow).unwrap();
    assert_eq!(got_narrow.dtype(), DType::BF16, "{what}");
    assert_close(
        &format!("{what} bf16"),
        &got_narrow,
        &slow(&narrow).unwrap(),
        2e-2,
    );

    // A fixed direction makes a scalar of the result.
    let direction = noise(99, got.dims());
    let loss = |f: Operation<'_>, inputs: &[Tensor]| -> Tensor {
        let y = f(inputs).unwrap().to_dtype(DType::F32).unwrap();
        (y * &direction).unwrap().sum_all().unwrap()
    };
    let gradients = |f: Operation<'_>, inputs: &[Tensor]| -> Vec<Tensor> {
        let vars: Vec<Var> = inputs
            .iter()
            .map(|x| Var::from_tensor(x).unwrap())
            .collect();
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let grads = loss(f, &tensors).backward().unwrap();
        tensors
            .iter()
            .map(|t| grads.get(t).unwrap().clone())
            .collect()
    };
    let ours = gradients(fast, inputs);
    for (i, (a, b)) in ours.iter().zip(gradients(slow, inputs)).enumerate() {
        assert_close(&format!("{what}: gradient of input {i}"), a, &b, 5e-5);
    }
    for (i, (a, b)) in gradients(fast, &narrow).iter().zip(&ours).enumerate() {
        assert_close(&format!("{what}: bf16 gradient of input {i}"), a, b, 6e-2);
    }
    for (i, gradient) in ours.iter().enumerate() {
        let gradient = values(gradient);
        let size = gradient.iter().fold(1e-2_f32, |m, x| m.max(x.abs()));
        let base = values(&inputs[i]);
        for at in [0, base.len() / 2, base.len() - 1] {
            let nudged = |by: f32| {
                let mut values = base.clone();
                values[at] += by;
                let mut inputs = inputs.to_vec();
                inputs[i] = Tensor::from_vec(values, inputs[i].dims(), &Device::Cpu).unwrap();
                f64::from(loss(slow, &inputs).to_scalar::<f32>().unwrap())
            };
            let step = 2e-2;
            let estimate = ((nudged(step) - nudged(-step)) / f64::from(2.0 * step)) as f32;
            assert!(
                (estimate - gradient[at]).abs() <= 2e-2 * size,
                "{what}: input {i}, element {at}: gradient {}, finite difference {estimate}",
                gradient[at]
            );
        }
    }
}

/// Runs the tests of this crate's operations again at every lower level.
#[test]
fn every_level_passes() {
    use crate::cpu::level::Level;
    if std::env::var_os("REWORD_CPU").is_some() {
        return;
    }
    for level in Level::ALL
        .iter()
        .copied()
        .filter(|level| *level < Level::detect())
    {
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["ops::", "--skip", "every_level_passes"])
            .env("REWORD_CPU", level.name())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{}: {text}", level.name());
        assert!(!text.contains(" 0 passed"), "{}: nothing ran", level.name());
    }
}
