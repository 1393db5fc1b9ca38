//! Settings and where they come from, strongest first: flags, `REWORD_*` variables, `reword.toml` beside the
//! clip, the user's own config file. (The variables are read by the argument parser.)

use crate::arguments::{CommonArguments, DtypeName, RegionName};
use crate::failure::Failure;
use nn::device::DeviceError;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What a settings file may hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct SettingsFile {
    model: Option<String>,
    method: Option<String>,
    device: Option<String>,
    dtype: Option<String>,
    memory: Option<String>,
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
    pub(crate) dtype: DtypeName,
    /// Where models compute.
    pub(crate) device: nn::Device,
    /// Bytes that may be used.
    pub(crate) memory: Option<u64>,
    pub(crate) steps: Option<u32>,
    pub(crate) seed: u64,
    pub(crate) audio_guidance: Option<f32>,
    pub(crate) region: Option<RegionName>,
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
        let device = device(common.device.as_deref().or(file.device.as_deref()))?;
        let dtype = match (common.dtype, file.dtype.as_deref()) {
            (Some(dtype), _) => dtype,
            (None, None | Some("f32")) => DtypeName::F32,
            (None, Some("bf16")) => DtypeName::Bf16,
            (None, Some(other)) => {
                return Err(Failure::usage(format!("there is no dtype `{other}`"))
                    .with_hint("use f32 or bf16"));
            }
        };
        let memory = common.memory.as_deref().or(file.memory.as_deref());
        let memory = memory.map(bytes).transpose()?;
        let region = match (common.region, file.region.as_deref()) {
            (Some(region), _) => Some(region),
            (None, Some(name)) => Some(RegionName::parse(name).map_err(Failure::usage)?),
            (None, None) => None,
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
            dtype,
            device,
            memory,
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

/// The device of that name; `auto` is the processor, where everything was tried.
fn device(name: Option<&str>) -> Result<nn::Device, Failure> {
    let name = match name {
        None | Some("auto") => "cpu",
        Some(name) => name,
    };
    if matches!(name, "vulkan" | "metal") {
        return Err(missing(format!(
            "this build can't use the device {name}; it has the processor{}",
            if cfg!(feature = "cuda") {
                " and cuda"
            } else {
                ""
            }
        )));
    }
    nn::device::open(name).map_err(|error| match error {
        DeviceError::Unknown(_) => Failure::usage(format!("there is no device `{name}`"))
            .with_hint("use auto, cpu, cuda, cuda:N, vulkan or metal"),
        DeviceError::NotBuilt(_) => missing(format!(
            "this build computes on the processor; it can't use the device {name}"
        )),
        DeviceError::Refused { .. } => missing(error.to_string()),
    })
}

fn missing(message: String) -> Failure {
    Failure::missing(message).with_hint("leave --device out, or give cpu")
}

/// A size such as `24GiB`, `1.5G`, `800 MB`, `123456`.
fn bytes(text: &str) -> Result<u64, Failure> {
    let wrong = || {
        Failure::usage(format!("--memory {text} is not a size"))
            .with_hint("give a number with a unit, such as 800MiB or 24GiB")
    };
    let trimmed = text.trim();
    let split = trimmed
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kib" => 1024.0,
        "kb" => 1e3,
        "m" | "mib" => 1024.0 * 1024.0,
        "mb" => 1e6,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "gb" => 1e9,
        "t" | "tib" => 1024.0_f64.powi(4),
        "tb" => 1e12,
        _ => return Err(wrong()),
    };
    let size = number * factor;
    if !(1.0..1e18).contains(&size) {
        return Err(wrong());
    }
    Ok(size as u64)
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
        dtype: strong.dtype.or(weak.dtype),
        memory: strong.memory.or(weak.memory),
        steps: strong.steps.or(weak.steps),
        seed: strong.seed.or(weak.seed),
        audio_guidance: strong.audio_guidance.or(weak.audio_guidance),
        region: strong.region.or(weak.region),
        face: strong.face.or(weak.face),
        voice: strong.voice.or(weak.voice),
        language: strong.language.or(weak.language),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_units() {
        assert_eq!(bytes("24GiB").unwrap(), 24 << 30);
        assert_eq!(bytes("1.5 g").unwrap(), 3 << 29);
        assert_eq!(bytes("800MB").unwrap(), 800_000_000);
        assert_eq!(bytes("123456").unwrap(), 123_456);
        for wrong in ["", "much", "GiB", "-1G", "1.2.3G", "0", "3 parsecs"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn devices_are_here_or_missing_or_nonsense() {
        let class = |name| device(Some(name)).map_err(|failure| failure.text(true));
        assert!(class("auto").is_ok() && class("cpu").is_ok() && device(None).is_ok());
        for missing in ["cuda:99", "vulkan", "metal"] {
            assert!(
                class(missing).unwrap_err().contains("\"missing\""),
                "{missing}"
            );
        }
        for nonsense in ["gpu", "cuda:x", "cpu:1", ""] {
            assert!(
                class(nonsense).unwrap_err().contains("\"usage\""),
                "{nonsense}"
            );
        }
    }
}
