use candle_core::DType;

use super::*;
use crate::ops::testing::{assert_close, check, noise};

const ACTIVATIONS: [Activation; 4] = [
    Activation::None,
    Activation::GeluTanh,
    Activation::GeluErf,
    Activation::Silu,
];

#[test]
fn agrees_with_the_slow_form() {
    let shapes: [(&[usize], usize, usize); 5] = [
        (&[1, 1], 7, 5),
        (&[3], 16, 33),
        (&[2, 19], 40, 65),
        (&[130], 300, 31),
        (&[2, 3, 5], 8, 1),
    ];
    for (index, (rows, inputs, outputs)) in shapes.into_iter().enumerate() {
        let shape = [rows, &[inputs]].concat();
        let args = [
            noise(1, &shape),
            noise(2, &[outputs, inputs]),
            noise(3, &[outputs]),
        ];
        let activation = ACTIVATIONS[index % 4];
        check(
            &format!("linear {shape:?} {outputs} {activation:?}"),
            &args,
            &|t| linear(&t[0], &t[1], Some(&t[2]), activation),
            &|t| slow::linear(&t[0], &t[1], Some(&t[2]), activation),
        );
        check(
            &format!("linear without bias {shape:?} {outputs}"),
            &args[..2],
            &|t| linear(&t[0], &t[1], None, Activation::None),
            &|t| slow::linear(&t[0], &t[1], None, Activation::None),
        );
    }
}

#[test]
fn packed_weights_give_the_same() {
    let cache = PackCache::default();
    let (x, w, b) = (noise(1, &[37, 50]), noise(2, &[70, 50]), noise(3, &[70]));
    for dtype in [DType::F32, DType::BF16, DType::F32] {
        let (x, w) = (x.to_dtype(dtype).unwrap(), w.to_dtype(dtype).unwrap());
        let fresh = linear(&x, &w, Some(&b), Activation::Silu).unwrap();
        let cached = linear_cached(&x, &w, Some(&b), Activation::Silu, Some(&cache)).unwrap();
        assert_close("cached", &cached, &fresh, 0.0);
    }
}

#[test]
fn types_may_be_mixed_and_views_strided() {
    let w = noise(2, &[20, 24]);
    let x = noise(1, &[24, 9]).t().unwrap();
    let narrow = w.to_dtype(DType::BF16).unwrap();
    let got = linear(&x, &narrow, None, Activation::None).unwrap();
    assert_close(
        "mixed",
        &got,
        &slow::linear(&x, &narrow, None, Activation::None).unwrap(),
        1e-5,
    );
}

#[test]
fn low_rank_additions_are_a_changed_weight() {
    let (x, w, b) = (noise(1, &[9, 16]), noise(2, &[12, 16]), noise(3, &[12]));
    let lora = Lora {
        down: noise(4, &[3, 16]),
        up: noise(5, &[12, 3]),
        scale: 0.5,
    };
    let changed = (&w + (lora.up.matmul(&lora.down).unwrap() * 0.5).unwrap()).unwrap();
    let got = linear_lora(&x, &w, Some(&b), Activation::GeluErf, &[lora]).unwrap();
    assert_close(
        "lora",
        &got,
        &linear(&x, &changed, Some(&b), Activation::GeluErf).unwrap(),
        1e-5,
    );
}

#[test]
fn shapes_are_checked() {
    let error = linear(
        &noise(1, &[2, 3]),
        &noise(2, &[4, 5]),
        None,
        Activation::None,
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("[2, 3]") && error.contains("[4, 5]"),
        "{error}"
    );
    let (x, w) = (noise(1, &[2, 5]), noise(2, &[4, 5]));
    assert!(linear(&x, &w, Some(&noise(3, &[5])), Activation::None).is_err());
}
