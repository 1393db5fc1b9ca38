//! Final Cut Pro XML, version 1.9 (Apple's FCPXML reference).
//!
//! Pictures are the primary storyline; the sound hangs below it as connected clips, since its
//! cuts fall between frames.

use super::segments::{Picture, pictures, sounds};
use super::{Plan, Timecode, url};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use thiserror::Error;
use units::SampleRate;

/// A plan that can't be written as FCPXML.
#[derive(Debug, Error)]
pub enum FcpxmlError {
    /// The writer failed.
    #[error("the plan can't be written as FCPXML: {0}")]
    Write(#[from] std::io::Error),
    /// The result isn't text.
    #[error("the plan can't be written as FCPXML: {0}")]
    Text(#[from] std::string::FromUtf8Error),
}

/// Sound rates that a sequence can have, as the format writes them.
const SEQUENCE_RATES: &[(u32, &str)] = &[
    (32_000, "32k"),
    (44_100, "44.1k"),
    (48_000, "48k"),
    (88_200, "88.2k"),
    (96_000, "96k"),
    (176_400, "176.4k"),
    (192_000, "192k"),
];

/// The plan as a project in an event.
pub fn fcpxml(plan: &Plan<'_>) -> Result<String, FcpxmlError> {
    let mut xml = Xml {
        plan,
        writer: Writer::new_with_indent(Vec::new(), b' ', 2),
    };
    xml.document()?;
    let mut text = String::from_utf8(xml.writer.into_inner())?;
    text.push('\n');
    Ok(text)
}

struct Xml<'a> {
    plan: &'a Plan<'a>,
    writer: Writer<Vec<u8>>,
}

type Attributes<'a> = &'a [(&'a str, String)];

impl Xml<'_> {
    fn open(&mut self, name: &str, attributes: Attributes<'_>) -> std::io::Result<()> {
        self.writer
            .write_event(Event::Start(element(name, attributes)))
    }

    fn empty(&mut self, name: &str, attributes: Attributes<'_>) -> std::io::Result<()> {
        self.writer
            .write_event(Event::Empty(element(name, attributes)))
    }

    fn close(&mut self, name: &str) -> std::io::Result<()> {
        self.writer.write_event(Event::End(BytesEnd::new(name)))
    }

    fn document(&mut self) -> std::io::Result<()> {
        self.writer
            .write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        self.writer
            .write_event(Event::DocType(BytesText::new("fcpxml")))?;
        self.open("fcpxml", &[("version", "1.9".to_owned())])?;
        self.resources()?;
        let title = self.plan.title().to_owned();
        self.open("library", &[])?;
        self.open("event", &[("name", "reword".to_owned())])?;
        self.open("project", &[("name", title)])?;
        self.sequence()?;
        for name in ["project", "event", "library", "fcpxml"] {
            self.close(name)?;
        }
        Ok(())
    }

    fn resources(&mut self) -> std::io::Result<()> {
        let clip = self.plan.clip;
        self.open("resources", &[])?;
        self.empty(
            "format",
            &[
                ("id", "r1".to_owned()),
                ("frameDuration", self.frames(1)),
                ("width", clip.width.to_string()),
                ("height", clip.height.to_string()),
            ],
        )?;
        let mut attributes = vec![
            ("id", "r2".to_owned()),
            ("name", clip.name.clone()),
            ("start", "0s".to_owned()),
            ("duration", self.frames(clip.frames)),
            ("hasVideo", "1".to_owned()),
            ("format", "r1".to_owned()),
        ];
        if let Some(sound) = clip.sound {
            attributes.extend([
                ("hasAudio", "1".to_owned()),
                ("audioSources", "1".to_owned()),
                ("audioChannels", clip.channels.to_string()),
                ("audioRate", sound.rate.hertz().to_string()),
            ]);
        }
        self.open("asset", &attributes)?;
        let source = url(&clip.path);
        self.empty(
            "media-rep",
            &[("kind", "original-media".to_owned()), ("src", source)],
        )?;
        self.close("asset")?;
        self.close("resources")
    }

    fn sequence(&mut self) -> std::io::Result<()> {
        let parts = pictures(self.plan);
        let total = parts.last().map_or(0, |part| part.output.end);
        let drop = Timecode::is_drop_frame(self.plan.clip.rate);
        let mut attributes = vec![
            ("format", "r1".to_owned()),
            ("duration", self.frames(total)),
            ("tcStart", "0s".to_owned()),
            ("tcFormat", if drop { "DF" } else { "NDF" }.to_owned()),
        ];
        if let Some(sound) = self.plan.clip.sound {
            let layout = if self.plan.clip.channels == 1 {
                "mono"
            } else {
                "stereo"
            };
            attributes.push(("audioLayout", layout.to_owned()));
            let rate = SEQUENCE_RATES
                .iter()
                .find(|(hertz, _)| *hertz == sound.rate.hertz());
            attributes.extend(rate.map(|&(_, name)| ("audioRate", name.to_owned())));
        }
        self.open("sequence", &attributes)?;
        self.open("spine", &[])?;
        let mut connected = self.connected(&parts);
        for (index, part) in parts.iter().enumerate() {
            let below = connected
                .get_mut(index)
                .map(std::mem::take)
                .unwrap_or_default();
            self.picture(part, &below)?;
            if part.dissolve > 0 {
                self.empty(
                    "transition",
                    &[
                        ("name", "Cross Dissolve".to_owned()),
                        ("offset", self.frames(part.output.end - part.dissolve)),
                        ("duration", self.frames(2 * part.dissolve)),
                    ],
                )?;
            }
        }
        self.close("spine")?;
        self.close("sequence")
    }

    /// The attributes of the sound clips that hang below each picture part: those that start in it.
    fn connected(&self, parts: &[Picture]) -> Vec<Vec<Vec<(&'static str, String)>>> {
        let mut below = vec![Vec::new(); parts.len()];
        let Some(sound) = self.plan.clip.sound else {
            return below;
        };
        for part in sounds(self.plan) {
            let Some(source) = part.source else { continue };
            // Rounding may let a sound start a hair before its picture: it hangs below the one
            // that is shown then.
            let frame = self
                .plan
                .clip
                .rate
                .at(sound.rate.start_of(part.output.start))
                .0;
            let index = parts.partition_point(|part| part.output.end <= frame);
            let index = index.min(parts.len().saturating_sub(1));
            let (Some(parent), Some(list)) = (parts.get(index), below.get_mut(index)) else {
                continue;
            };
            // A connected clip's offset counts in its parent's own time.
            let start = parent.source.as_ref().map_or(0, |source| source.start);
            let offset = Rational::frames(start, self.plan.clip.rate)
                .plus(Rational::samples(part.output.start.0, sound.rate))
                .minus(Rational::frames(parent.output.start, self.plan.clip.rate));
            list.push(vec![
                ("ref", "r2".to_owned()),
                ("name", self.plan.clip.name.clone()),
                ("lane", "-1".to_owned()),
                ("offset", offset.text()),
                (
                    "start",
                    Rational::samples(source.start.0, sound.rate).text(),
                ),
                (
                    "duration",
                    Rational::samples(source.end.since(source.start), sound.rate).text(),
                ),
                ("srcEnable", "audio".to_owned()),
            ]);
        }
        below
    }

    fn picture(
        &mut self,
        part: &Picture,
        below: &[Vec<(&'static str, String)>],
    ) -> std::io::Result<()> {
        let length = self.frames(part.output.end - part.output.start);
        let offset = self.frames(part.output.start);
        let mut attributes = vec![("offset", offset), ("duration", length)];
        let name = if let Some(source) = &part.source {
            attributes.extend([
                ("ref", "r2".to_owned()),
                ("name", self.plan.clip.name.clone()),
                ("start", self.frames(source.start)),
                ("srcEnable", "video".to_owned()),
            ]);
            "asset-clip"
        } else {
            let label = part.insertion.map(|insertion| self.plan.label(insertion));
            attributes.extend([
                ("name", label.unwrap_or_default()),
                ("start", "0s".to_owned()),
            ]);
            "gap"
        };
        if below.is_empty() {
            return self.empty(name, &attributes);
        }
        self.open(name, &attributes)?;
        for attributes in below {
            self.empty("asset-clip", attributes)?;
        }
        self.close(name)
    }

    fn frames(&self, count: u64) -> String {
        Rational::frames(count, self.plan.clip.rate).text()
    }
}

fn element<'a>(name: &'a str, attributes: Attributes<'_>) -> BytesStart<'a> {
    let mut element = BytesStart::new(name);
    for (name, value) in attributes {
        element.push_attribute((*name, value.as_str()));
    }
    element
}

/// Seconds as the format writes them: an exact fraction.
#[derive(Clone, Copy)]
struct Rational {
    numerator: i128,
    denominator: i128,
}

impl Rational {
    fn frames(count: u64, rate: units::FrameRate) -> Self {
        Self {
            numerator: i128::from(count) * i128::from(rate.denominator()),
            denominator: i128::from(rate.numerator()),
        }
    }

    fn samples(count: u64, rate: SampleRate) -> Self {
        Self {
            numerator: i128::from(count),
            denominator: i128::from(rate.hertz()),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            numerator: self.numerator * other.denominator + other.numerator * self.denominator,
            denominator: self.denominator * other.denominator,
        }
    }

    fn minus(self, other: Self) -> Self {
        self.plus(Self {
            numerator: -other.numerator,
            ..other
        })
    }

    fn text(self) -> String {
        let (mut a, mut b) = (self.numerator.abs(), self.denominator);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let divisor = a.max(1);
        let (numerator, denominator) = (self.numerator / divisor, self.denominator / divisor);
        if denominator == 1 {
            format!("{numerator}s")
        } else {
            format!("{numerator}/{denominator}s")
        }
    }
}
