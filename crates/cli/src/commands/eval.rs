//! `reword eval`: how good a made clip is, in the field's metrics and in ours.

use crate::arguments::{EvalArguments, LpipsName};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::{EvalProgress, Terminal};
use measure::suite::{Maker, Suite, SuiteClip, SuiteSystem, run_suite, write_suite};
use measure::table::{Table, heading};
use measure::{
    FeatureSets, JobReport, LpipsNet, METRICS, Mask, MeasureError, Metric, Networks, PairOptions,
    WEIGHT_FILES, Weights, find, measure_pair,
};
use media::{Clip, OpenOptions, Sandbox};
use std::path::{Path, PathBuf};
use units::Seconds;

/// Runs the command.
pub(crate) fn run(
    arguments: &EvalArguments,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    if arguments.list {
        terminal.result(&list(arguments));
        return Ok(());
    }
    if let Some(suite) = &arguments.suite {
        return run_a_suite(suite, arguments, settings, terminal);
    }
    let (Some(generated), Some(reference)) = (&arguments.generated, &arguments.reference) else {
        return Err(Failure::usage(
            "eval needs a made clip and its reference, or --suite",
        ));
    };
    let options = options(arguments, generated)?;
    let networks = Networks::load(
        &weights(arguments),
        &options.metrics,
        lpips(arguments.lpips),
    );
    let mut sets = FeatureSets::default();
    let mut progress = EvalProgress::new(terminal);
    let report = measure_pair(
        generated,
        reference,
        &options,
        &networks,
        &mut sets,
        &mut progress,
    )
    .map_err(failure)?;
    let json = serde_json::to_string_pretty(&report).map_err(|e| Failure::fault(e.to_string()))?;
    if let Some(path) = &settings.report {
        std::fs::write(path, &json)
            .map_err(|error| Failure::fault(format!("can't write {}: {error}", path.display())))?;
    }
    terminal.result(&shown(
        &report.table(),
        arguments,
        terminal.json().then_some(&json),
    ));
    Ok(())
}

/// Measures a suite, writes its files, prints its table.
fn run_a_suite(
    path: &Path,
    arguments: &EvalArguments,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let mut loaded = Suite::load(path).map_err(failure)?;
    loaded.interpolator.clone_from(&arguments.interpolator);
    let folder = arguments
        .output
        .clone()
        .unwrap_or_else(|| path.with_extension("results"));
    let open = OpenOptions {
        sandbox: Sandbox::Child,
    };
    let mut maker = Program { settings, terminal };
    let mut progress = EvalProgress::new(terminal);
    let weights = weights(arguments);
    let mut report =
        run_suite(&loaded, &folder, &weights, open, &mut maker, &mut progress).map_err(failure)?;
    write_suite(&mut report, &loaded, &folder, open).map_err(failure)?;
    let json = serde_json::to_string_pretty(&report).map_err(|e| Failure::fault(e.to_string()))?;
    let table = if arguments.csv {
        report.long_table()
    } else {
        report.table()
    };
    terminal.result(&shown(&table, arguments, terminal.json().then_some(&json)));
    terminal.note(&format!(
        "tables, plots and pictures are in {}",
        folder.display()
    ));
    Ok(())
}

/// This program as the maker of a suite's clips.
struct Program<'a> {
    settings: &'a Settings,
    terminal: &'a Terminal,
}

impl Maker for Program<'_> {
    fn make(
        &mut self,
        system: &SuiteSystem,
        clip: &SuiteClip,
        output: &Path,
        report: &Path,
    ) -> Result<(), String> {
        let mut settings = self.settings.clone();
        settings.model = system.model.clone().or(settings.model);
        settings.steps = system.steps.or(settings.steps);
        settings.seed = system.seed;
        let say = |failure: Failure| failure.text(false);
        let request = super::shared::render_request(
            clip.input.clone(),
            output.to_owned(),
            crate::arguments::ModelArguments::default(),
            &settings,
        )
        .map_err(say)?;
        let speech = clip.speech.as_ref().unwrap_or(&clip.input);
        let done = project::sync(&request, speech, &mut self.terminal.progress())
            .map_err(|error| say(error.into()))?;
        let json = serde_json::to_vec_pretty(&done).map_err(|error| error.to_string())?;
        std::fs::write(report, json).map_err(|error| error.to_string())
    }
}

/// A table in the form that was asked for.
fn shown(table: &Table, arguments: &EvalArguments, json: Option<&String>) -> String {
    match json {
        Some(json) => json.clone(),
        None if arguments.markdown => table.to_markdown(),
        None if arguments.csv => table.to_csv(),
        None => table.to_text(),
    }
}

/// Every metric and every weight file.
fn list(arguments: &EvalArguments) -> String {
    let weights = weights(arguments);
    let metrics = Table {
        heads: ["metric", "note"].map(str::to_owned).to_vec(),
        rows: METRICS
            .iter()
            .map(|metric| vec![heading(metric), metric.about.to_owned()])
            .collect(),
        notes: Vec::new(),
    };
    let files = Table {
        heads: ["weight file", "here", "note"].map(str::to_owned).to_vec(),
        rows: WEIGHT_FILES
            .iter()
            .map(|file| {
                let here = if weights.find(file.file).is_some() {
                    "yes"
                } else {
                    "no"
                };
                vec![
                    file.file.to_owned(),
                    here.to_owned(),
                    file.source.to_owned(),
                ]
            })
            .collect(),
        notes: vec![
            "convert with tools/convert/metric_weights.py; give the folder with --weights"
                .to_owned(),
        ],
    };
    format!("{}\n{}", metrics.to_text(), files.to_text())
}

fn lpips(name: LpipsName) -> LpipsNet {
    match name {
        LpipsName::Alex => LpipsNet::Alex,
        LpipsName::Vgg => LpipsNet::Vgg,
        LpipsName::Squeeze => LpipsNet::Squeeze,
    }
}

/// The folders given, then the user's own.
fn weights(arguments: &EvalArguments) -> Weights {
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
    let own = data.map(|data| data.join("reword/metrics"));
    Weights::new(arguments.weights.iter().cloned().chain(own))
}

/// The metrics by name, or the usual ones.
fn metrics(names: &[String]) -> Result<Vec<&'static Metric>, Failure> {
    if names.is_empty() {
        return Ok(PairOptions::usual_metrics());
    }
    names
        .iter()
        .map(|name| find(name.trim()).map_err(failure))
        .collect()
}

fn options(arguments: &EvalArguments, generated: &Path) -> Result<PairOptions, Failure> {
    let mut options = PairOptions::new(metrics(&arguments.metrics)?);
    options.open = OpenOptions {
        sandbox: Sandbox::Child,
    };
    options.fit = arguments.fit;
    options.interpolator.clone_from(&arguments.interpolator);
    options.input.clone_from(&arguments.input);
    options.sync.least_frames = arguments.sync_track;
    if !arguments.mask.is_empty() {
        let boxes = arguments.mask.iter().map(|text| parse_box(text));
        options.mask = Mask::Boxes(boxes.collect::<Result<_, _>>()?);
    }
    for text in &arguments.words {
        options.words.push(parse_span(text)?);
    }
    if let Some(path) = &arguments.job {
        let job = JobReport::read(path).map_err(failure)?;
        options.seams = job.seams();
        options.job = Some(job);
    }
    if !arguments.seams.is_empty() {
        let clip = Clip::open(generated, &options.open).map_err(|e| failure(e.into()))?;
        let video = clip.video().map_err(|error| failure(error.into()))?;
        for time in &arguments.seams {
            options.seams.push(video.rate.nearest(Seconds(*time)).0);
        }
    }
    options.seams.sort_unstable();
    options.seams.dedup();
    Ok(options)
}

fn parse_box(text: &str) -> Result<[u32; 4], Failure> {
    let numbers: Vec<u32> = text
        .split(',')
        .filter_map(|part| part.trim().parse().ok())
        .collect();
    <[u32; 4]>::try_from(numbers).map_err(|_| {
        Failure::usage(format!("'{text}' is no box")).with_hint("give x,y,width,height in pixels")
    })
}

fn parse_span(text: &str) -> Result<[f64; 2], Failure> {
    let span = text
        .split_once('-')
        .and_then(|(start, end)| Some([start.trim().parse().ok()?, end.trim().parse().ok()?]));
    span.filter(|[start, end]| start < end).ok_or_else(|| {
        Failure::usage(format!("'{text}' is no span"))
            .with_hint("give start-end in seconds, 3.2-4.1")
    })
}

/// A measurement's failure in the words of the command line.
fn failure(error: MeasureError) -> Failure {
    match error {
        MeasureError::Media(error) => Failure::input(error.to_string()),
        MeasureError::NoMetric { .. } => {
            Failure::usage(error.to_string()).with_hint("`reword eval --list` names them all")
        }
        MeasureError::Option { .. } => Failure::usage(error.to_string()),
        MeasureError::Text { .. } => Failure::input(error.to_string()),
        MeasureError::Files { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::input(error.to_string())
        }
        MeasureError::Stopped => Failure::stopped("stopped; nothing was measured"),
        other => Failure::fault(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_box, parse_span};

    #[test]
    fn boxes_and_spans_are_read_or_refused_with_a_hint() {
        assert_eq!(parse_box("1, 2,30,40").unwrap(), [1, 2, 30, 40]);
        assert!(parse_box("1,2,3").is_err() && parse_box("a,b,c,d").is_err());
        assert!(parse_span("3.2-4.1").is_ok());
        assert!(parse_span("4-3").is_err() && parse_span("4").is_err());
    }
}
