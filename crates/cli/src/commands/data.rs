//! `reword data`: training data. `synth` renders a talking head with exact truth; `footage.rs` has the rest.

use super::shared::write_whole;
use crate::arguments::{DataArguments, DataCommand, SynthArguments};
use crate::failure::Failure;
use crate::terminal::Terminal;
use edit::{Transcript, Word};
use media::info::{ColourTags, Rotation};
use media::render::{BoxError, NewClip, Sound, write_clip};
use media::{AudioBlock, Frame, PixelFormat};
use project::{Observer, Stage};
use speech::voice::{self, VoiceError};
use speech::wave::Wave;
use std::fmt::Write as _;
use std::path::Path;
use synth::{Clip, ClipFormat, HeadConfig, Phone, Scene};
use units::{FrameIndex, FrameRate, Seconds};

/// Sound that videos carry.
const RATE: u32 = 44_100;

/// Runs the command.
pub(crate) fn run(arguments: DataArguments, terminal: &Terminal) -> Result<(), Failure> {
    match arguments.command {
        DataCommand::Synth(arguments) => synthesise(&arguments, terminal),
        DataCommand::Curate(arguments) => super::footage::curate(&arguments, terminal),
        DataCommand::Pack(arguments) => super::footage::pack(&arguments, terminal),
        DataCommand::Inspect(arguments) => super::footage::inspect(&arguments, terminal),
    }
}

/// What the head says and how it moves.
struct Spoken {
    text: String,
    wave: Wave,
    phones: Vec<Phone>,
    words: Vec<Word>,
}

fn synthesise(arguments: &SynthArguments, terminal: &Terminal) -> Result<(), Failure> {
    let sample = synth::sample();
    let (width, height) = size(&arguments.size)?;
    let rate = FrameRate::new(arguments.rate, 1)
        .map_err(|_| Failure::usage(format!("--rate {} is not a frame rate", arguments.rate)))?;
    let mut progress = terminal.progress();
    progress.begin(Stage::Speak, 0);
    let spoken = say(
        arguments.text.as_deref().unwrap_or(sample.text),
        sample.voice,
    )?;
    progress.end(Stage::Speak);
    let (person, scene) = match arguments.head {
        Some(seed) => (HeadConfig::from_seed(seed), Scene::from_seed(seed)),
        None => (sample.person.clone(), sample.scene.clone()),
    };
    let format = ClipFormat {
        width,
        height,
        rate,
        duration: spoken.wave.duration(),
    };
    let clip = Clip::new(&person, &scene, &spoken.phones, format)
        .map_err(|error| Failure::usage(error.to_string()))?;

    progress.begin(Stage::Render, clip.frames());
    let new = NewClip {
        width,
        height,
        rate,
        format: PixelFormat::YUV420,
        colour: ColourTags::default(),
    };
    let mut frames = |index: FrameIndex| -> Result<Frame, BoxError> {
        let picture = clip.render(index)?;
        let picture = media::image::Rgb8::from_vec(picture.width, picture.height, picture.data)
            .ok_or("the picture has another size")?;
        Ok(Frame::from_rgb(
            &picture.to_f32(),
            PixelFormat::YUV420,
            ColourTags::default(),
            Rotation::default(),
        )?)
    };
    let wave = &spoken.wave;
    let mut left = Some(AudioBlock {
        rate: wave.rate,
        channels: vec![wave.samples.clone()],
    });
    let mut sound = || -> Result<Option<AudioBlock>, BoxError> { Ok(left.take()) };
    let mut written = 0;
    write_clip(
        &new,
        clip.frames(),
        &mut frames,
        Sound::Made(&mut sound),
        &arguments.output,
        &mut |frames| {
            progress.advance(frames - written);
            written = frames;
        },
    )
    .map_err(|error| Failure::fault(error.to_string()))?;
    progress.end(Stage::Render);

    let transcript = Transcript::new(Some("en".to_owned()), spoken.words)
        .map_err(|error| Failure::fault(error.to_string()))?;
    write_whole(
        &arguments.output.with_extension("words.json"),
        speech::transcript::to_json(&transcript).as_bytes(),
    )?;
    write_whole(
        &arguments.output.with_extension("txt"),
        format!("{}\n", spoken.text).as_bytes(),
    )?;
    write_truth(&clip, &arguments.output)?;
    terminal.result(&arguments.output.display().to_string());
    Ok(())
}

fn say(text: &str, voice: &str) -> Result<Spoken, Failure> {
    let spoken = voice::by_name(&format!("flite:{voice}"))
        .and_then(|voice| voice.say(text))
        .map_err(|error| match error {
            VoiceError::NotInstalled { .. } => Failure::missing(error.to_string()),
            other => Failure::fault(other.to_string()),
        })?;
    let rate = units::SampleRate::new(RATE).map_err(|error| Failure::fault(error.to_string()))?;
    let phones = spoken.phones.unwrap_or_default();
    if phones.is_empty() {
        return Err(Failure::fault("the voice gives no times of its phones"));
    }
    let phones = phones
        .into_iter()
        .map(|phone| Phone {
            label: phone.name,
            start: phone.start,
            end: phone.end,
        })
        .collect();
    Ok(Spoken {
        text: text.to_owned(),
        wave: spoken.wave.at_rate(rate),
        phones,
        words: spoken.words.unwrap_or_default(),
    })
}

/// One line a frame: its time, the mouth's opening, and the inner lips' middle points.
fn write_truth(clip: &Clip, output: &Path) -> Result<(), Failure> {
    let mut text =
        String::from("frame,seconds,opening,upper_lip_x,upper_lip_y,lower_lip_x,lower_lip_y\n");
    for index in 0..clip.frames() {
        let truth = clip
            .truth(FrameIndex(index))
            .map_err(|error| Failure::fault(error.to_string()))?;
        let point = |number: usize| truth.landmarks.get(number).copied().unwrap_or_default();
        let ([upper_x, upper_y], [lower_x, lower_y]) = (point(13), point(14));
        let Seconds(time) = clip.format().rate.start_of(FrameIndex(index));
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{index},{time:.6},{:.6},{upper_x:.3},{upper_y:.3},{lower_x:.3},{lower_y:.3}",
            truth.opening
        );
    }
    write_whole(&output.with_extension("truth.csv"), text.as_bytes())
}

fn size(text: &str) -> Result<(usize, usize), Failure> {
    let parsed = text.split_once(['x', 'X']).and_then(|(width, height)| {
        let side = |side: &str| {
            side.trim()
                .parse::<usize>()
                .ok()
                .filter(|side| (64..=4096).contains(side))
        };
        Some((side(width)?, side(height)?))
    });
    parsed.ok_or_else(|| {
        Failure::usage(format!(
            "--size {text} is not a size; give 64x64 to 4096x4096"
        ))
    })
}
