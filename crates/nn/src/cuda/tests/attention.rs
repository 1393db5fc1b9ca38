use candle_core::{Tensor, Var};

use super::*;
use crate::cuda::host::{available, run};
use crate::cuda::launch::At;
use crate::cuda::plan::attention::{Heads, Passed, Sizes};
use crate::ops::attention::with_log_sums;
use crate::ops::testing::noise;
use crate::ops::{self, AttentionOptions};

/// `[B, N, heads * D]`, contiguous.
fn flat(at: At, tokens: usize, heads: usize, width: usize) -> Heads {
    Heads {
        at,
        batch: tokens * heads * width,
        head: width,
        token: heads * width,
    }
}

struct Case {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    width: usize,
    value_width: usize,
    /// Keys from here on are hidden; others get a bias.
    seen: Option<usize>,
}

fn case(
    [batch, heads, queries, keys, width, value_width]: [usize; 6],
    seen: Option<usize>,
) -> Case {
    Case {
        batch,
        heads,
        queries,
        keys,
        width,
        value_width,
        seen,
    }
}

fn agrees(element: Element, case: &Case, orders: &[i32]) {
    let Case {
        batch,
        heads,
        queries,
        keys,
        width,
        value_width,
        seen,
    } = *case;
    let what =
        format!("{element:?} {batch} {heads} {queries} {keys} {width} {value_width} {seen:?}");
    let cast = |x: Tensor| (x * 2.0).unwrap().to_dtype(dtype(element)).unwrap();
    let q = Var::from_tensor(&cast(noise(1, &[batch, queries, heads * width]))).unwrap();
    let k = Var::from_tensor(&cast(noise(2, &[batch, keys, heads * width]))).unwrap();
    let v = Var::from_tensor(&cast(noise(3, &[batch, keys, heads * value_width]))).unwrap();
    let direction = cast(noise(4, &[batch, queries, heads * value_width]));
    let bias = seen.map(|seen| {
        let bias: Vec<f32> = (0..batch * keys)
            .map(|i| {
                if i % keys < seen {
                    (i % 7) as f32 * 0.3 - 1.0
                } else {
                    f32::NEG_INFINITY
                }
            })
            .collect();
        Tensor::from_vec(bias, (batch, keys), q.device()).unwrap()
    });
    let scale = 0.7 / (width as f32).sqrt();
    let mut options = AttentionOptions::heads(heads).with_scale(scale);
    options.key_bias.clone_from(&bias);
    let y = ops::attention(&q, &k, &v, &options).unwrap();
    let (_, log_sums) = with_log_sums(&q, &k, &v, &options).unwrap();
    let loss = (&y * &direction).unwrap().sum_all().unwrap();
    let wanted = loss.backward().unwrap();

    let sizes = Sizes {
        element,
        batch,
        heads,
        queries,
        keys,
        width,
        value_width,
        scale,
    };
    assert!(sizes.fits());
    let count = |tokens: usize, width: usize| batch * heads * tokens * width;
    let mut memories = [
        memory(element, &q),
        memory(element, &k),
        memory(element, &v),
    ];
    let mut bias = bias.map(|bias| memory(Element::F32, &bias));
    let mut before: Option<Vec<Vec<u8>>> = None;
    for order in orders {
        let mut out = space(element, count(queries, value_width));
        let mut sums = space(Element::F32, batch * heads * queries);
        let [q_at, k_at, v_at] = &mut memories;
        let passed = Passed {
            q: flat(q_at.at(), queries, heads, width),
            k: flat(k_at.at(), keys, heads, width),
            v: flat(v_at.at(), keys, heads, value_width),
            bias: bias.as_mut().map_or(At::NOTHING, Memory::at),
            out: flat(out.at(), queries, heads, value_width),
            log_sums: sums.at(),
        };
        run(&[sizes.forward(&passed)], *order);
        let near = if element == Element::F32 {
            2e-5
        } else {
            1.5e-2
        };
        assert_near(&what, &values(element, &out), &y, near);
        assert_near(&format!("{what} sums"), &sums.f32(), &log_sums, near);

        let mut grad = memory(element, &direction);
        let mut scratch = space(Element::F32, sizes.scratch());
        let mut results = [
            space(element, count(queries, width)),
            space(element, count(keys, width)),
            space(element, count(keys, value_width)),
        ];
        let [dq, dk, dv] = &mut results;
        let places = [
            flat(dq.at(), queries, heads, width),
            flat(dk.at(), keys, heads, width),
            flat(dv.at(), keys, heads, value_width),
        ];
        let grad = flat(grad.at(), queries, heads, value_width);
        run(&sizes.backward(&passed, grad, places, scratch.at()), *order);
        for (name, result, var) in [("q", 0, &q), ("k", 1, &k), ("v", 2, &v)] {
            let wanted = wanted.get(var.as_tensor()).unwrap();
            let got = values(element, &results[result]);
            assert_near(&format!("{what} d{name}"), &got, wanted, 1.5 * near);
        }
        let bytes: Vec<Vec<u8>> = results
            .iter()
            .chain([&out, &sums])
            .map(Memory::bytes)
            .collect();
        if let Some(before) = &before {
            assert!(*before == bytes, "{what}: the order of the threads shows");
        }
        before = Some(bytes);
    }
}

#[test]
fn plain_attention_agrees() {
    if !available() {
        return;
    }
    for element in BOTH {
        agrees(element, &case([2, 3, 5, 7, 20, 12], None), &ORDERS);
        agrees(element, &case([1, 2, 9, 70, 33, 5], Some(50)), &[1]);
        agrees(element, &case([1, 1, 3, 40, 260, 140], Some(40)), &[0]);
    }
}

#[test]
fn tiled_attention_agrees_for_heads_of_64() {
    if !available() {
        return;
    }
    agrees(
        Element::Bf16,
        &case([2, 2, 33, 70, 64, 64], Some(65)),
        &ORDERS,
    );
    agrees(Element::Bf16, &case([1, 1, 150, 133, 40, 64], None), &[1]);
}

#[test]
fn tiled_attention_agrees_for_heads_of_128() {
    if !available() {
        return;
    }
    agrees(Element::Bf16, &case([1, 1, 70, 150, 128, 128], None), &[1]);
    agrees(Element::Bf16, &case([1, 2, 3, 65, 72, 128], Some(20)), &[0]);
}

/// Heads that are parts of one fused projection, and a query that sees nothing.
#[test]
fn strides_and_hidden_rows_hold() {
    if !available() {
        return;
    }
    let (tokens, heads, width) = (21, 2, 64);
    let qkv = noise(1, &[1, tokens, 3 * heads * width])
        .to_dtype(DType::BF16)
        .unwrap();
    let part = |i: usize| qkv.narrow(2, i * heads * width, heads * width).unwrap();
    let options = AttentionOptions::heads(heads);
    let wanted = ops::attention(&part(0), &part(1), &part(2), &options).unwrap();
    let mut whole = memory(Element::Bf16, &qkv);
    let mut out = space(Element::Bf16, tokens * heads * width);
    let at = |i: usize, memory: &mut Memory| Heads {
        at: At(memory.at().0 + (i * heads * width * 2) as u64),
        batch: 0,
        head: width,
        token: 3 * heads * width,
    };
    let sizes = Sizes {
        element: Element::Bf16,
        batch: 1,
        heads,
        queries: tokens,
        keys: tokens,
        width,
        value_width: width,
        scale: 0.125,
    };
    let mut passed = Passed {
        q: at(0, &mut whole),
        k: at(1, &mut whole),
        v: at(2, &mut whole),
        bias: At::NOTHING,
        out: flat(out.at(), tokens, heads, width),
        log_sums: At::NOTHING,
    };
    run(&[sizes.forward(&passed)], 1);
    assert_near("fused projection", &out.bf16(), &wanted, 1e-2);

    let mut hidden = Memory::of_f32(&[f32::NEG_INFINITY; 21]);
    passed.bias = hidden.at();
    let mut sums = space(Element::F32, heads * tokens);
    passed.log_sums = sums.at();
    run(&[sizes.forward(&passed)], 0);
    assert!(out.bf16().iter().all(|x| *x == 0.0));
    assert!(sums.f32().iter().all(|x| *x == f32::NEG_INFINITY));
}
