//! Adaptation to a voice, a microphone and a room: the mean distance of the aligned frames from the model.

use super::features::{CEPSTRA, Cepstra, Streams};
use super::graph::Graph;
use super::model::AcousticModel;
use super::search::Step;

/// Frames that count as much as what is known of all phones together.
const PRIOR: f32 = 20.0;

/// How far each codebook's means should move, from a path through the same cepstra. A phone that was heard often moves
/// by its own mean distance, a rare one by that of all speech (a hierarchical maximum a posteriori estimate).
pub(crate) fn offsets(
    graph: &Graph,
    model: &AcousticModel,
    cepstra: &Cepstra,
    path: &[Step],
    before: &[Streams],
) -> Vec<Streams> {
    let codebooks = model.definition.phone_names.len();
    let mut sums = vec![[[0.0_f32; CEPSTRA]; 3]; codebooks];
    let mut counts = vec![0.0_f32; codebooks];
    let mut scorer = model.scorer(before);
    for step in path {
        let Some(node) = graph.nodes.get(step.node) else {
            continue;
        };
        let length = step.frames.len().max(1);
        for (n, frame) in step.frames.clone().enumerate() {
            // Within a phone the states follow each other; their codebook is the same, their weights differ little.
            let Some(&senone) = node.states.senones.get(n * 3 / length) else {
                continue;
            };
            scorer.set(cepstra.streams(frame));
            let (codebook, distance) = scorer.distance(senone);
            if let (Some(sum), Some(count)) = (sums.get_mut(codebook), counts.get_mut(codebook)) {
                add(sum, &distance, 1.0);
                *count += 1.0;
            }
        }
    }
    let silence = usize::from(model.definition.silence);
    let mut all = [[0.0; CEPSTRA]; 3];
    let mut total = 0.0;
    for (codebook, (sum, count)) in sums.iter().zip(&counts).enumerate() {
        if codebook != silence {
            add(&mut all, sum, 1.0);
            total += count;
        }
    }
    scale(&mut all, 1.0 / f32::max(total, 1.0));
    sums.iter()
        .zip(&counts)
        .enumerate()
        .map(|(codebook, (sum, count))| {
            let mut offset = *sum;
            if codebook != silence {
                add(&mut offset, &all, PRIOR);
            }
            scale(&mut offset, 1.0 / (count + PRIOR));
            offset
        })
        .collect()
}

fn add(sum: &mut Streams, more: &Streams, weight: f32) {
    for (a, b) in sum.iter_mut().flatten().zip(more.iter().flatten()) {
        *a += weight * b;
    }
}

fn scale(values: &mut Streams, factor: f32) {
    for value in values.iter_mut().flatten() {
        *value *= factor;
    }
}
