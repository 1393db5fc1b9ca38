//! What several commands do the same way.

use crate::arguments::{
    BlockEnds, ChangeArguments, DtypeName, EditOrder, ModelArguments, RegionName,
};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;
use project::{
    ChangeRequest, FaceRequest, LoraRequest, PixelBox, Precision, RegionRequest, RenderRequest,
    Report, VideoRequest,
};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use units::Seconds;

/// The largest text that is read whole: a script is never longer.
const TEXT_LIMIT: u64 = 64 << 20;

/// Reads a text file, or standard input for `-`.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let (name, read) = if path == Path::new("-") {
        (
            "standard input".to_owned(),
            std::io::stdin()
                .lock()
                .take(TEXT_LIMIT + 1)
                .read_to_end(&mut bytes),
        )
    } else {
        let name = path.display().to_string();
        let file = fs::File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::input(format!("there is no file {name}")),
            _ => Failure::input(format!("can't read {name}: {error}")),
        })?;
        (name, file.take(TEXT_LIMIT + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::input(format!("can't read {name}: {error}")))?;
    if bytes.len() as u64 > TEXT_LIMIT {
        return Err(Failure::input(format!(
            "{name} is larger than {} MiB; that is no script",
            TEXT_LIMIT >> 20
        )));
    }
    let bytes = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .map(<[u8]>::to_vec)
        .unwrap_or(bytes);
    String::from_utf8(bytes).map_err(|error| {
        Failure::input(format!(
            "{name} is not UTF-8 text (byte {})",
            error.utf8_error().valid_up_to()
        ))
        .with_hint("save it as UTF-8 in your editor")
    })
}

/// Writes a whole file or none.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::fault(format!("can't write {}: {error}", path.display()));
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let partial = path.with_file_name(format!(".{name}.partial"));
    let written = fs::File::create(&partial).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    });
    written.map_err(|error| {
        // Nothing half-written stays; a failure to remove it changes nothing about the first one.
        let _ = fs::remove_file(&partial);
        failed(error)
    })
}

/// Where a result goes when nobody says: `clip.edited.mp4` beside `clip.mov`.
pub(crate) fn beside(clip: &Path, what: &str) -> PathBuf {
    let stem = clip
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let kept = clip
        .extension()
        .and_then(|extension| extension.to_str())
        .map(str::to_lowercase)
        .filter(|extension| ["mp4", "mov", "mkv", "webm", "m4v"].contains(&extension.as_str()))
        .unwrap_or_else(|| "mp4".to_owned());
    clip.with_file_name(format!("{stem}.{what}.{kept}"))
}

/// A path as it can be pasted into a shell.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+,:@%".contains(letter);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The change as a job wants it.
pub(crate) fn change(
    arguments: ChangeArguments,
    settings: &Settings,
) -> Result<ChangeRequest, Failure> {
    let nothing = arguments.script.is_none()
        && arguments.remove.is_empty()
        && arguments.replace.is_empty()
        && !arguments.fillers;
    if nothing {
        return Err(Failure::usage("nothing to change")
            .with_hint("say what: --script FILE, --remove \"um\", --remove 12.4-13.1, --replace \"Tuesday=Wednesday\" or --fillers"));
    }
    let script = arguments.script.as_deref().map(read_text).transpose()?;
    Ok(ChangeRequest {
        script,
        transcript: arguments.transcript,
        remove: arguments.remove,
        replace: arguments.replace,
        fillers: arguments.fillers,
        exact: arguments.exact,
        speech: arguments.speech,
        voice: arguments.voice.or_else(|| settings.voice.clone()),
        language: arguments.language.or_else(|| settings.language.clone()),
        from: settings.from.map(Seconds),
        to: settings.to.map(Seconds),
    })
}

/// What every rendering job takes.
pub(crate) fn render_request(
    clip: PathBuf,
    output: PathBuf,
    arguments: ModelArguments,
    settings: &Settings,
) -> Result<RenderRequest, Failure> {
    let (model, files) = super::models::chosen(settings.model.as_deref())?;
    let loras = arguments
        .lora
        .iter()
        .map(|text| lora(text))
        .collect::<Result<_, _>>()?;
    let for_video = [
        ("--adapter", arguments.adapter.is_some()),
        ("--prompt", arguments.prompt.is_some()),
        ("--negative-prompt", arguments.negative_prompt.is_some()),
        ("--step-cache", arguments.step_cache.is_some()),
        ("--two-pass", arguments.two_pass),
        ("--guidance", arguments.guidance.is_some()),
        ("--stg", arguments.stg.is_some()),
        ("--block-ends", arguments.block_ends.is_some()),
        ("--order", arguments.order != EditOrder::default()),
    ];
    if files.is_none()
        && let Some((flag, _)) = for_video.iter().find(|(_, given)| *given)
    {
        return Err(not_for_video(flag));
    }
    let guidance = weight("--guidance", arguments.guidance)?;
    let stg = weight("--stg", arguments.stg)?;
    let video = files.map(|files| VideoRequest {
        files,
        adapter: arguments.adapter,
        prompt: arguments.prompt,
        negative: arguments.negative_prompt,
        prompt_cache: prompt_cache(),
        step_cache: arguments.step_cache,
        two_passes: arguments.two_pass,
        ends: arguments.block_ends.map(|ends| match ends {
            BlockEnds::Averaged => diffusion::Ends::Averaged,
            BlockEnds::Circular => diffusion::Ends::Circular,
        }),
        order: order(arguments.order),
        guidance,
        stg,
    });
    Ok(RenderRequest {
        clip,
        output,
        model,
        video,
        loras,
        steps: settings.steps,
        seed: settings.seed,
        audio_guidance: settings.audio_guidance,
        region: region(settings.region)?,
        face: face(settings)?,
        preview: settings.preview,
        from: settings.from.map(Seconds),
        to: settings.to.map(Seconds),
        memory: settings.memory,
        precision: match settings.dtype {
            DtypeName::F32 => Precision::F32,
            DtypeName::Bf16 => Precision::Bf16,
        },
        device: settings.device.clone(),
        resume: settings.resume,
    })
}

/// A flag that is for models that make whole pictures, with another one.
pub(crate) fn not_for_video(flag: &str) -> Failure {
    Failure::usage(format!("{flag} is for models that make whole pictures"))
        .with_hint("give one with --model, such as ltx-13b")
}

/// What is laid out, as a job wants it.
pub(crate) fn order(order: EditOrder) -> methods::ltx_video::Order {
    match order {
        EditOrder::Pixels => methods::ltx_video::Order::Pixels,
        EditOrder::Latents => methods::ltx_video::Order::Latents,
    }
}

/// The region as a job wants it.
fn region(name: Option<RegionName>) -> Result<RegionRequest, Failure> {
    Ok(match name {
        None | Some(RegionName::Lip) => RegionRequest::Lip,
        Some(RegionName::Face) => RegionRequest::Face,
        Some(RegionName::Head) => RegionRequest::Head,
        Some(RegionName::Whole) => RegionRequest::Whole,
        Some(RegionName::Hands) => {
            return Err(
                Failure::usage("nothing here finds hands in a picture, only faces").with_hint(
                    "give a box around them in pixels, as they are in the whole span: --region x,y,w,h",
                ),
            );
        }
        Some(RegionName::Box([left, top, width, height])) => RegionRequest::Box(PixelBox {
            left,
            top,
            width,
            height,
        }),
    })
}

/// A weight of guidance that makes sense.
fn weight(flag: &str, value: Option<f64>) -> Result<Option<f64>, Failure> {
    match value {
        Some(value) if !(0.0..=30.0).contains(&value) => Err(Failure::usage(format!(
            "{flag} {value} is no weight from 0 to 30"
        ))),
        value => Ok(value),
    }
}

/// `FILE[:STRENGTH]`; a colon that belongs to the file's name stays in it.
fn lora(text: &str) -> Result<LoraRequest, Failure> {
    let (path, strength) = match text.rsplit_once(':') {
        Some((path, number)) if !Path::new(text).exists() => match number.trim().parse::<f32>() {
            Ok(strength) if strength.is_finite() && strength.abs() <= 10.0 => (path, strength),
            _ => {
                return Err(Failure::usage(format!(
                    "--lora {text}: `{number}` is no strength from -10 to 10"
                )));
            }
        },
        _ => (text, 1.0),
    };
    let path = PathBuf::from(path);
    if !path.exists() {
        return Err(Failure::input(format!(
            "there is no adapter {}",
            path.display()
        )));
    }
    Ok(LoraRequest { path, strength })
}

/// Where embedded prompts are kept: the user's cache folder.
fn prompt_cache() -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache =
        folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("reword").join("prompts"))
}

/// Which face is asked for.
pub(crate) fn face(settings: &Settings) -> Result<FaceRequest, Failure> {
    let named = settings.face.as_deref().map(face_of).transpose()?;
    Ok(named.unwrap_or_default())
}

fn face_of(text: &str) -> Result<FaceRequest, Failure> {
    let wrong = || {
        Failure::usage(format!("--face {text} is not a face")).with_hint(
            "give its number from the left, such as 2, or a point on it, such as 640,200",
        )
    };
    if let Some((x, y)) = text.split_once(',') {
        let number = |part: &str| {
            part.trim()
                .parse::<f32>()
                .ok()
                .filter(|value| value.is_finite())
        };
        return match (number(x), number(y)) {
            (Some(x), Some(y)) => Ok(FaceRequest::At(x, y)),
            _ => Err(wrong()),
        };
    }
    match text.trim().parse::<usize>() {
        Ok(number) if number >= 1 => Ok(FaceRequest::Number(number - 1)),
        _ => Err(wrong()),
    }
}

/// Says where the result is, and writes the report.
pub(crate) fn finish(
    report: &Report,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(report).map_err(|error| Failure::fault(error.to_string()))?;
    if let Some(path) = &settings.report {
        write_whole(path, text.as_bytes())?;
    }
    if terminal.json() {
        let line =
            serde_json::to_string(report).map_err(|error| Failure::fault(error.to_string()))?;
        terminal.result(&line);
    } else {
        terminal.result(&report.output.path.display().to_string());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_go_beside_the_clip_in_a_container_that_can_be_written() {
        assert_eq!(
            beside(Path::new("a b/clip.MOV"), "edited"),
            Path::new("a b/clip.edited.mov")
        );
        assert_eq!(
            beside(Path::new("clip.mpg"), "synced"),
            Path::new("clip.synced.mp4")
        );
        assert_eq!(
            beside(Path::new("clip"), "dubbed"),
            Path::new("clip.dubbed.mp4")
        );
    }

    #[test]
    fn faces_are_numbers_from_one_or_points() {
        assert_eq!(face_of("2").unwrap(), FaceRequest::Number(1));
        assert_eq!(face_of("640, 200").unwrap(), FaceRequest::At(640.0, 200.0));
        for wrong in ["0", "left", "1,", "nan,2", "-1"] {
            assert!(face_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn adapters_are_files_with_strengths() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a:1.safetensors");
        fs::write(&path, b"").unwrap();
        let text = path.display().to_string();
        let found = lora(&text).unwrap();
        assert_eq!((found.path, found.strength), (path.clone(), 1.0));
        let found = lora(&format!("{text}:-0.5")).unwrap();
        assert_eq!((found.path, found.strength), (path, -0.5));
        for wrong in [
            format!("{text}:much"),
            format!("{text}:inf"),
            format!("{text}x"),
        ] {
            assert!(lora(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_can_be_pasted() {
        assert_eq!(quoted(Path::new("plain/clip.mp4")), "plain/clip.mp4");
        assert_eq!(quoted(Path::new("it's mine.mp4")), r"'it'\''s mine.mp4'");
    }
}
