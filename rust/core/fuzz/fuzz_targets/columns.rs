//! Any bytes give columns of one length that are written and read again as they are, or an error that names the file.
//!
//! The first byte says what is read: kinds, separator, header.
//!
//! In `rust/core/fuzz`: `cargo +nightly fuzz run columns -- -max_len=512`

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sdx_core::Error;
use sdx_core::parse::columns::{Column, Separator, parse};

const KINDS: [&str; 8] = ["i", "t", "iib", "tif", "f*", "iiff*", "bt*", "tttt"];

/// Whether there is such a field, with such separators, of this text.
fn is_field(text: &str, separator: Separator) -> bool {
    let parts = |byte: u8| match separator {
        Separator::Blanks => matches!(byte, b' ' | b'\t'),
        Separator::Comma => byte == b',',
    };
    !text.is_empty() && !text.bytes().any(|byte| parts(byte) || byte == b'\n')
}

fn length(column: &Column, separator: Separator) -> usize {
    match column {
        Column::Integers(values) => values.len(),
        Column::Flags(values) => values.len(),
        Column::Numbers(values) => {
            assert!(values.iter().all(|value| value.is_finite()));
            values.len()
        }
        Column::Texts(values) => {
            assert!(values.iter().all(|text| is_field(text, separator)));
            values.len()
        }
    }
}

/// The lines of the columns, each with `more` behind it.
fn written(columns: &[Column], separator: Separator, rows: usize, more: Option<&str>) -> String {
    let field = |column: &Column, row: usize| match column {
        Column::Integers(values) => values[row].to_string(),
        Column::Flags(values) => u8::from(values[row]).to_string(),
        Column::Numbers(values) => format!("{:?}", values[row]),
        Column::Texts(values) => values[row].clone(),
    };
    let between = if separator == Separator::Comma { "," } else { "\t " };
    let fields = |row| columns.iter().map(move |column| field(column, row)).chain(more.map(String::from));
    let line = |row| fields(row).collect::<Vec<_>>().join(between);
    (0..rows).map(|row| line(row) + "\n").collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, file)) = bytes.split_first() else { return };
    let kinds = KINDS[usize::from(how % 8)];
    let separator = if how & 8 == 0 { Separator::Blanks } else { Separator::Comma };
    let columns = match parse(file, Path::new("list"), kinds, separator, how & 16 != 0) {
        Ok(columns) => columns,
        Err(Error::File { .. }) => return,
        Err(other) => panic!("{other}"),
    };
    assert!(columns.len() == kinds.trim_end_matches('*').len());
    let rows = length(&columns[0], separator);
    assert!(rows > 0 && rows <= file.len() && columns.iter().all(|column| length(column, separator) == rows));
    let again = written(&columns, separator, rows, kinds.ends_with('*').then_some("0"));
    assert!(parse(again.as_bytes(), Path::new("list"), kinds, separator, false).unwrap() == columns);
});
