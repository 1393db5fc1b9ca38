//! The index: one row a sample, in Parquet, uncompressed.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::{Field, Row};
use parquet::schema::parser::parse_message_type;

use super::Entry;
use crate::error::{Result, TrainError};

const SCHEMA: &str = "message samples {
    required binary shard (STRING);
    required binary key (STRING);
    required binary ending (STRING);
    required int64 offset;
    required int64 bytes;
    required binary digest (STRING);
    required binary source (STRING);
    required binary identity (STRING);
    required int64 frames;
    required double rate;
    optional double agreement;
}";

/// A column of texts.
type Text = fn(&Entry) -> &str;

/// A column of whole numbers.
type Whole = fn(&Entry) -> u64;

/// Writes the index whole or not at all.
///
/// # Errors
/// When it can't be written.
pub fn write_index(path: &Path, entries: &[Entry]) -> Result<()> {
    let temporary = path.with_extension("part");
    let file = File::create(&temporary).map_err(TrainError::io(&temporary))?;
    rows(file, entries).map_err(|error| TrainError::file(path, error.to_string()))?;
    std::fs::rename(&temporary, path).map_err(TrainError::io(path))
}

fn rows(file: File, entries: &[Entry]) -> std::result::Result<(), ParquetError> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file, schema, properties)?;
    let mut group = writer.next_row_group()?;
    let texts: [(usize, Text); 6] = [
        (0, |e| &e.shard),
        (1, |e| &e.key),
        (2, |e| &e.ending),
        (5, |e| &e.digest),
        (6, |e| &e.source),
        (7, |e| &e.identity),
    ];
    let wholes: [(usize, Whole); 3] = [(3, |e| e.offset), (4, |e| e.bytes), (8, |e| e.frames)];
    let mut number = 0;
    while let Some(mut column) = group.next_column()? {
        if let Some((_, text)) = texts.iter().find(|(n, _)| *n == number) {
            let values: Vec<ByteArray> = entries.iter().map(|e| text(e).into()).collect();
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, None, None)?;
        } else if let Some((_, whole)) = wholes.iter().find(|(n, _)| *n == number) {
            let values: Vec<i64> = entries.iter().map(|e| whole(e) as i64).collect();
            column
                .typed::<Int64Type>()
                .write_batch(&values, None, None)?;
        } else if number == 9 {
            let values: Vec<f64> = entries.iter().map(|e| e.rate).collect();
            column
                .typed::<DoubleType>()
                .write_batch(&values, None, None)?;
        } else {
            let values: Vec<f64> = entries.iter().filter_map(|e| e.agreement).collect();
            let levels: Vec<i16> = entries
                .iter()
                .map(|e| i16::from(e.agreement.is_some()))
                .collect();
            column
                .typed::<DoubleType>()
                .write_batch(&values, Some(&levels), None)?;
        }
        column.close()?;
        number += 1;
    }
    group.close()?;
    writer.close()?;
    Ok(())
}

/// Reads an index, in its own order.
///
/// # Errors
/// When it can't be read, or a column is missing.
pub fn read_index(path: &Path) -> Result<Vec<Entry>> {
    let file = File::open(path).map_err(TrainError::io(path))?;
    let bad = |error: ParquetError| TrainError::file(path, error.to_string());
    let reader = SerializedFileReader::new(file).map_err(bad)?;
    let mut entries = Vec::new();
    for row in reader.get_row_iter(None).map_err(bad)? {
        let row = row.map_err(bad)?;
        entries.push(entry(&row).ok_or_else(|| {
            TrainError::file(path, "a column of the index is missing or of another kind")
        })?);
    }
    Ok(entries)
}

fn entry(row: &Row) -> Option<Entry> {
    let field = |name: &str| {
        row.get_column_iter()
            .find(|(n, _)| *n == name)
            .map(|(_, f)| f)
    };
    let text = |name: &str| match field(name)? {
        Field::Str(text) => Some(text.clone()),
        _ => None,
    };
    let whole = |name: &str| match field(name)? {
        Field::Long(value) => u64::try_from(*value).ok(),
        _ => None,
    };
    let number = |name: &str| match field(name) {
        Some(Field::Double(value)) => Some(*value),
        _ => None,
    };
    Some(Entry {
        shard: text("shard")?,
        key: text("key")?,
        ending: text("ending")?,
        offset: whole("offset")?,
        bytes: whole("bytes")?,
        digest: text("digest")?,
        source: text("source")?,
        identity: text("identity")?,
        frames: whole("frames")?,
        rate: number("rate")?,
        agreement: number("agreement"),
    })
}
