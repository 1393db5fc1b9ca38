use super::*;
use crate::ops::testing::{assert_close, check, noise};

fn whole(q: &Tensor, k: &Tensor, v: &Tensor, options: &AttentionOptions) -> Result<Tensor> {
    let dims = Dims::new(q, k, v, options)?;
    slow::attention(
        q,
        k,
        v,
        dims,
        dims.key_bias(options.key_bias.as_ref())?.as_ref(),
    )
}

#[test]
fn agrees_with_the_slow_form() {
    // batch, heads, queries, keys, width, value width
    let sizes = [
        (1, 1, 1, 1, 4, 4),
        (2, 3, 5, 7, 8, 8),
        (1, 2, 130, 300, 16, 24),
        (2, 2, 33, 257, 64, 64),
        (1, 1, 3, 40, 20, 5),
    ];
    for (b, h, nq, nk, d, dv) in sizes {
        let options = AttentionOptions::heads(h).with_scale(1.3 / (d as f32).sqrt());
        let flat = [
            noise(1, &[b, nq, h * d]),
            noise(2, &[b, nk, h * d]),
            noise(3, &[b, nk, h * dv]),
        ];
        check(
            &format!("attention {b} {h} {nq} {nk} {d} {dv}"),
            &flat,
            &|t| attention(&t[0], &t[1], &t[2], &options),
            &|t| whole(&t[0], &t[1], &t[2], &options),
        );
        let split = [
            noise(4, &[b, h, nq, d]),
            noise(5, &[b, h, nk, d]),
            noise(6, &[b, h, nk, dv]),
        ];
        let biased = options.with_key_bias((noise(7, &[b, nk]) * 3.0).unwrap());
        check(
            &format!("attention split {b} {h} {nq} {nk} {d} {dv}"),
            &split,
            &|t| attention(&t[0], &t[1], &t[2], &biased),
            &|t| whole(&t[0], &t[1], &t[2], &biased),
        );
    }
}

#[test]
fn hidden_keys_do_not_count() {
    let (q, k, v) = (
        noise(1, &[1, 9, 16]),
        noise(2, &[1, 300, 16]),
        noise(3, &[1, 300, 16]),
    );
    let mut bias = vec![0.0_f32; 300];
    bias[..280].fill(f32::NEG_INFINITY);
    let bias = Tensor::from_vec(bias, 300, &Device::Cpu).unwrap();
    let got = attention(&q, &k, &v, &AttentionOptions::heads(2).with_key_bias(bias)).unwrap();
    let seen = |t: &Tensor| t.narrow(1, 280, 20).unwrap();
    let wanted = attention(&q, &seen(&k), &seen(&v), &AttentionOptions::heads(2)).unwrap();
    assert_close("hidden keys", &got, &wanted, 1e-6);
    let nothing = Tensor::full(f32::NEG_INFINITY, 300, &Device::Cpu).unwrap();
    let got = attention(
        &q,
        &k,
        &v,
        &AttentionOptions::heads(2).with_key_bias(nothing),
    )
    .unwrap();
    assert_close("no key at all", &got, &q.zeros_like().unwrap(), 0.0);
}

#[test]
fn parts_of_a_fused_projection_are_read_in_place() {
    let qkv = noise(1, &[2, 21, 3 * 32]);
    let part = |i: usize| qkv.narrow(2, i * 32, 32).unwrap();
    let got = attention(&part(0), &part(1), &part(2), &AttentionOptions::heads(4)).unwrap();
    let copy = |i: usize| part(i).contiguous().unwrap();
    let wanted = attention(&copy(0), &copy(1), &copy(2), &AttentionOptions::heads(4)).unwrap();
    assert_close("fused projection", &got, &wanted, 0.0);
}

#[test]
fn large_scores_stay_finite() {
    let q = (noise(1, &[1, 4, 8]) * 1e4).unwrap();
    let (k, v) = (noise(2, &[1, 600, 8]), noise(3, &[1, 600, 8]));
    let got = attention(&q, &k, &v, &AttentionOptions::heads(1)).unwrap();
    assert_close(
        "large scores",
        &got,
        &whole(&q, &k, &v, &AttentionOptions::heads(1)).unwrap(),
        1e-4,
    );
}

#[test]
fn misfits_are_refused() {
    let (q, k) = (noise(1, &[1, 4, 8]), noise(2, &[1, 6, 6]));
    let error = attention(&q, &k, &k, &AttentionOptions::heads(2))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("[1, 4, 8]") && error.contains("[1, 6, 6]"),
        "{error}"
    );
    assert!(attention(&q, &q, &q, &AttentionOptions::heads(3)).is_err());
}

/// The dense form of a mask that differs between queries, which `attention` itself avoids.
fn masked(q: &Tensor, k: &Tensor, v: &Tensor, sees: impl Fn(usize, usize) -> bool) -> Tensor {
    let rows: Vec<Tensor> = (0..q.dim(1).unwrap())
        .map(|query| {
            let keys = k.dim(1).unwrap();
            let bias: Vec<f32> = (0..keys)
                .map(|key| {
                    if sees(query, key) {
                        0.0
                    } else {
                        f32::NEG_INFINITY
                    }
                })
                .collect();
            let options = AttentionOptions::heads(2)
                .with_key_bias(Tensor::from_vec(bias, keys, &Device::Cpu).unwrap());
            whole(&q.narrow(1, query, 1).unwrap(), k, v, &options).unwrap()
        })
        .collect();
    Tensor::cat(&rows, 1).unwrap()
}

#[test]
fn restricted_attention_is_a_choice_of_keys() {
    let (q, k, v) = (
        noise(1, &[1, 12, 16]),
        noise(2, &[1, 12, 16]),
        noise(3, &[1, 12, 16]),
    );
    let options = AttentionOptions::heads(2);
    // Frame-wise: three frames of four tokens.
    let frames = |x: &Tensor| x.reshape((3, 4, 16)).unwrap();
    let got = attention(&frames(&q), &frames(&k), &frames(&v), &options)
        .unwrap()
        .reshape((1, 12, 16))
        .unwrap();
    assert_close(
        "frame-wise",
        &got,
        &masked(&q, &k, &v, |query, key| query / 4 == key / 4),
        1e-5,
    );
    // One-way: seven context tokens see each other only, five masked ones see everything.
    let part = |x: &Tensor, from: usize, count: usize| x.narrow(1, from, count).unwrap();
    let context = attention(&part(&q, 0, 7), &part(&k, 0, 7), &part(&v, 0, 7), &options).unwrap();
    let rest = attention(&part(&q, 7, 5), &k, &v, &options).unwrap();
    let got = Tensor::cat(&[context, rest], 1).unwrap();
    assert_close(
        "one-way",
        &got,
        &masked(&q, &k, &v, |query, key| query >= 7 || key < 7),
        1e-5,
    );
}
