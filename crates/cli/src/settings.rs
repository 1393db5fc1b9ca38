//! Settings and where they come from, strongest first: flags, `REWORD_*` variables, `reword.toml` beside the
//! clip, the user's own config file. (The variables are read by the argument parser.)

use crate::arguments::{CommonArguments, DeviceName, RegionName};
use crate::failure::Failure;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What a settings file may hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct SettingsFile {
    model: Option<String>,
    method: Option<String>,
    device: Option<String>,
    steps: Option<u32>,
    seed: Option<u64>,
    audio_guidance: Option<f32>,
    region: Option<String>,
    face: Option<String>,
    voice: Option<String>,
    language: Option<String>,
}

/// Settings in force.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) model: Option<String>,
    pub(crate) steps: Option<u32>,
    pub(crate) seed: u64,
    pub(crate) audio_guidance: Option<f32>,
    pub(crate) region: RegionName,
    pub(crate) face: Option<String>,
    pub(crate) voice: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) from: Option<f64>,
    pub(crate) to: Option<f64>,
    pub(crate) preview: bool,
    pub(crate) resume: bool,
    pub(crate) report: Option<PathBuf>,
}

impl Settings {
    /// Puts flags, variables and files together. `clip` is where `reword.toml` is looked for.
    pub(crate) fn gather(common: &CommonArguments, clip: Option<&Path>) -> Result<Self, Failure> {
        let files = match common
            .config
            .clone()
            .or_else(|| std::env::var_os("REWORD_CONFIG").map(PathBuf::from))
        {
            Some(path) => vec![read(&path)?],
            None => candidates(clip)
                .iter()
                .filter(|path| path.is_file())
                .map(|path| read(path))
                .collect::<Result<_, _>>()?,
        };
        let file = files.into_iter().fold(SettingsFile::default(), strongest);
        let method = common.method.clone().or(file.method);
        if let Some(method) = method.filter(|method| method != "edit-yourself") {
            return Err(Failure::usage(format!("there is no method `{method}`"))
                .with_hint("the method is `edit-yourself`"));
        }
        let device = match (common.device, file.device.as_deref()) {
            (Some(device), _) => device,
            (None, None | Some("auto")) => DeviceName::Auto,
            (None, Some("cpu")) => DeviceName::Cpu,
            (None, Some(other)) => {
                return Err(Failure::usage(format!("there is no device `{other}`"))
                    .with_hint("use auto or cpu"));
            }
        };
        // Both mean the processor in this build.
        let (DeviceName::Auto | DeviceName::Cpu) = device;
        let region = match (common.region, file.region.as_deref()) {
            (Some(region), _) => region,
            (None, None | Some("lip")) => RegionName::Lip,
            (None, Some("face")) => RegionName::Face,
            (None, Some("head")) => RegionName::Head,
            (None, Some(other)) => {
                return Err(Failure::usage(format!("there is no region `{other}`"))
                    .with_hint("use lip, face or head"));
            }
        };
        for (flag, value) in [("--from", common.from), ("--to", common.to)] {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value >= 0.0)) {
                return Err(Failure::usage(format!(
                    "{flag} {value} is not a time; give seconds from 0 on"
                )));
            }
        }
        if let (Some(from), Some(to)) = (common.from, common.to)
            && from >= to
        {
            return Err(Failure::usage(format!(
                "--from {from} lies at or after --to {to}"
            )));
        }
        let audio_guidance = common.audio_guidance.or(file.audio_guidance);
        if let Some(value) = audio_guidance.filter(|value| !(0.0..=20.0).contains(value)) {
            return Err(Failure::usage(format!(
                "--audio-guidance {value} is out of range; it goes from 0 to 20"
            )));
        }
        Ok(Self {
            model: common.model.clone().or(file.model),
            steps: common.steps.or(file.steps),
            seed: common.seed.or(file.seed).unwrap_or(0),
            audio_guidance,
            region,
            face: common.face.clone().or(file.face),
            voice: file.voice,
            language: file.language,
            from: common.from,
            to: common.to,
            preview: common.preview,
            resume: common.resume,
            report: common.report.clone(),
        })
    }
}

/// Strongest first.
fn candidates(clip: Option<&Path>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Some(clip) = clip {
        paths.push(clip.with_file_name("reword.toml"));
    }
    let home = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".config")));
    if let Some(home) = home {
        paths.push(home.join("reword").join("reword.toml"));
    }
    paths
}

fn read(path: &Path) -> Result<SettingsFile, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::input(format!(
            "can't read the settings in {}: {error}",
            path.display()
        ))
    })?;
    toml::from_str(&text).map_err(|error| {
        let place = error.span().map_or(String::new(), |span| {
            let before = text.get(..span.start).unwrap_or_default();
            format!(" at line {}", before.matches('\n').count() + 1)
        });
        Failure::input(format!(
            "{} is not a settings file{place}: {}",
            path.display(),
            error.message()
        ))
    })
}

fn strongest(strong: SettingsFile, weak: SettingsFile) -> SettingsFile {
    SettingsFile {
        model: strong.model.or(weak.model),
        method: strong.method.or(weak.method),
        device: strong.device.or(weak.device),
        steps: strong.steps.or(weak.steps),
        seed: strong.seed.or(weak.seed),
        audio_guidance: strong.audio_guidance.or(weak.audio_guidance),
        region: strong.region.or(weak.region),
        face: strong.face.or(weak.face),
        voice: strong.voice.or(weak.voice),
        language: strong.language.or(weak.language),
    }
}
