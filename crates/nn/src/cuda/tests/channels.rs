use candle_core::{Tensor, Var};

use super::*;
use crate::cuda::host::{available, run};
use crate::cuda::plan::channels::ChannelNorm;
use crate::ops;
use crate::ops::testing::noise;

struct Case {
    shape: [usize; 4],
    /// 0 for the norm over channels.
    groups: usize,
    /// Rows of factor and summand; 0 for none.
    rows: usize,
    silu: bool,
}

impl Case {
    fn operation(
        &self,
        x: &Tensor,
        factor: &Tensor,
        summand: &Tensor,
    ) -> candle_core::Result<Tensor> {
        let affine = (self.rows > 0).then_some((factor, summand));
        match (self.groups, affine, self.silu) {
            (0, None, false) => ops::pixel_norm(x, 1e-6),
            (0, None, true) => ops::pixel_norm_silu(x, 1e-6),
            (0, Some((scale, shift)), _) => ops::pixel_norm_modulate_silu(x, scale, shift, 1e-6),
            (n, affine, silu) => {
                let (weight, bias) = affine.unzip();
                if silu {
                    ops::group_norm_silu(x, n, weight, bias, 1e-6)
                } else {
                    ops::group_norm(x, n, weight, bias, 1e-6)
                }
            }
        }
    }
}

#[test]
fn normalisations_of_channels_agree() {
    if !available() {
        return;
    }
    let cases = [
        Case {
            shape: [2, 5, 3, 7],
            groups: 0,
            rows: 0,
            silu: false,
        },
        Case {
            shape: [1, 20, 9, 11],
            groups: 0,
            rows: 0,
            silu: true,
        },
        Case {
            shape: [2, 12, 5, 9],
            groups: 0,
            rows: 2,
            silu: true,
        },
        Case {
            shape: [2, 12, 5, 9],
            groups: 0,
            rows: 1,
            silu: true,
        },
        Case {
            shape: [2, 6, 5, 9],
            groups: 3,
            rows: 1,
            silu: false,
        },
        Case {
            shape: [1, 8, 50, 51],
            groups: 2,
            rows: 1,
            silu: true,
        },
        Case {
            shape: [2, 8, 3, 5],
            groups: 1,
            rows: 0,
            silu: true,
        },
    ];
    for element in BOTH {
        for case in &cases {
            channels(element, case);
        }
    }
}

fn channels(element: Element, case: &Case) {
    let [batch, channels, h, w] = case.shape;
    let what = format!("{element:?} {:?} {} {}", case.shape, case.groups, case.rows);
    let cast = |x: Tensor| x.to_dtype(dtype(element)).unwrap();
    let x = Var::from_tensor(&cast(noise(1, &case.shape))).unwrap();
    let table = if case.rows > 1 {
        vec![batch, channels]
    } else {
        vec![channels]
    };
    let factor = Var::from_tensor(&noise(2, &table)).unwrap();
    let summand = Var::from_tensor(&noise(3, &table)).unwrap();
    let direction = cast(noise(4, &case.shape));
    let y = case.operation(&x, &factor, &summand).unwrap();
    let loss = (&y * &direction).unwrap().sum_all().unwrap();
    let wanted = loss.backward().unwrap();

    let count = batch * channels * h * w;
    let mut x_at = memory(element, &x);
    let mut tables = (
        memory(Element::F32, &factor),
        memory(Element::F32, &summand),
    );
    let norm = ChannelNorm {
        element,
        batch,
        channels,
        positions: h * w,
        groups: case.groups,
        eps: 1e-6,
        offset: if case.groups == 0 { 1.0 } else { 0.0 },
        silu: case.silu,
        affine: (case.rows > 0).then(|| (tables.0.at(), tables.1.at(), case.rows)),
    };
    let mut statistics = space(Element::F32, norm.statistics());
    let mut scratch = space(Element::F32, norm.scratch());
    let mut out = space(element, count);
    let mut launches = norm.make_statistics(x_at.at(), statistics.at(), scratch.at());
    launches.push(norm.forward(x_at.at(), out.at(), statistics.at()));
    run(&launches, 1);
    assert_near(&what, &values(element, &out), &y, tolerance(element));

    let (mut grad, mut dx) = (memory(element, &direction), space(element, count));
    let mut sums = space(Element::F32, 2 * batch * channels);
    let launches = norm.backward(x_at.at(), grad.at(), dx.at(), sums.at(), statistics.at());
    run(&launches, 1);
    let near = 2.0 * tolerance(element);
    let gradient = |var: &Var| wanted.get(var.as_tensor()).cloned();
    assert_near(
        &format!("{what} dx"),
        &values(element, &dx),
        &gradient(&x).unwrap(),
        near,
    );
    if case.rows == 0 {
        return;
    }
    let sums = Tensor::from_vec(sums.f32(), (2, batch, channels), x.device()).unwrap();
    for (index, table) in [&factor, &summand].into_iter().enumerate() {
        let got = sums.get(index).unwrap();
        let got = if case.rows == 1 {
            got.sum(0).unwrap()
        } else {
            got
        };
        assert_near(
            &format!("{what} table {index}"),
            &numbers(&got),
            &gradient(table).unwrap(),
            near,
        );
    }
}
