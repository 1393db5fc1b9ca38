use candle_core::{Tensor, Var};

use super::*;
use crate::cpu::conv::Sizes;
use crate::cuda::host::{available, run};
use crate::cuda::launch::At;
use crate::cuda::plan::convolution::Convolution;
use crate::ops::testing::noise;
use crate::ops::{self, Conv3dOptions, TimePadding};

struct Case {
    /// `[B, Cin, T, H, W]`.
    x: [usize; 5],
    outputs: usize,
    kernel: [usize; 3],
    options: Conv3dOptions,
    bias: bool,
}

fn agrees(element: Element, case: &Case, order: i32) {
    let what = format!(
        "{element:?} {:?} {:?} {:?}",
        case.x, case.kernel, case.options
    );
    let [batch, channels, t, h, w] = case.x;
    let [kt, kh, kw] = case.kernel;
    let groups = case.options.groups;
    let cast = |x: Tensor| Var::from_tensor(&x.to_dtype(dtype(element)).unwrap()).unwrap();
    let x = cast(noise(1, &case.x));
    let weight = cast(noise(2, &[case.outputs, channels / groups, kt, kh, kw]));
    let bias = noise(3, &[case.outputs]);
    let bias_here = case.bias.then_some(&bias);
    let y = ops::conv3d(&x, &weight, bias_here, &case.options).unwrap();
    let direction = noise(4, y.dims()).to_dtype(dtype(element)).unwrap();
    let loss = (&y * &direction).unwrap().sum_all().unwrap();
    let wanted = loss.backward().unwrap();

    let (_, _, ot, oh, ow) = y.dims5().unwrap();
    let reach = (kt - 1) * case.options.dilation[0];
    let (time, replicate) = match case.options.time {
        TimePadding::Causal => ((reach, 0), true),
        TimePadding::Symmetric => ((reach / 2, reach - reach / 2), true),
        TimePadding::Zeros(front, behind) => ((front, behind), false),
    };
    let sizes = Sizes {
        batch,
        channels,
        outputs: case.outputs,
        groups,
        input: [t, h, w],
        kernel: case.kernel,
        output: [ot, oh, ow],
        stride: case.options.stride,
        dilation: case.options.dilation,
        padding: [time, case.options.height, case.options.width],
        replicate,
    };
    let plan = Convolution {
        element,
        sizes: &sizes,
    };
    let (mut x_at, mut weight_at) = (memory(element, &x), memory(element, &weight));
    let mut bias_at = memory(Element::F32, &bias);
    let bias_at = if case.bias { bias_at.at() } else { At::NOTHING };
    let mut out = space(element, y.elem_count());
    let mut scratch = plan.scratch().map(|count| space(Element::Bf16, count));
    let [a, b] = &mut scratch;
    let places = (x_at.at(), weight_at.at(), bias_at);
    run(&plan.forward(places, out.at(), [a.at(), b.at()]), order);
    assert_near(&what, &values(element, &out), &y, tolerance(element));

    let mut grad = memory(element, &direction);
    let mut dw = space(Element::F32, weight.elem_count());
    let [a, b, c] = plan.weight_scratch();
    let (mut a, mut b) = (space(Element::Bf16, a), space(Element::Bf16, b));
    let mut c = space(Element::F32, c);
    let scratch = [a.at(), b.at(), c.at()];
    run(
        &plan.weight_gradient(x_at.at(), grad.at(), dw.at(), scratch),
        order,
    );
    let wanted = wanted.get(weight.as_tensor()).unwrap();
    assert_near(
        &format!("{what} dw"),
        &dw.f32(),
        wanted,
        2.0 * tolerance(element),
    );
}

#[test]
fn convolutions_agree() {
    if !available() {
        return;
    }
    let strided = Conv3dOptions {
        stride: [2, 2, 1],
        dilation: [1, 1, 2],
        height: (0, 1),
        width: (2, 1),
        ..Conv3dOptions::causal()
    };
    let cases = [
        Case {
            x: [1, 10, 3, 5, 7],
            outputs: 6,
            kernel: [3, 3, 3],
            options: Conv3dOptions::causal(),
            bias: true,
        },
        Case {
            x: [2, 9, 2, 4, 5],
            outputs: 11,
            kernel: [3, 3, 3],
            options: Conv3dOptions::symmetric(),
            bias: false,
        },
        Case {
            x: [1, 8, 5, 7, 6],
            outputs: 5,
            kernel: [3, 3, 2],
            options: strided,
            bias: true,
        },
        Case {
            x: [1, 40, 1, 3, 9],
            outputs: 7,
            kernel: [1, 1, 1],
            options: Conv3dOptions::same(TimePadding::Zeros(0, 0), 0),
            bias: true,
        },
        Case {
            x: [1, 3, 4, 3, 3],
            outputs: 4,
            kernel: [3, 1, 1],
            options: Conv3dOptions::same(TimePadding::Zeros(1, 1), 0),
            bias: false,
        },
    ];
    for element in BOTH {
        for (i, case) in cases.iter().enumerate() {
            agrees(element, case, i as i32 % 2);
        }
    }
}

/// More outputs, channels and positions than one block takes.
#[test]
fn convolutions_of_several_blocks_agree() {
    if !available() {
        return;
    }
    let case = Case {
        x: [1, 70, 2, 9, 11],
        outputs: 130,
        kernel: [2, 1, 3],
        options: Conv3dOptions {
            height: (0, 0),
            ..Conv3dOptions::causal()
        },
        bias: true,
    };
    agrees(Element::Bf16, &case, 1);
}

#[test]
fn grouped_convolutions_agree() {
    if !available() {
        return;
    }
    let options = Conv3dOptions {
        groups: 3,
        ..Conv3dOptions::causal()
    };
    for element in BOTH {
        let case = Case {
            x: [2, 6, 2, 4, 5],
            outputs: 9,
            kernel: [2, 3, 3],
            options,
            bias: true,
        };
        agrees(element, &case, 0);
    }
}
