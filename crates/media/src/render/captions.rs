//! The text of captions in the four forms that containers hold, and from one to another.
//!
//! Words and line breaks survive, and italics, bold and underline between forms that have them; places, colours and
//! fonts do not.

/// How a packet holds its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Plain text with a few tags (`subrip`, `text`).
    Subrip,
    /// Text with tags and entities (`webvtt`).
    WebVtt,
    /// Two bytes of length, the text, and boxes of styles (`mov_text`; 3GPP TS 26.245, section 5.17).
    MovText,
    /// Fields separated by commas, the ninth of which is the text (`ass`, `ssa`).
    Ass,
}

/// A `mov_text` track without any wishes: white text of one font at the bottom (3GPP TS 26.245, section 5.16).
pub(super) const MOV_TEXT_STYLE: [u8; 48] = [
    0, 0, 0, 0, // no scrolling, no effects
    1, 0xFF, // centred, at the bottom
    0, 0, 0, 0, // no background
    0, 0, 0, 0, 0, 0, 0, 0, // no box of its own
    0, 0, 0, 0, 0, 1, 0, 16, 0xFF, 0xFF, 0xFF, 0xFF, // font 1, plain, 16, white
    0, 0, 0, 18, b'f', b't', b'a', b'b', 0, 1, 0, 1, 5, b'A', b'r', b'i', b'a', b'l',
];

/// Tags that both `Subrip` and `WebVTT` have.
const TAGS: [&str; 6] = ["<i>", "</i>", "<b>", "</b>", "<u>", "</u>"];

impl Form {
    /// The form of libav's codec of that name; `None` for pictures and forms that nobody uses.
    pub(super) fn of(codec: &str) -> Option<Self> {
        match codec {
            "subrip" | "text" => Some(Self::Subrip),
            "webvtt" => Some(Self::WebVtt),
            "mov_text" => Some(Self::MovText),
            "ass" | "ssa" => Some(Self::Ass),
            _ => None,
        }
    }

    /// libav's name of the codec that is written.
    pub(super) fn codec(self) -> &'static str {
        match self {
            Self::Subrip => "subrip",
            Self::WebVtt => "webvtt",
            Self::MovText => "mov_text",
            Self::Ass => "ass",
        }
    }

    /// A packet of this form in another; `None` where nothing is left to be shown.
    pub(super) fn convert(self, bytes: &[u8], to: Self) -> Option<Vec<u8>> {
        let text = self.read(bytes);
        let text = text.trim_matches(['\n', '\r', '\0', ' ']);
        (!text.is_empty()).then(|| to.write(text))
    }

    /// The text with its tags, `<` and `&` as themselves.
    fn read(self, bytes: &[u8]) -> String {
        match self {
            Self::Subrip => String::from_utf8_lossy(bytes).replace("\r\n", "\n"),
            Self::WebVtt => unescaped(&simple_tags(&String::from_utf8_lossy(bytes))),
            Self::MovText => {
                let length = bytes
                    .first_chunk::<2>()
                    .map_or(0, |&length| usize::from(u16::from_be_bytes(length)));
                let text = bytes.get(2..).unwrap_or_default();
                let text = text.get(..length).unwrap_or(text);
                // Old Macs end lines by a carriage return alone.
                String::from_utf8_lossy(text)
                    .replace("\r\n", "\n")
                    .replace('\r', "\n")
            }
            Self::Ass => ass_text(&String::from_utf8_lossy(bytes)),
        }
    }

    fn write(self, text: &str) -> Vec<u8> {
        match self {
            Self::Subrip | Self::Ass => text.as_bytes().to_vec(),
            Self::WebVtt => {
                // An empty line would end the caption.
                let lines: Vec<&str> = text
                    .lines()
                    .filter(|line| !line.trim().is_empty())
                    .collect();
                escaped(&lines.join("\n")).into_bytes()
            }
            Self::MovText => {
                let mut plain = text.to_owned();
                for tag in TAGS {
                    plain = plain.replace(tag, "");
                }
                let mut length = plain.len().min(usize::from(u16::MAX));
                while !plain.is_char_boundary(length) {
                    length -= 1;
                }
                plain.truncate(length);
                let mut bytes = (length as u16).to_be_bytes().to_vec();
                bytes.extend(plain.into_bytes());
                bytes
            }
        }
    }
}

/// Without the tags that only `WebVTT` has: voices, classes, times, ruby.
fn simple_tags(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        result += before;
        let Some((tag, after)) = tag.split_once('>') else {
            // A bracket that no tag begins.
            result.push('<');
            rest = tag;
            continue;
        };
        let end = if tag.starts_with('/') { "/" } else { "" };
        let name = tag.trim_start_matches('/').split(['.', ' ']).next();
        if let Some(name @ ("i" | "b" | "u")) = name {
            result.extend(["<", end, name, ">"]);
        }
        rest = after;
    }
    result + rest
}

/// What `WebVTT` has entities for; `&amp;` last, so that nothing is read twice.
const ENTITIES: [(&str, &str); 6] = [
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&nbsp;", "\u{a0}"),
    ("&lrm;", "\u{200e}"),
    ("&rlm;", "\u{200f}"),
    ("&amp;", "&"),
];

fn unescaped(text: &str) -> String {
    ENTITIES
        .iter()
        .fold(text.to_owned(), |text, (entity, value)| {
            text.replace(entity, value)
        })
}

/// Entities for what `WebVTT` would take for tags, but for the tags themselves.
fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(tag) = TAGS.iter().find(|tag| rest.starts_with(**tag)) {
            result += tag;
            rest = rest.get(tag.len()..).unwrap_or_default();
            continue;
        }
        match next {
            '&' => result += "&amp;",
            '<' => result += "&lt;",
            '>' => result += "&gt;",
            other => result.push(other),
        }
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
    }
    result
}

/// The text field without its overrides; drawings are no text.
fn ass_text(line: &str) -> String {
    let field = line.splitn(9, ',').nth(8).unwrap_or_default();
    let mut result = String::new();
    let mut rest = field;
    while let Some((before, override_)) = rest.split_once('{') {
        result += before;
        let Some((codes, after)) = override_.split_once('}') else {
            result.push('{');
            rest = override_;
            continue;
        };
        for code in codes.split('\\') {
            match code {
                "i1" => result += "<i>",
                "i0" => result += "</i>",
                "b1" => result += "<b>",
                "b0" => result += "</b>",
                "p1" => return String::new(),
                _ => {}
            }
        }
        rest = after;
    }
    result += rest;
    result
        .replace("\\N", "\n")
        .replace("\\n", "\n")
        .replace("\\h", " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Form::{Ass, MovText, Subrip, WebVtt};
    use proptest::prelude::*;

    fn said(from: Form, bytes: &[u8], to: Form) -> String {
        let bytes = from.convert(bytes, to).unwrap_or_default();
        let text = if to == MovText {
            bytes.get(2..).unwrap_or_default()
        } else {
            &bytes
        };
        String::from_utf8(text.to_vec()).unwrap()
    }

    #[test]
    fn every_form_says_the_same_words() {
        let subrip = "<i>Fish &amp; chips</i>\r\nfor 3 < 4".as_bytes();
        assert_eq!(said(Subrip, subrip, MovText), "Fish &amp; chips\nfor 3 < 4");
        assert_eq!(
            said(Subrip, subrip, WebVtt),
            "<i>Fish &amp;amp; chips</i>\nfor 3 &lt; 4"
        );
        let vtt = b"<v Roger><c.yellow.bg>Hi</c> <b.loud>you</b> &amp;lt; &lt;3</v>";
        assert_eq!(said(WebVtt, vtt, Subrip), "Hi <b>you</b> &lt; <3");
        let ass = br"0,0,Default,,0,0,0,,{\an8\i1}One,{\i0} two\Nthree\hfour";
        assert_eq!(said(Ass, ass, MovText), "One, two\nthree four");
        assert_eq!(said(Ass, ass, Subrip), "<i>One,</i> two\nthree four");
        // A box of styles follows the text.
        let styled =
            b"\0\x05h\xc3\xa9ll\0\0\0\x16styl\0\x01\0\0\0\x05\0\x01\x02\x12\xff\xff\xff\xff";
        assert_eq!(said(MovText, styled, Subrip), "héll");
    }

    #[test]
    fn nothing_to_be_shown_is_no_caption() {
        assert_eq!(Subrip.convert(b" \r\n", MovText), None);
        assert_eq!(MovText.convert(&[0, 0], Subrip), None);
        assert_eq!(
            Ass.convert(br"0,0,D,,0,0,0,,{\p1}m 0 0 l 9 9", Subrip),
            None
        );
        assert_eq!(Ass.convert(b"too,few", Subrip), None);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let bytes = Subrip
            .convert("é".repeat(40_000).as_bytes(), MovText)
            .unwrap();
        assert_eq!(bytes.len(), 65_534 + 2);
        assert!(std::str::from_utf8(&bytes[2..]).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_converted_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            for from in [Subrip, WebVtt, MovText, Ass] {
                for to in [Subrip, WebVtt, MovText] {
                    let _ = from.convert(&bytes, to);
                }
            }
        }

        #[test]
        fn plain_words_come_through_all_forms(text in "[a-zA-Z0-9 äß,.!?&<>]{0,12}[a-z]") {
            let there = Subrip.convert(text.as_bytes(), WebVtt).unwrap();
            let back = WebVtt.convert(&there, Subrip).unwrap();
            prop_assert_eq!(String::from_utf8(back).unwrap(), text.trim_matches(' '));
        }
    }
}
