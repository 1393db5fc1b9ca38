use candle_core::{DType, Tensor};

use super::*;
use crate::ops::testing::{assert_close, noise};
use crate::ops::{AttentionOptions, attention};

const HEADS: usize = 12;
const WIDTH: usize = HEADS * 8;

/// Tokens of each rank: queries and keys.
fn counts(size: usize) -> Vec<(usize, usize)> {
    (0..size).map(|r| (5 + 3 * r, 9 + 7 * r % 5)).collect()
}

fn whole(size: usize, bias: bool, dtype: DType) -> Local {
    let (n, m) = counts(size)
        .into_iter()
        .fold((0, 0), |(n, m), (q, k)| (n + q, m + k));
    let tensor = |seed, tokens| {
        let x = noise(seed, &[2, tokens, WIDTH]);
        (x * 3.0).unwrap().to_dtype(dtype).unwrap()
    };
    Local {
        queries: tensor(1, n),
        keys: tensor(2, m),
        values: tensor(3, m),
        key_bias: bias.then(|| noise(4, &[2, m])),
        heads: HEADS,
        scale: Some(0.7),
    }
}

fn truth(local: &Local) -> Tensor {
    let options = AttentionOptions {
        heads: local.heads,
        scale: local.scale,
        key_bias: local.key_bias.clone(),
    };
    attention(&local.queries, &local.keys, &local.values, &options).unwrap()
}

fn parts(local: &Local, size: usize) -> Vec<Local> {
    let (mut q, mut k) = (0, 0);
    let mut parts = Vec::new();
    for (queries, keys) in counts(size) {
        parts.push(Local {
            queries: local.queries.narrow(1, q, queries).unwrap(),
            keys: local.keys.narrow(1, k, keys).unwrap(),
            values: local.values.narrow(1, k, keys).unwrap(),
            key_bias: local
                .key_bias
                .as_ref()
                .map(|b| b.narrow(1, k, keys).unwrap()),
            ..local.clone()
        });
        q += queries;
        k += keys;
    }
    parts
}

/// Runs every rank in a thread and joins the results in order.
fn on_ranks<L: Send>(
    links: Vec<L>,
    parts: Vec<Local>,
    run: impl Fn(L, &Local) -> Result<Tensor> + Sync,
) -> Tensor {
    let run = &run;
    let results: Vec<Tensor> = std::thread::scope(|scope| {
        let threads: Vec<_> = links
            .into_iter()
            .zip(parts)
            .map(|(link, part)| scope.spawn(move || run(link, &part).unwrap()))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    Tensor::cat(&results, 1).unwrap()
}

#[test]
fn ranks_equal_one() {
    for dtype in [DType::F32, DType::BF16] {
        let tolerance = if dtype == DType::F32 { 1e-5 } else { 2e-2 };
        for bias in [false, true] {
            for size in [1, 2, 3, 4] {
                let local = whole(size, bias, dtype);
                let truth = truth(&local);
                let by_heads = on_ranks(channels(size), parts(&local, size), |mut link, part| {
                    ulysses(&mut link, part)
                });
                assert_close(&format!("ulysses {size}"), &by_heads, &truth, tolerance);
                let around = on_ranks(channels(size), parts(&local, size), |mut link, part| {
                    ring(&mut link, part)
                });
                assert_close(&format!("ring {size}"), &around, &truth, tolerance);
            }
        }
    }
}

#[test]
fn a_grid_of_ranks_equals_one() {
    // Two rows of three: rank (i, j) exchanges heads with (i, *) and passes keys to (*, j).
    let (rows, columns) = (2, 3);
    let size = rows * columns;
    let local = whole(size, true, DType::F32);
    let mut across: Vec<Channels> = (0..rows).flat_map(|_| channels(columns)).collect();
    let mut down: Vec<Vec<Channels>> = (0..columns).map(|_| channels(rows)).collect();
    let mut links = Vec::new();
    for rank in 0..size {
        links.push((across.remove(0), down[rank % columns].remove(0)));
    }
    let result = on_ranks(links, parts(&local, size), |(mut row, mut column), part| {
        grid(&mut row, &mut column, part)
    });
    assert_close("grid", &result, &truth(&local), 1e-5);
}

#[test]
fn hidden_parts_do_not_count() {
    // All keys of rank 1 are hidden.
    let size = 3;
    let mut local = whole(size, false, DType::F32);
    let of = counts(size);
    let bias: Vec<f32> = of
        .iter()
        .enumerate()
        .flat_map(|(rank, (_, keys))| {
            std::iter::repeat_n(if rank == 1 { f32::NEG_INFINITY } else { 0.0 }, *keys)
        })
        .collect();
    let bias = Tensor::from_vec(bias.repeat(2), (2, bias.len()), &crate::Device::Cpu).unwrap();
    local.key_bias = Some(bias);
    let result = on_ranks(channels(size), parts(&local, size), |mut link, part| {
        ring(&mut link, part)
    });
    assert_close("hidden", &result, &truth(&local), 1e-5);
}

#[test]
fn misuse_is_told() {
    let local = whole(1, false, DType::F32);
    let mut group = channels(5);
    let refused = ulysses(&mut group[0], &local).unwrap_err().to_string();
    assert!(refused.contains("12 heads"), "{refused}");
    let mut alone = channels(2).remove(0);
    assert!(alone.all_to_all(vec![local.keys.clone()]).is_err());
    assert!(
        ring(&mut alone, &local)
            .unwrap_err()
            .to_string()
            .contains("gone")
    );
}
