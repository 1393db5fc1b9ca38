//! From bytes to text: UTF-8, UTF-16 and Latin-1.

use super::ParseError;

/// Text without its byte order mark.
pub(super) fn text(bytes: &[u8]) -> Result<String, ParseError> {
    if let Some(rest) = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]) {
        return utf8_or_latin(rest);
    }
    if let Some(rest) = bytes.strip_prefix(&[0xff, 0xfe]) {
        return Ok(utf16(rest, u16::from_le_bytes));
    }
    if let Some(rest) = bytes.strip_prefix(&[0xfe, 0xff]) {
        return Ok(utf16(rest, u16::from_be_bytes));
    }
    // Without a mark, every second byte of the ASCII at the start is zero.
    match bytes {
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => {
            Ok(utf16(bytes, u16::from_le_bytes))
        }
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => {
            Ok(utf16(bytes, u16::from_be_bytes))
        }
        _ => utf8_or_latin(bytes),
    }
}

fn utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| match pair {
        [a, b] => read([*a, *b]),
        _ => 0,
    });
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

fn utf8_or_latin(bytes: &[u8]) -> Result<String, ParseError> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return if text.contains('\0') {
            Err(ParseError::Binary)
        } else {
            Ok(text.to_owned())
        };
    }
    let controls = bytes
        .iter()
        .filter(|b| b.is_ascii_control() && !b"\t\n\r\x0c".contains(b))
        .count();
    if controls > 0 {
        return Err(ParseError::Binary);
    }
    // Praat and old caption tools write Latin-1.
    Ok(bytes.iter().map(|&b| char::from(b)).collect())
}
