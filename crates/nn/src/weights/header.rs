//! The safetensors header: eight bytes of length, JSON, then the data.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

/// The reference implementation's cap, so that every file it writes is read.
const MAX_HEADER: u64 = 100_000_000;
const MAX_TENSORS: usize = 1 << 20;
const MAX_RANK: usize = 8;

/// Element types that occur in safetensors files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum StoredType {
    #[serde(rename = "F64")]
    F64,
    #[serde(rename = "F32")]
    F32,
    #[serde(rename = "F16")]
    F16,
    #[serde(rename = "BF16")]
    Bf16,
    #[serde(rename = "F8_E4M3")]
    F8E4M3,
    #[serde(rename = "F8_E5M2")]
    F8E5M2,
    #[serde(rename = "I64")]
    I64,
    #[serde(rename = "U64")]
    U64,
    #[serde(rename = "I32")]
    I32,
    #[serde(rename = "U32")]
    U32,
    #[serde(rename = "I16")]
    I16,
    #[serde(rename = "U16")]
    U16,
    #[serde(rename = "I8")]
    I8,
    #[serde(rename = "U8")]
    U8,
    #[serde(rename = "BOOL")]
    Bool,
}

impl StoredType {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

impl fmt::Display for StoredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One tensor of a header. The range is in bytes from the start of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderTensor {
    pub stored: StoredType,
    pub shape: Vec<usize>,
    pub start: usize,
    pub end: usize,
}

/// A checked header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    pub tensors: BTreeMap<String, HeaderTensor>,
    pub metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTensor {
    dtype: StoredType,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

#[derive(Default)]
struct RawHeader {
    tensors: Vec<(String, RawTensor)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = RawHeader;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
                let mut header = RawHeader::default();
                let mut has_metadata = false;
                while let Some(key) = map.next_key::<String>()? {
                    if key == "__metadata__" {
                        if has_metadata {
                            return Err(A::Error::custom("__metadata__ is given twice"));
                        }
                        has_metadata = true;
                        header.metadata = map.next_value()?;
                    } else {
                        if header.tensors.len() == MAX_TENSORS {
                            return Err(A::Error::custom("too many tensors"));
                        }
                        let tensor = map.next_value()?;
                        header.tensors.push((key, tensor));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(HeaderVisitor)
    }
}

impl Header {
    /// Reads and checks the header of the file `bytes`.
    ///
    /// # Errors
    /// A sentence for the user. The offsets of an accepted header tile the data:
    /// no overlap, no hole, nothing behind the last tensor.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file = bytes.len();
        let (length, rest) = bytes
            .split_first_chunk::<8>()
            .ok_or_else(|| format!("the file has only {file} bytes"))?;
        let length = u64::from_le_bytes(*length);
        if length > MAX_HEADER {
            return Err(format!(
                "header length {length} is over the limit of {MAX_HEADER}"
            ));
        }
        let length = length as usize;
        let (json, data) = rest.split_at_checked(length).ok_or_else(|| {
            format!("header length {length} is beyond the end of the file, {file} bytes")
        })?;
        let raw: RawHeader = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let data_start = 8 + length;
        let mut header = Self {
            tensors: BTreeMap::new(),
            metadata: raw.metadata,
        };
        for (name, tensor) in raw.tensors {
            let checked = check(&tensor, data_start, data.len())
                .map_err(|reason| format!("tensor '{name}': {reason}"))?;
            if header.tensors.insert(name.clone(), checked).is_some() {
                return Err(format!("tensor '{name}' is given twice"));
            }
        }
        header.check_tiling(data_start, file)?;
        Ok(header)
    }

    fn check_tiling(&self, data_start: usize, file: usize) -> Result<(), String> {
        let mut ranges: Vec<_> = self
            .tensors
            .iter()
            .map(|(name, t)| (t.start, t.end, name))
            .collect();
        ranges.sort_unstable();
        let mut reached = data_start;
        for (start, end, name) in ranges {
            if start != reached {
                let what = if start < reached {
                    "overlaps the one before"
                } else {
                    "leaves a hole before it"
                };
                return Err(format!(
                    "tensor '{name}' {what}: starts at byte {start}, expected {reached}"
                ));
            }
            reached = end;
        }
        if reached != file {
            return Err(format!(
                "the tensors end at byte {reached} but the file has {file} bytes"
            ));
        }
        Ok(())
    }
}

fn check(raw: &RawTensor, data_start: usize, data: usize) -> Result<HeaderTensor, String> {
    if raw.shape.len() > MAX_RANK {
        return Err(format!(
            "has {} axes, more than {MAX_RANK}",
            raw.shape.len()
        ));
    }
    let mut size = raw.dtype.size() as u64;
    // An empty axis must not hide an overflow of the others.
    for &axis in &raw.shape {
        size = size
            .checked_mul(axis.max(1))
            .ok_or_else(|| format!("size of {:?} overflows", raw.shape))?;
    }
    if raw.shape.contains(&0) {
        size = 0;
    }
    let (start, end) = raw.data_offsets;
    if start > end || end > data as u64 {
        return Err(format!(
            "offsets {start}..{end} do not lie within the data, {data} bytes"
        ));
    }
    if end - start != size {
        return Err(format!(
            "{:?} of {} needs {size} bytes, offsets {start}..{end} give {}",
            raw.shape,
            raw.dtype,
            end - start
        ));
    }
    Ok(HeaderTensor {
        stored: raw.dtype,
        shape: raw.shape.iter().map(|&axis| axis as usize).collect(),
        start: data_start + start as usize,
        end: data_start + end as usize,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(json: &str, data: usize) -> Vec<u8> {
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend(json.as_bytes());
        bytes.resize(bytes.len() + data, 7);
        bytes
    }

    fn refusal(json: &str, data: usize) -> String {
        Header::parse(&file(json, data)).unwrap_err()
    }

    #[test]
    fn reads_a_good_header() {
        let json = r#"{"__metadata__":{"config":"{}"},"b":{"dtype":"BF16","shape":[3],"data_offsets":[8,14]},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#;
        let header = Header::parse(&file(json, 14)).unwrap();
        assert_eq!(header.metadata["config"], "{}");
        assert_eq!(header.tensors["b"].stored, StoredType::Bf16);
        assert_eq!(header.tensors["b"].end - header.tensors["a"].start, 14);
    }

    #[test]
    fn names_the_fault() {
        assert!(Header::parse(&[1, 2, 3]).unwrap_err().contains("3 bytes"));
        let mut long = u64::MAX.to_le_bytes().to_vec();
        long.push(0);
        assert!(Header::parse(&long).unwrap_err().contains("limit"));
        assert!(
            Header::parse(&100_u64.to_le_bytes())
                .unwrap_err()
                .contains("beyond the end")
        );
        let cases = [
            (
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
                4,
                "needs 8 bytes",
            ),
            (
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
                8,
                "do not lie within",
            ),
            (
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
                4,
                "do not lie within",
            ),
            (
                r#"{"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}"#,
                4,
                "overflows",
            ),
            (
                r#"{"a":{"dtype":"F32","shape":[0,4611686018427387905],"data_offsets":[0,0]}}"#,
                0,
                "overflows",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#,
                6,
                "overlaps",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#,
                6,
                "hole",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
                6,
                "end at byte",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}"#,
                1,
                "axes",
            ),
            (
                r#"{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}}"#,
                1,
                "unknown variant",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#,
                1,
                "invalid value",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
                1,
                "twice",
            ),
            ("[]", 0, "object"),
        ];
        for (json, data, expected) in cases {
            let reason = refusal(json, data);
            assert!(reason.contains(expected), "{json}: {reason}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_on_noise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Header::parse(&bytes);
        }

        #[test]
        fn accepted_ranges_lie_in_the_file(
            shape in proptest::collection::vec(0_u64..6, 0..4),
            start in 0_u64..40,
            length in 0_u64..80,
            data in 0_usize..80,
        ) {
            let json = format!(r#"{{"a":{{"dtype":"U16","shape":{shape:?},"data_offsets":[{start},{}]}}}}"#, start + length);
            let bytes = file(&json, data);
            let wanted = 2 * shape.iter().product::<u64>();
            match Header::parse(&bytes) {
                Ok(header) => {
                    let t = &header.tensors["a"];
                    prop_assert!(t.start <= t.end && t.end == bytes.len());
                    prop_assert_eq!((t.end - t.start) as u64, wanted);
                }
                Err(_) => prop_assert!(start != 0 || length != wanted || data as u64 != wanted),
            }
        }

        #[test]
        fn damaged_headers_do_not_panic(at in 0_usize..60, byte in any::<u8>()) {
            let mut bytes = file(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8);
            if let Some(b) = bytes.get_mut(at) {
                *b = byte;
            }
            if let Ok(header) = Header::parse(&bytes) {
                for t in header.tensors.values() {
                    prop_assert!(t.end <= bytes.len());
                }
            }
        }
    }
}
