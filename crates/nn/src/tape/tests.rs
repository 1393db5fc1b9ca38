use super::*;
use crate::ops::testing::{assert_close, noise};
use crate::ops::{self, Activation};
use candle_core::DType;

/// Our operations with candle's between them, results used twice, a parameter in another dtype.
fn network(x: &Tensor, y: &Tensor, w: &Tensor, v: &Tensor, dtype: DType) -> Result<Tensor> {
    let (x, w) = (x.to_dtype(dtype)?, w.to_dtype(dtype)?);
    let (v, y) = (v.to_dtype(dtype)?, y.to_dtype(dtype)?);
    let inner = ops::linear(&x, &w, None, Activation::GeluTanh)?;
    let both = Tensor::cat(&[&inner, &ops::silu(&inner)?], 0)?;
    let normed = ops::rms_norm(&both.narrow(0, 3, 7)?, None, 1e-6)?;
    let back = ops::linear(&normed.broadcast_mul(&y)?, &v, None, Activation::None)?;
    let sum = ops::add(&x, &back)?;
    ops::rms_norm(&(sum + ops::gelu_erf(&x)?)?, None, 1e-6)
}

fn loss(result: &Tensor, direction: &Tensor) -> Tensor {
    let result = result.to_dtype(DType::F32).unwrap();
    (result * direction).unwrap().sum_all().unwrap()
}

#[test]
fn gradients_equal_candles() {
    let leaves = [
        noise(1, &[7, 12]),
        noise(2, &[1, 20]),
        noise(3, &[20, 12]),
        noise(4, &[12, 20]),
    ]
    .map(|t| Var::from_tensor(&t).unwrap());
    let [x, y, w, v] = &leaves;
    let direction = noise(5, &[7, 12]);
    for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::BF16, 3e-2)] {
        let run = || network(x, y, w, v, dtype).unwrap();
        let plain = loss(&run(), &direction).backward().unwrap();
        let (total, tape) = recorded(|| loss(&run(), &direction));
        assert_eq!(tape.len(), 8, "linear and its GELU are two");
        let taped = tape.backward(&total).unwrap();
        for (i, leaf) in leaves.iter().enumerate() {
            let [a, b] = [&taped, &plain].map(|store| store.get(leaf.as_tensor()).unwrap());
            assert_eq!(a.dtype(), b.dtype());
            assert_close(&format!("{dtype:?} gradient {i}"), a, b, tolerance);
        }
    }
}

#[test]
fn what_is_run_again_has_the_same_gradients() {
    use std::cell::Cell;
    use std::rc::Rc;
    let x = Var::from_tensor(&noise(1, &[6, 8])).unwrap();
    let w = Var::from_tensor(&noise(2, &[8, 8])).unwrap();
    let direction = noise(3, &[6, 8]);
    let runs = Rc::new(Cell::new(0));
    // Two results, of which the next block uses one twice and the other one late; the weight is another dtype's copy.
    let block = |x: &Tensor, w: &Tensor| -> Result<Vec<Tensor>> {
        let inner = ops::linear(x, &(w * 2.0)?, None, Activation::Silu)?;
        Ok(vec![
            ops::add(&ops::rms_norm(x, None, 1e-6)?, &inner)?,
            inner,
        ])
    };
    let run = |checkpointed: bool| {
        let (mut z, mut side) = (x.as_tensor().clone(), Vec::new());
        for _ in 0..3 {
            let (before, w, runs) = (z.clone(), w.as_tensor().clone(), runs.clone());
            let both = if checkpointed {
                let f = move || {
                    runs.set(runs.get() + 1);
                    block(&before, &w)
                };
                again(f).unwrap()
            } else {
                block(&z, &w).unwrap()
            };
            z = both[0].clone();
            side.push(both[1].clone());
        }
        loss(&ops::add(&z, &side[1]).unwrap(), &direction)
    };
    let plain = run(false).backward().unwrap();
    let (total, tape) = recorded(|| run(true));
    assert_eq!(tape.len(), 4, "what is inside is not remembered");
    let taped = tape.backward(&total).unwrap();
    for leaf in [&x, &w] {
        let [a, b] = [&taped, &plain].map(|store| store.get(leaf.as_tensor()).unwrap());
        assert_close("gradient", a, b, 1e-6);
    }
    assert_eq!(runs.get(), 6, "each block runs twice");
    let nothing = noise(4, &[2, 2]);
    let (result, tape) = recorded(|| again(move || Ok(vec![ops::silu(&nothing)?])).unwrap());
    assert!(tape.is_empty() && !result[0].track_op());
}

#[test]
fn an_inner_tape_leaves_the_outer_one_alone() {
    let x = Var::from_tensor(&noise(1, &[5])).unwrap();
    let ((), outer) = recorded(|| {
        ops::silu(&x).unwrap();
        let (_, inner) = recorded(|| ops::silu(&ops::silu(&x).unwrap()).unwrap());
        assert_eq!(inner.len(), 2);
        let nothing = noise(2, &[5]);
        ops::silu(&nothing).unwrap();
        ops::silu(&x).unwrap();
    });
    assert_eq!(outer.len(), 2);
    let panicked = std::panic::catch_unwind(|| recorded(|| panic!("inside")));
    assert!(panicked.is_err());
    assert!(
        ops::silu(&x)
            .unwrap()
            .backward()
            .unwrap()
            .get(x.as_tensor())
            .is_some()
    );
}
