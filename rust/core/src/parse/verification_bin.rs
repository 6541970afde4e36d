//! Verification sets in the field's `.bin` layout (`lfw.bin`, `cfp_fp.bin`, `agedb_30.bin`, ...).
//!
//! The file is a pickle of (images, same): 2 P encoded images, as byte strings or as numpy uint8 arrays, and P booleans;
//! pair i is (images[2 i], images[2 i + 1]). Python 2 wrote some of them, Python 3 others, protocols 0 to 5. It is read
//! as data (`super::pickle`): nothing in it can run.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use super::cursor::Span;
use super::numpy::Dtype;
use super::pickle::{Machine, Node, Value};
use super::{Limits, ParseError};
use crate::{Error, Result};

/// A verification set: encoded images and which pairs are of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationBin {
    /// Bytes of all items, one after the other.
    pub data: Vec<u8>,
    /// Where item i lies in `data`: `offsets[i] .. offsets[i + 1]`; 2 P + 1 entries.
    pub offsets: Vec<i64>,
    /// Whether pair i (items 2 i and 2 i + 1) is mated; P entries.
    pub mated: Vec<bool>,
    /// Index of the first item with the same bytes; 2 P entries.
    pub first: Vec<i64>,
}

/// Read a verification set.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] where the file cannot be read; [`Error::Parse`] where it is not a verification set or
/// exceeds a limit.
pub fn read(path: &Path, limits: Limits) -> Result<VerificationBin> {
    let io = |source| Error::Io { path: path.into(), source };
    let refused = |expected, got| Error::File { path: path.into(), expected, got };
    let status = std::fs::metadata(path).map_err(io)?;
    if !status.is_file() {
        return Err(refused("a regular file".into(), "something else".into()));
    }
    let limit = u64::try_from(limits.bytes).unwrap_or(u64::MAX);
    if status.len() > limit {
        let got = format!("{}: raise `max_bytes` if you trust it", status.len());
        return Err(refused(format!("a file of at most {limit} bytes"), got));
    }
    let mut file = Vec::with_capacity(usize::try_from(status.len()).unwrap_or(0));
    std::fs::File::open(path).and_then(|open| open.take(limit).read_to_end(&mut file)).map_err(io)?;
    parse(&file, limits).map_err(|source| Error::Parse { path: path.into(), source })
}

/// Read a verification set from the bytes of its file.
///
/// # Errors
/// [`ParseError`] where they are not a verification set or exceed a limit.
pub fn parse(file: &[u8], limits: Limits) -> std::result::Result<VerificationBin, ParseError> {
    let mut machine = Machine::new(file, limits);
    let value = machine.run()?;
    let Some(&[images, same]) = sequence(&machine, value) else {
        return machine.fail(format!("expected a pair (images, same), got {} of another form", machine.name(value)));
    };
    let mated = labels(&machine, same)?;
    let Some(images) = sequence(&machine, images) else {
        return machine.fail(format!("expected a list of images, got {}", machine.name(images)));
    };
    if mated.is_empty() || images.len() != 2 * mated.len() {
        let (items, labels) = (images.len(), mated.len());
        return machine.fail(format!(
            "expected two images to a label and at least one pair, got {items} images and {labels} labels"
        ));
    }
    let (data, offsets) = items(&machine, images, limits)?;
    let first = first_occurrences(&data, &offsets);
    Ok(VerificationBin { data, offsets: offsets.iter().map(|&offset| signed(offset)).collect(), mated, first })
}

fn sequence<'m>(machine: &'m Machine, value: Value) -> Option<&'m [Value]> {
    match machine.node(value) {
        Some(Node::List(values) | Node::Tuple(values)) => Some(values),
        _ => None,
    }
}

fn labels(machine: &Machine, same: Value) -> std::result::Result<Vec<bool>, ParseError> {
    if let Some(&Node::Array(Some((_, span)))) = machine.node(same) {
        return match machine.bytes(span) {
            bytes if bytes.iter().all(|&byte| byte <= 1) => Ok(bytes.iter().map(|&byte| byte == 1).collect()),
            _ => machine.fail("expected labels 0 and 1, got another number"),
        };
    }
    let Some(values) = sequence(machine, same) else {
        return machine.fail(format!("expected a list of labels, got {}", machine.name(same)));
    };
    let label = |(number, &value)| match value {
        Value::Bool(label) => Ok(label),
        Value::Int(label @ (0 | 1)) => Ok(label == 1),
        _ => machine.fail(format!("expected label {number} to be a boolean, got {}", machine.name(value))),
    };
    values.iter().enumerate().map(label).collect()
}

/// Write all items out one after the other; their sizes are summed up and checked before anything is allocated.
fn items(
    machine: &Machine,
    images: &[Value],
    limits: Limits,
) -> std::result::Result<(Vec<u8>, Vec<usize>), ParseError> {
    if images.len() > limits.items {
        return machine.fail(format!("expected at most {} images, got {}", limits.items, images.len()));
    }
    let spans = images.iter().enumerate().map(|(number, &value)| item(machine, number, value, limits));
    let spans: Vec<Span> = spans.collect::<std::result::Result<_, _>>()?;
    let mut offsets = vec![0];
    offsets.extend(spans.iter().scan(0, |end: &mut usize, span| {
        *end = end.saturating_add(span.length);
        Some(*end)
    }));
    let total = offsets[spans.len()];
    let mut data = Vec::new();
    if total > limits.bytes || data.try_reserve_exact(total).is_err() {
        return machine.fail(format!("expected images of at most {} bytes in all, got {total}", limits.bytes));
    }
    for span in spans {
        data.extend_from_slice(machine.bytes(span));
    }
    Ok((data, offsets))
}

fn item(machine: &Machine, number: usize, value: Value, limits: Limits) -> std::result::Result<Span, ParseError> {
    let bytes = match (value, machine.node(value)) {
        (Value::Bytes(span), _) | (_, Some(&Node::Array(Some((Dtype::Uint8, span))))) => Some(span),
        _ => None,
    };
    let Some(span) = bytes else {
        return machine.fail(format!("expected image {number} to be bytes or uint8, got {}", machine.name(value)));
    };
    match span.length {
        0 => machine.fail(format!("expected image {number} to have bytes, got none")),
        length if length > limits.item_bytes => {
            machine.fail(format!("expected image {number} to have at most {} bytes, got {length}", limits.item_bytes))
        }
        _ => Ok(span),
    }
}

fn first_occurrences(data: &[u8], offsets: &[usize]) -> Vec<i64> {
    let mut seen: HashMap<&[u8], i64> = HashMap::with_capacity(offsets.len());
    let items = offsets.windows(2).map(|ends| &data[ends[0]..ends[1]]);
    items.enumerate().map(|(number, item)| *seen.entry(item).or_insert(signed(number))).collect()
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).expect("a length in memory fits in 63 bits")
}
