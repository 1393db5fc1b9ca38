//! Paths of the optimisers and clipping against PyTorch's (`tools/parity/train.py`).

#![allow(clippy::unwrap_used, reason = "a test may stop at the first fault")]

mod common;

use std::collections::BTreeMap;

use candle_core::Tensor;
use common::{Fixture, distance, values};
use train::Parameters;
use train::gradients::Gradients;
use train::optimiser::{AdamW, Group, Muon, MuonScale, Optimiser, Rule};
use train::pattern::Patterns;

/// 20 steps over the fixture's gradients, as `name` in the fixture.
fn check(fixture: &Fixture, name: &str, shape: (usize, usize), rule: Rule, rate: f64, decay: f64) {
    let mut parameters = Parameters::default();
    let start = fixture.get("start").reshape(shape).unwrap();
    parameters.insert_trained("w", &start).unwrap();
    let group = |rule| Group {
        names: Patterns::of(["*"]),
        rate,
        decay,
        rule,
        vector_rate: rate,
    };
    let mut optimiser = Optimiser::new(&parameters, vec![group(rule)]).unwrap();
    let (gradients, wanted) = (fixture.get("gradients"), fixture.get(name));
    for step in 0..20 {
        // Half way, the state goes through a checkpoint.
        if step == 10 {
            let tensors: BTreeMap<String, Tensor> = optimiser.tensors().unwrap();
            optimiser = Optimiser::new(&parameters, vec![group(rule)]).unwrap();
            optimiser.restore(&tensors, 10).unwrap();
        }
        let gradient = values(&gradients.get(step).unwrap());
        let gradient = Gradients(BTreeMap::from([("w".to_owned(), gradient)]));
        optimiser.step(&parameters, &gradient, 1.0).unwrap();
        let found = values(parameters.trained()["w"].as_tensor());
        let d = distance(&found, &values(&wanted.get(step).unwrap()), 0.0);
        assert!(d <= 1e-4, "{name}, step {step}: {d}");
    }
}

#[test]
fn verify_adamw_parity() {
    let fixture = Fixture::open("optimisers");
    let rule = Rule::Adamw(AdamW {
        betas: [0.9, 0.98],
        ..AdamW::default()
    });
    check(&fixture, "adamw", (7, 5), rule, 3e-3, 0.1);
}

#[test]
fn verify_muon_parity() {
    let fixture = Fixture::open("optimisers");
    for (kind, shape) in [("wide", (5, 7)), ("tall", (7, 5))] {
        let rule = Rule::Muon(Muon::default());
        check(&fixture, &format!("muon_{kind}"), shape, rule, 2e-2, 0.1);
        let rule = Rule::Muon(Muon {
            momentum: 0.9,
            nesterov: false,
            scale: MuonScale::LikeAdamw,
            ..Muon::default()
        });
        let name = format!("muon_{kind}_like_adamw");
        check(&fixture, &name, shape, rule, 2e-2, 0.0);
    }
}

#[test]
fn verify_clipping_parity() {
    let fixture = Fixture::open("optimisers");
    let read = |name: &str| values(&fixture.get(&format!("clip.{name}")));
    let mut gradients = Gradients(BTreeMap::from([
        ("a".to_owned(), read("a")),
        ("b".to_owned(), read("b")),
    ]));
    let norm = gradients.clip(1.5);
    assert!((norm / fixture.number("clip.norm") - 1.0).abs() < 1e-6);
    for name in ["a", "b"] {
        let d = distance(&gradients.0[name], &read(&format!("{name}_after")), 0.0);
        assert!(d < 1e-6, "{name}: {d}");
    }
}
