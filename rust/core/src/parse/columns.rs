//! Columns of a text file, as the lists of IJB-B and IJB-C come: pairs of templates, images with landmarks, galleries.
//!
//! Strict and in one pass: a line with another number of fields, or a field that is no such value, is an error that names
//! the line, counted from 1. Memory is that of the columns.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::error::config;
use crate::{Error, Result};

/// Longest line in bytes.
const LINE: u64 = 1 << 16;

/// What separates fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// Any run of blanks and tabs.
    Blanks,
    /// One comma.
    Comma,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Whole numbers.
    Integers(Vec<i32>),
    /// Labels, 0 or 1.
    Flags(Vec<bool>),
    /// Finite numbers.
    Numbers(Vec<f64>),
    /// UTF-8 text, not empty.
    Texts(Vec<String>),
}

impl Column {
    fn of(kind: char) -> Result<Self> {
        match kind {
            'i' => Ok(Self::Integers(Vec::new())),
            'b' => Ok(Self::Flags(Vec::new())),
            'f' => Ok(Self::Numbers(Vec::new())),
            't' => Ok(Self::Texts(Vec::new())),
            other => config("columns of the kinds i, b, f or t, * behind them for more to pass over", other),
        }
    }

    /// Take the field in, or return what was expected of it.
    fn push(&mut self, field: &[u8]) -> std::result::Result<(), &'static str> {
        let parsed = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        match self {
            Self::Integers(values) => values.push(integer(field).ok_or("a whole number below 2^31")?),
            Self::Flags(values) => match field {
                b"0" | b"1" => values.push(field == b"1"),
                _ => return Err("a label, 0 or 1,"),
            },
            Self::Numbers(values) => {
                values.push(std::str::from_utf8(field).ok().and_then(parsed).ok_or("a finite number")?);
            }
            Self::Texts(values) => {
                let text = std::str::from_utf8(field).ok().filter(|text| !text.is_empty());
                values.push(text.ok_or("text in UTF-8")?.to_owned());
            }
        }
        Ok(())
    }
}

/// Read the columns of a file.
///
/// `kinds` has a letter for each: i whole numbers, b labels, f numbers, t texts; `*` at the end passes over any number of
/// columns more. With `header` the first line is passed over. Empty lines may end the file.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::File`] naming line and column for what is no such value or
/// number of fields, or no line at all; [`Error::Config`] for other kinds.
pub fn read(path: &Path, kinds: &str, separator: Separator, header: bool) -> Result<Vec<Column>> {
    let io = |source| Error::Io { path: path.into(), source };
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(Error::File { path: path.into(), expected: "a regular file".into(), got: "something else".into() });
    }
    let file = std::fs::File::open(path).map_err(io)?;
    parse(BufReader::with_capacity(1 << 20, file), path, kinds, separator, header)
}

/// As [`read`], from what is open already; `path` is for messages.
///
/// # Errors
/// Those of [`read`].
pub fn parse(
    mut file: impl BufRead,
    path: &Path,
    kinds: &str,
    separator: Separator,
    header: bool,
) -> Result<Vec<Column>> {
    let (kinds, open_end) = kinds.strip_suffix('*').map_or((kinds, false), |kinds| (kinds, true));
    let mut columns = kinds.chars().map(Column::of).collect::<Result<Vec<_>>>()?;
    if columns.is_empty() {
        return config("at least one column", "none");
    }
    let refused = |expected, got| Err(Error::File { path: path.into(), expected, got });
    let mut line = Vec::new();
    let (mut ended, mut rows) = (false, 0_usize);
    for number in 1_usize.. {
        line.clear();
        let source = (&mut file).take(LINE).read_until(b'\n', &mut line);
        if source.map_err(|source| Error::Io { path: path.into(), source })? == 0 {
            break;
        }
        if line.len() as u64 == LINE && line.last() != Some(&b'\n') {
            return refused(format!("lines of less than {LINE} bytes"), format!("a longer line {number}"));
        }
        let content = line.trim_ascii_end();
        if number == 1 && header {
            continue;
        }
        if content.is_empty() {
            ended = true;
            continue;
        }
        if ended {
            return refused(format!("no empty line before line {number}"), "one".into());
        }
        if let Err((expected, got)) = take(content, &mut columns, separator, open_end) {
            return refused(expected, format!("{got} in line {number}"));
        }
        rows += 1;
    }
    if rows == 0 {
        return refused("at least one line".into(), "none".into());
    }
    Ok(columns)
}

/// Take the fields of a line in, or return what was expected and what came.
fn take(
    line: &[u8],
    columns: &mut [Column],
    separator: Separator,
    open_end: bool,
) -> std::result::Result<(), (String, String)> {
    let count = columns.len();
    let mut rest = line;
    for (at, column) in columns.iter_mut().enumerate() {
        let Some((field, behind)) = next(rest, separator, at == 0) else {
            return Err((format!("{count} fields"), format!("{at}")));
        };
        column.push(field).map_err(|expected| {
            let shown: String = String::from_utf8_lossy(field).chars().take(40).collect();
            (format!("{expected} in column {}", at + 1), format!("{shown:?}"))
        })?;
        rest = behind;
    }
    if !open_end && next(rest, separator, false).is_some() {
        return Err((format!("{count} fields"), "more".into()));
    }
    Ok(())
}

/// Return the next field and what follows it; what follows begins with the separator.
fn next(rest: &[u8], separator: Separator, first: bool) -> Option<(&[u8], &[u8])> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    match separator {
        Separator::Blanks => {
            let rest = &rest[rest.iter().position(|byte| !is_blank(byte))?..];
            Some(rest.split_at(rest.iter().position(is_blank).unwrap_or(rest.len())))
        }
        Separator::Comma => {
            let rest = if first { rest } else { rest.strip_prefix(b",")? };
            let (field, behind) = rest.split_at(rest.iter().position(|&byte| byte == b',').unwrap_or(rest.len()));
            Some((field.trim_ascii(), behind))
        }
    }
}

/// Parse a whole number with an optional minus.
fn integer(field: &[u8]) -> Option<i32> {
    let (digits, sign) = field.strip_prefix(b"-").map_or((field, 1), |digits| (digits, -1));
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    let mut value = 0_i64;
    for digit in digits {
        value = 10 * value + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    i32::try_from(sign * value).ok()
}
