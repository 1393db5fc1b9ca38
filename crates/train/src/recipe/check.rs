//! Ranges of a recipe's values, in one place.

use std::fmt::Display;

use super::{MaskKind, Recipe, StageName};
use crate::error::{Result, TrainError};

/// Collects the first fault.
struct Checker<'a> {
    origin: &'a str,
    fault: Option<TrainError>,
}

impl Checker<'_> {
    fn must(&mut self, holds: bool, key: &str, found: impl Display, range: &str) {
        if !holds && self.fault.is_none() {
            self.fault = Some(TrainError::RecipeRange {
                origin: self.origin.to_owned(),
                key: key.to_owned(),
                found: found.to_string(),
                range: range.to_owned(),
            });
        }
    }

    /// A share or probability.
    fn share(&mut self, key: &str, value: f64) {
        self.must((0.0..=1.0).contains(&value), key, value, "within 0..1");
    }

    /// A weight of a loss.
    fn weight(&mut self, key: &str, value: f64) {
        let range = "a number from 0 to 1000";
        self.must((0.0..=1000.0).contains(&value), key, value, range);
    }

    fn count(&mut self, key: &str, value: usize, least: usize, most: usize) {
        let range = format!("within {least}..{most}");
        self.must((least..=most).contains(&value), key, value, &range);
    }
}

impl Recipe {
    /// Checks all ranges.
    pub(super) fn check(&self, origin: &str) -> Result<()> {
        let mut c = Checker {
            origin,
            fault: None,
        };
        c.must(self.version == 1, "version", self.version, "1");
        let million = 1_000_000_000;
        c.must(
            (1..=million).contains(&self.steps),
            "steps",
            self.steps,
            "within 1..1000000000",
        );
        self.check_model(&mut c);
        self.check_data(&mut c);
        self.check_optimiser(&mut c);
        self.check_losses(&mut c);
        c.must(
            self.log.every > 0,
            "log.every",
            self.log.every,
            "at least 1",
        );
        let every = self.log.checkpoint_every;
        c.must(every > 0, "log.checkpoint_every", every, "at least 1");
        c.count("log.keep", self.log.keep, 1, 1000);
        c.fault.map_or(Ok(()), Err)
    }

    fn check_model(&self, c: &mut Checker<'_>) {
        let model = &self.model;
        let given = u8::from(model.weights.is_some()) + u8::from(model.config.is_some());
        let range = "exactly one of `weights` and `config`";
        c.must(given == 1, "model", format!("{given} of them"), range);
        let some = !model.train.0.is_empty() || model.lora.is_some();
        c.must(
            some,
            "model.train",
            "empty",
            "a list of names, unless there is `lora`",
        );
        if let Some(lora) = &model.lora {
            c.count("model.lora.rank", lora.rank, 1, 4096);
            let alpha = lora.alpha;
            c.must(
                alpha > 0.0 && alpha <= 1e5,
                "model.lora.alpha",
                alpha,
                "above 0 and at most 100000",
            );
            let targets = !lora.targets.0.is_empty();
            c.must(targets, "model.lora.targets", "empty", "a list of names");
            let stage = self.stage == StageName::EditYourself;
            c.must(
                stage,
                "model.lora",
                self.stage.name(),
                "used with stage edit-yourself only",
            );
        }
    }

    fn check_data(&self, c: &mut Checker<'_>) {
        let data = &self.data;
        c.count("data.sources", data.sources.len(), 1, 10_000);
        for (index, source) in data.sources.iter().enumerate() {
            let key = |name: &str| format!("data.sources[{index}].{name}");
            c.weight(&key("weight"), source.weight);
            for (name, weight) in &source.weights {
                c.weight(&key(&format!("weights.{name}")), *weight);
            }
            c.share(&key("held_out_share"), source.held_out_share);
        }
        let seconds = data.seconds;
        c.must(
            seconds > 0.0 && seconds <= 3600.0,
            "data.seconds",
            seconds,
            "above 0 and at most 3600",
        );
        c.must(
            data.mask == MaskKind::Crop,
            "data.mask",
            "frame",
            "\"crop\": whole frames can't be trained on yet",
        );
        let [low, high] = data.megapixels;
        let holds = low > 0.0 && low <= high && high <= 8.0;
        let found = format!("[{low}, {high}]");
        c.must(
            holds,
            "data.megapixels",
            found,
            "two rising numbers above 0 and at most 8",
        );
        let agreement = data.least_agreement;
        c.must(
            (-1.0..=1.0).contains(&agreement),
            "data.least_agreement",
            agreement,
            "within -1..1",
        );
        c.count("data.reference_frames", data.reference_frames, 1, 256);
        c.count("data.counterparts", data.counterparts, 0, 16);
        let batch = &self.batch;
        c.count("batch.samples", batch.samples, 1, 65_536);
        c.count("batch.copies", batch.copies, 1, 64);
        c.count("batch.accumulate", batch.accumulate, 1, 65_536);
        for (key, list, least, most) in [
            ("batch.latents", &batch.latents, 2, 1024),
            ("batch.frames", &batch.frames, 1, 100_000),
            ("batch.pixels", &batch.pixels, 16, 8192),
        ] {
            c.count(&format!("the length of {key}"), list.len(), 1, 64);
            for value in list {
                c.count(key, *value, least, most);
            }
        }
    }

    fn check_optimiser(&self, c: &mut Checker<'_>) {
        let o = &self.optimiser;
        let rate = |c: &mut Checker<'_>, key: &str, rate: f64| {
            c.must(
                rate > 0.0 && rate <= 10.0,
                key,
                rate,
                "above 0 and at most 10",
            );
        };
        rate(c, "optimiser.rate", o.rate);
        if let Some(muon) = o.muon_rate {
            rate(c, "optimiser.muon_rate", muon);
        }
        for beta in o.betas {
            c.must(
                (0.0..1.0).contains(&beta),
                "optimiser.betas",
                beta,
                "within 0..1, without 1",
            );
        }
        let momentum = o.momentum;
        c.must(
            (0.0..1.0).contains(&momentum),
            "optimiser.momentum",
            momentum,
            "within 0..1, without 1",
        );
        c.weight("optimiser.decay", o.decay);
        c.weight("optimiser.clip", o.clip);
        c.weight("optimiser.most", o.most);
        let average = o.average;
        c.must(
            (0.0..1.0).contains(&average),
            "optimiser.average",
            average,
            "within 0..1, without 1",
        );
        for (index, scale) in o.scales.iter().enumerate() {
            c.weight(&format!("optimiser.scales[{index}].scale"), scale.scale);
        }
        c.share("rate.fall_from", self.rate.fall_from);
        c.share("rate.end", self.rate.end);
    }

    fn check_losses(&self, c: &mut Checker<'_>) {
        let t = &self.timesteps;
        let finite = |x: f64| (-20.0..=20.0).contains(&x);
        c.must(finite(t.mean), "timesteps.mean", t.mean, "within -20..20");
        if let Some(end) = t.mean_end {
            c.must(finite(end), "timesteps.mean_end", end, "within -20..20");
        }
        let deviation = t.deviation;
        c.must(
            (0.0..=10.0).contains(&deviation),
            "timesteps.deviation",
            deviation,
            "within 0..10",
        );
        let shift = t.shift;
        c.must(
            shift > 0.0 && shift <= 100.0,
            "timesteps.shift",
            shift,
            "above 0 and at most 100",
        );
        c.share("timesteps.pure", t.pure);
        let rates = &self.conditions;
        for (key, value) in [
            ("conditions.audio", rates.audio),
            ("conditions.first_frame", rates.first_frame),
            ("conditions.video", rates.video),
            ("conditions.identity", rates.identity),
            ("conditions.text", rates.text),
        ] {
            c.share(key, value);
        }
        let o = &self.objective;
        for (key, value) in [
            ("objective.flow", o.flow),
            ("objective.readout", o.readout),
            ("objective.follow", o.follow),
            ("objective.identity", o.identity),
            ("objective.head", o.head),
            ("sound.follow", self.sound.follow),
            ("sound.opening", self.sound.opening),
            ("sound.shape", self.sound.shape),
            ("sync.others", self.sync.others),
            ("sync.anywhere", self.sync.anywhere),
            ("sync.turning", self.sync.turning),
            ("sync.scale", self.sync.scale),
            ("vae.loss.absolute", self.vae.loss.absolute),
            ("vae.loss.squared", self.vae.loss.squared),
            ("vae.loss.detail", self.vae.loss.detail),
            ("vae.loss.perceptual", self.vae.loss.perceptual),
            ("vae.loss.kl", self.vae.loss.kl),
            ("vae.lips", self.vae.lips),
        ] {
            c.weight(key, value);
        }
        let contrastive = o.contrastive;
        c.must(
            (0.0..1.0).contains(&contrastive),
            "objective.contrastive",
            contrastive,
            "within 0..1, without 1",
        );
        c.count("objective.immiscible", o.immiscible, 1, 64);
        for (key, value) in [
            ("objective.lips_only", o.lips_only),
            ("objective.single_step_most", o.single_step_most),
            ("objective.hold_sound", o.hold_sound),
            ("objective.fewer_references", o.fewer_references),
            ("sound.level", self.sound.level),
            ("sound.floor", self.sound.floor),
            ("sound.bands", self.sound.bands),
            ("sound.dropout", self.sound.dropout),
            ("sync.mirror", self.sync.mirror),
            ("sync.throat", self.sync.throat),
            ("sync.room", self.sync.room),
            ("sync.floor", self.sync.floor),
            ("sync.others_voice", self.sync.others_voice),
            ("sync.bands", self.sync.bands),
            ("vae.detail_from", self.vae.detail_from),
            ("vae.grey", self.vae.grey),
            ("vae.light", self.vae.light),
            ("vae.mirror", self.vae.mirror),
        ] {
            c.share(key, value);
        }
        c.count("sync.most_offset", self.sync.most_offset, 0, 100);
        let dropout = self.sync.dropout;
        let holds = (0.0..1.0).contains(&dropout);
        c.must(holds, "sync.dropout", dropout, "within 0..1, without 1");
        c.count("sound.components", self.sound.components, 1, 64);
        if let Some(teacher) = &o.teacher {
            c.share("objective.teacher.share", teacher.share);
            c.count("objective.teacher.shape", teacher.shape, 1, 64);
            c.weight("objective.teacher.noise", teacher.noise);
            let ridge = teacher.ridge;
            let range = "above 0 and at most 1e9";
            let holds = ridge > 0.0 && ridge <= 1e9;
            c.must(holds, "objective.teacher.ridge", ridge, range);
        }
        if let Some(estimate) = &o.estimate {
            let floor = estimate.floor;
            let range = "above 0 and at most 1000";
            let holds = floor > 0.0 && floor <= 1000.0;
            c.must(holds, "objective.estimate.floor", floor, range);
            for weight in &estimate.cells {
                c.weight("objective.estimate.cells", *weight);
            }
            let alone = o.face.is_none() && o.contrastive == 0.0 && o.lips_only == 0.0;
            let range = "without objective.face, contrastive and lips_only";
            c.must(alone, "objective.estimate", "with others", range);
        }
        let ridge = o.reader.ridge;
        c.must(
            ridge > 0.0 && ridge <= 1e9,
            "objective.reader.ridge",
            ridge,
            "above 0 and at most 1e9",
        );
    }
}
