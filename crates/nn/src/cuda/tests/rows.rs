use candle_core::{Tensor, Var};

use super::*;
use crate::cpu::map::Function;
use crate::cpu::rows::{Kind, TableAt};
use crate::cuda::host::{available, run};
use crate::cuda::launch::At;
use crate::cuda::plan::elements;
use crate::cuda::plan::rows::{Normalise, gate_add, rotate};
use crate::cuda::plan::sums::Sums;
use crate::ops;
use crate::ops::testing::noise;

fn gradients(loss: &Tensor, of: &[&Var]) -> Vec<Tensor> {
    let gradients = loss.backward().unwrap();
    of.iter()
        .map(|var| gradients.get(var.as_tensor()).unwrap().clone())
        .collect()
}

/// `sum(y * direction)`.
fn loss(y: &Tensor, direction: &Tensor) -> Tensor {
    let direction = direction.to_dtype(y.dtype()).unwrap();
    (y * direction).unwrap().sum_all().unwrap()
}

/// Shapes of tables for `[2, tokens, width]`, with their steps.
fn tables(tokens: usize, width: usize) -> [(Vec<usize>, TableAt); 4] {
    let at = |batch, token| TableAt {
        tokens,
        batch,
        token,
    };
    [
        (vec![width], at(0, 0)),
        (vec![2, 1, width], at(1, 0)),
        (vec![1, tokens, width], at(0, 1)),
        (vec![2, tokens, width], at(tokens, 1)),
    ]
}

#[test]
fn normalisations_agree() {
    if !available() {
        return;
    }
    for element in BOTH {
        for width in [7, 40, 1100] {
            for (shape, at) in tables(3, width) {
                for kind in [Kind::Plain, Kind::Rms, Kind::Layer] {
                    normalisation(element, width, &shape, at, kind);
                }
            }
        }
    }
}

fn normalisation(element: Element, width: usize, shape: &[usize], at: TableAt, kind: Kind) {
    let what = format!("{element:?} {width} {shape:?} {kind:?}");
    let cast = |x: Tensor| x.to_dtype(dtype(element)).unwrap();
    let x = Var::from_tensor(&cast(noise(1, &[2, 3, width]))).unwrap();
    let scale = Var::from_tensor(&noise(2, shape)).unwrap();
    let shift = Var::from_tensor(&noise(3, shape)).unwrap();
    let direction = cast(noise(4, &[2, 3, width]));
    let y = match kind {
        Kind::Plain => ops::modulate(&x, &scale, &shift),
        Kind::Rms => ops::rms_norm_modulate(&x, &scale, &shift, 1e-6),
        Kind::Layer => ops::layer_norm_modulate(&x, &scale, &shift, 1e-6),
    }
    .unwrap();
    let wanted = gradients(&loss(&y, &direction), &[&x, &scale, &shift]);

    let (rows, count) = (6, 6 * width);
    let mut x_at = memory(element, &x);
    let (mut factor, mut summand) = (memory(Element::F32, &scale), memory(Element::F32, &shift));
    let mut out = space(element, count);
    let norm = Normalise {
        element,
        rows,
        width,
        kind,
        eps: 1e-6,
        offset: 1.0,
        factor: Some((factor.at(), at)),
        summand: Some((summand.at(), at)),
    };
    run(&[norm.forward(x_at.at(), out.at())], 0);
    assert_near(&what, &values(element, &out), &y, tolerance(element));

    let mut grad = memory(element, &direction);
    let (mut dx, mut products) = (space(element, count), space(Element::F32, count));
    let table_rows = shape.iter().product::<usize>() / width;
    let mut d_factor = space(Element::F32, table_rows * width);
    let mut d_summand = space(Element::F32, table_rows * width);
    let sums = |element| Sums::of_table(element, (rows, width), at, table_rows);
    let mut launches = vec![norm.backward(x_at.at(), grad.at(), dx.at(), products.at())];
    launches.extend(sums(Element::F32).launches(products.at(), d_factor.at(), At::NOTHING));
    launches.extend(sums(element).launches(grad.at(), d_summand.at(), At::NOTHING));
    run(&launches, 1);
    let near = 2.0 * tolerance(element);
    assert_near(
        &format!("{what} dx"),
        &values(element, &dx),
        &wanted[0],
        near,
    );
    assert_near(&format!("{what} factor"), &d_factor.f32(), &wanted[1], near);
    assert_near(
        &format!("{what} summand"),
        &d_summand.f32(),
        &wanted[2],
        near,
    );
}

#[test]
fn norms_without_tables_and_with_a_weight_agree() {
    if !available() {
        return;
    }
    for element in BOTH {
        let x = noise(1, &[5, 24]).to_dtype(dtype(element)).unwrap();
        let weight = noise(2, &[24]);
        let (mut x_at, mut factor) = (memory(element, &x), memory(Element::F32, &weight));
        let mut out = space(element, 5 * 24);
        let at = TableAt {
            tokens: 5,
            batch: 0,
            token: 0,
        };
        let norm = |factor, kind| Normalise {
            element,
            rows: 5,
            width: 24,
            kind,
            eps: 1e-5,
            offset: 0.0,
            factor,
            summand: None,
        };
        let weighed = norm(Some((factor.at(), at)), Kind::Rms);
        run(&[weighed.forward(x_at.at(), out.at())], 1);
        let wanted = ops::rms_norm(&x, Some(&weight), 1e-5).unwrap();
        assert_near(
            "weighed",
            &values(element, &out),
            &wanted,
            tolerance(element),
        );
        run(&[norm(None, Kind::Layer).forward(x_at.at(), out.at())], 1);
        let wanted = ops::layer_norm(&x, None, None, 1e-5).unwrap();
        assert_near("plain", &values(element, &out), &wanted, tolerance(element));
    }
}

#[test]
fn long_sums_agree() {
    if !available() {
        return;
    }
    for (at, targets) in [
        (
            TableAt {
                tokens: 700,
                batch: 0,
                token: 0,
            },
            1,
        ),
        (
            TableAt {
                tokens: 700,
                batch: 1,
                token: 0,
            },
            2,
        ),
    ] {
        let x = noise(1, &[1400, 35]);
        let sums = Sums::of_table(Element::F32, (1400, 35), at, targets);
        let mut from = memory(Element::F32, &x);
        let mut scratch = space(Element::F32, sums.scratch());
        let mut to = space(Element::F32, targets * 35);
        run(&sums.launches(from.at(), to.at(), scratch.at()), 1);
        let wanted = x.reshape((targets, (), 35)).unwrap().sum(1).unwrap();
        assert_near("sums", &to.f32(), &wanted, 2e-5);
    }
}

#[test]
fn gated_residuals_agree() {
    if !available() {
        return;
    }
    for element in BOTH {
        for (shape, at) in tables(5, 37) {
            let cast = |x: Tensor| x.to_dtype(dtype(element)).unwrap();
            let (x, y) = (cast(noise(1, &[2, 5, 37])), cast(noise(2, &[2, 5, 37])));
            let gate = noise(3, &shape);
            let (mut x_at, mut y_at) = (memory(element, &x), memory(element, &y));
            let (mut gate_at, mut out) = (memory(Element::F32, &gate), space(element, 370));
            let launch = gate_add(
                element,
                (10, 37),
                x_at.at(),
                (gate_at.at(), at),
                y_at.at(),
                out.at(),
            );
            run(&[launch], 0);
            let wanted = ops::gate_add(&x, &gate, &y).unwrap();
            assert_near("gate", &values(element, &out), &wanted, tolerance(element));
            let mut products = space(Element::F32, 370);
            let launch = elements::products(element, 370, x_at.at(), y_at.at(), products.at());
            run(&[launch], 0);
            let wide = |x: &Tensor| x.to_dtype(DType::F32).unwrap();
            let wanted = (wide(&x) * wide(&y)).unwrap();
            assert_near("products", &products.f32(), &wanted, 1e-6);
        }
    }
}

#[test]
fn rotations_agree() {
    if !available() {
        return;
    }
    for element in BOTH {
        for batch in [1, 2] {
            let x = noise(1, &[2, 5, 38]).to_dtype(dtype(element)).unwrap();
            let angles = (noise(2, &[batch, 5, 19]) * 7.0).unwrap();
            let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
            let (mut x_at, mut y) = (memory(element, &x), space(element, 380));
            let mut tables = (memory(Element::F32, &cos), memory(Element::F32, &sin));
            let at = TableAt {
                tokens: 5,
                batch: if batch > 1 { 5 } else { 0 },
                token: 1,
            };
            let places = (tables.0.at(), tables.1.at());
            let there = rotate(element, (10, 38), (x_at.at(), y.at()), places, at, 1.0);
            run(&[there], 0);
            let wanted = ops::rope(&x, &cos, &sin).unwrap();
            assert_near("rope", &values(element, &y), &wanted, tolerance(element));
            let back = rotate(element, (10, 38), (y.at(), x_at.at()), places, at, -1.0);
            run(&[back], 0);
            assert_near("back", &values(element, &x_at), &x, tolerance(element));
        }
    }
}

#[test]
fn functions_of_elements_agree() {
    if !available() {
        return;
    }
    for element in BOTH {
        for function in [Function::GeluTanh, Function::GeluErf, Function::Silu] {
            let x = (noise(1, &[777]) * 6.0).unwrap();
            let x = Var::from_tensor(&x.to_dtype(dtype(element)).unwrap()).unwrap();
            let y = match function {
                Function::GeluTanh => ops::gelu_tanh(&x),
                Function::GeluErf => ops::gelu_erf(&x),
                Function::Silu => ops::silu(&x),
            }
            .unwrap();
            let direction = noise(2, &[777]).to_dtype(dtype(element)).unwrap();
            let wanted = gradients(&loss(&y, &direction), &[&x]);
            let (mut x_at, mut grad) = (memory(element, &x), memory(element, &direction));
            let (mut out, mut dx) = (space(element, 777), space(element, 777));
            let there = elements::apply(element, function, 777, x_at.at(), out.at());
            let back = elements::slope(element, function, 777, x_at.at(), grad.at(), dx.at());
            run(&[there, back], 0);
            assert_near("value", &values(element, &out), &y, tolerance(element));
            assert_near(
                "slope",
                &values(element, &dx),
                &wanted[0],
                tolerance(element),
            );
        }
    }
}
