//! Codecs: what a source becomes in an output, and how its packets go beside encoded ones.

use super::container::Container;
use super::settings::{prores, vp9, x264, x265};
use super::{NewClip, RenderError, adapt, h264, hevc};
use crate::MediaError;
use crate::clip::Clip;
use crate::info::{ColourTags, HdrMetadata, PixelFormat};
use crate::libav::{Code, Encoder, Parameters, SideData, VideoSetup, has_encoder};
use std::fmt::Write;
use units::FrameRate;

/// Threads of the encoders: fixed, since some of them make other bytes with other numbers.
const THREADS: i32 = 4;

/// How the output's pictures are encoded.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) codec: &'static str,
    pub(super) setup: VideoSetup,
    /// The format that frames come in.
    pub(super) delivered: PixelFormat,
    /// The size that frames come in.
    pub(super) delivered_size: (usize, usize),
    pub(super) rate: FrameRate,
    side_data: Vec<SideData>,
    tag: u32,
    pub(super) notes: Vec<String>,
}

/// How the source's packets and the encoder's go into one stream.
#[derive(Clone, Debug)]
pub(super) struct Copying {
    parameters: Parameters,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    H264 {
        length_size: usize,
    },
    Hevc {
        length_size: usize,
        lead: Vec<Vec<u8>>,
    },
    Plain,
}

impl Picture {
    /// For a clip's own pictures.
    pub(super) fn of_clip(clip: &Clip, container: Container) -> Result<Self, RenderError> {
        let video = clip.video()?;
        let source = &clip.index()?.parameters;
        let codec = container.video_codec(&video.codec);
        let mut notes = Vec::new();
        if codec != video.codec {
            notes.push(format!(
                "The source's {} is written as {codec}, which this container can hold.",
                video.codec
            ));
        }
        let mut picture = Self::new(
            codec,
            container,
            (video.coded_width as usize, video.coded_height as usize),
            video.format,
            video.colour,
            video.rate,
            (codec == video.codec).then_some(source),
            &video.hdr,
            notes,
        )?;
        picture.setup.aspect = (video.pixel_aspect.0 as i32, video.pixel_aspect.1 as i32);
        picture.setup.chroma_location = source.chroma_location;
        picture.side_data.clone_from(&source.side_data);
        if codec == video.codec && clip.info().container.starts_with("mov") {
            // hvc1 or hev1, apch or apcn, as it was.
            if matches!(container, Container::Mp4 | Container::Mov) && source.tag != 0 {
                picture.tag = source.tag;
            }
        }
        Ok(picture)
    }

    /// For a first look at a clip's pictures: small, 8 bit, quickly encoded.
    pub(super) fn small(
        clip: &Clip,
        container: Container,
        side: usize,
    ) -> Result<Self, RenderError> {
        let video = clip.video()?;
        let source = &clip.index()?.parameters;
        let (width, height) = (video.coded_width as usize, video.coded_height as usize);
        let factor = (side as f64 / width.min(height).max(1) as f64).min(1.0);
        let even = |pixels: usize| ((pixels as f64 * factor / 2.0).round() as usize).max(1) * 2;
        let mut picture = Self::new(
            container.video_codec("h264"),
            container,
            (even(width), even(height)),
            PixelFormat::YUV420,
            video.colour,
            video.rate,
            None,
            &HdrMetadata::default(),
            vec![format!(
                "This is a preview of {}x{} pixels.",
                even(width),
                even(height)
            )],
        )?;
        for (key, value) in &mut picture.setup.options {
            match *key {
                "crf" if picture.codec == "h264" => "23".clone_into(value),
                "crf" => "40".clone_into(value),
                "preset" => "superfast".clone_into(value),
                "cpu-used" => "8".clone_into(value),
                "qmax" => "63".clone_into(value),
                "x264-params" => "bframes=0:open-gop=0:keyint=120".clone_into(value),
                _ => {}
            }
        }
        picture.delivered = video.format;
        picture.delivered_size = (width, height);
        picture.setup.aspect = (video.pixel_aspect.0 as i32, video.pixel_aspect.1 as i32);
        picture.side_data.clone_from(&source.side_data);
        Ok(picture)
    }

    /// For pictures without a source: H.264, VP9 in webm.
    pub(super) fn of_new(new: &NewClip, container: Container) -> Result<Self, RenderError> {
        Self::new(
            container.video_codec("h264"),
            container,
            (new.width, new.height),
            new.format,
            new.colour,
            new.rate,
            None,
            &HdrMetadata::default(),
            Vec::new(),
        )
    }

    fn new(
        codec: &'static str,
        container: Container,
        size: (usize, usize),
        delivered: PixelFormat,
        colour: ColourTags,
        rate: FrameRate,
        source: Option<&Parameters>,
        hdr: &HdrMetadata,
        mut notes: Vec<String>,
    ) -> Result<Self, RenderError> {
        let encoder = match codec {
            "hevc" => "libx265",
            "vp9" => "libvpx-vp9",
            "prores" => "prores_ks",
            _ => "libx264",
        };
        if !has_encoder(encoder) {
            return Err(RenderError::NoEncoder {
                codec: encoder.to_owned(),
            });
        }
        let (format, why) = adapt::encodable(encoder, delivered, size);
        notes.extend(why.map(|why| {
            let mut sentence = why;
            if let Some(first) = sentence.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            sentence + "."
        }));
        let options = match codec {
            "hevc" => x265(colour, hdr),
            "vp9" => vp9(),
            "prores" => prores(source, format),
            _ => x264(source, format),
        };
        // An MP4 that says hvc1 is the one that every player of H.265 takes.
        let tag = if codec == "hevc" && matches!(container, Container::Mp4 | Container::Mov) {
            u32::from_le_bytes(*b"hvc1")
        } else {
            0
        };
        Ok(Self {
            codec,
            setup: VideoSetup {
                encoder,
                width: size.0,
                height: size.1,
                format,
                aspect: (1, 1),
                colour,
                chroma_location: 0,
                base: crate::info::TimeBase {
                    numerator: 1,
                    denominator: 1000,
                },
                rate: (rate.numerator(), rate.denominator()),
                options,
                global_header: true,
                threads: THREADS,
            },
            delivered,
            delivered_size: size,
            rate,
            side_data: Vec::new(),
            tag,
            notes,
        })
    }

    /// A fresh encoder.
    pub(super) fn encoder(&self) -> Result<Encoder, RenderError> {
        Encoder::video(&self.setup).map_err(|code| self.failed(code))
    }

    pub(super) fn failed(&self, code: Code) -> RenderError {
        RenderError::Encoder {
            codec: self.setup.encoder.to_owned(),
            reason: code.to_string(),
        }
    }

    /// The stream's parameters where all pictures are encoded.
    pub(super) fn parameters(&self, encoder: &Encoder) -> Result<Parameters, RenderError> {
        let mut parameters = encoder.parameters().map_err(|code| self.failed(code))?;
        parameters.side_data.clone_from(&self.side_data);
        if self.tag != 0 {
            parameters.tag = self.tag;
        }
        Ok(parameters)
    }

    /// How packets of the source can be mixed with encoded ones, or why they can't. Where they
    /// can, the encoder is set up for it.
    pub(super) fn copying(&mut self, clip: &Clip) -> Result<Copying, String> {
        let wrong = |error: MediaError| error.to_string();
        let video = clip.video().map_err(wrong)?;
        let index = clip.index().map_err(wrong)?;
        let source = &index.parameters;
        if self.codec != video.codec {
            return Err(format!("{} is not written", video.codec));
        }
        if !index.timed {
            return Err("the source's packets have no times".to_owned());
        }
        if self.setup.format != video.format {
            return Err(format!("{} is not written", video.format));
        }
        let mut setup = self.setup.clone();
        let (way, extradata) = match self.codec {
            "h264" => {
                let record = h264::Record::parse(&source.extradata)
                    .ok_or("the source keeps its H.264 parameter sets in the stream")?;
                let id = record
                    .free_id()
                    .ok_or("the source uses all H.264 parameter set numbers")?;
                if let Some((_, value)) = setup
                    .options
                    .iter_mut()
                    .find(|(key, _)| *key == "x264-params")
                {
                    let _ = write!(value, ":sps-id={id}");
                }
                let header = header(&setup)?;
                let extradata = record
                    .with(&header)
                    .ok_or("the encoder's H.264 parameter sets do not go with the source's")?;
                let profile = nal_profile(&header);
                if profile != Some(record.profile()) {
                    return Err("the source's H.264 profile can't be encoded".to_owned());
                }
                let length_size = record.length_size();
                (Way::H264 { length_size }, extradata)
            }
            "hevc" => {
                let record = hevc::Record::parse(&source.extradata)
                    .ok_or("the source keeps its H.265 parameter sets in the stream")?;
                let header = header(&setup)?;
                let extradata = record
                    .with(&header)
                    .ok_or("the encoder's H.265 parameter sets do not go with the source's")?;
                let way = Way::Hevc {
                    length_size: record.length_size(),
                    lead: hevc::hdr_units(&header),
                };
                (way, extradata)
            }
            // Self-contained key frames: nothing needs to agree but size and format.
            "vp9" | "prores" => (Way::Plain, source.extradata.clone()),
            other => return Err(format!("{other} can't be cut")),
        };
        self.setup = setup;
        let mut parameters = source.clone();
        parameters.extradata = extradata;
        parameters.tag = self.tag;
        Ok(Copying { parameters, way })
    }
}

impl Copying {
    /// The stream's parameters.
    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// An encoded packet as it goes into the stream.
    pub(super) fn encoded(&self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        match &self.way {
            Way::H264 { length_size } => Some(h264::with_lengths(&bytes, *length_size)),
            Way::Hevc { length_size, lead } => hevc::with_lengths(&bytes, *length_size, lead),
            Way::Plain => Some(bytes),
        }
    }

    /// The first packet of a copied run as it goes into the stream.
    pub(super) fn first_copied(&self, bytes: Vec<u8>) -> Vec<u8> {
        match &self.way {
            Way::Hevc { length_size, .. } => hevc::broken_link(&bytes, *length_size),
            _ => bytes,
        }
    }
}

/// The parameter sets that an encoder with this setup uses.
fn header(setup: &VideoSetup) -> Result<Vec<u8>, String> {
    let encoder = Encoder::video(setup).map_err(|code| format!("the encoder refuses: {code}"))?;
    encoder
        .parameters()
        .map(|parameters| parameters.extradata)
        .map_err(|code| format!("the encoder refuses: {code}"))
}

fn nal_profile(header: &[u8]) -> Option<u8> {
    crate::probe::nal_units(header, None)
        .find(|unit| unit.first().is_some_and(|byte| byte & 0x1F == 7))
        .and_then(|unit| unit.get(1).copied())
}
