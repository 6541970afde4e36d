//! The symbols a verification set may name, and what calling or building them means here.
//!
//! The list is closed: numpy's two ways of rebuilding an array, its dtype and scalar, and the text-to-bytes call that
//! Python 3 writes for bytes in protocols 0 to 2.

use super::ParseError;
use super::cursor::Span;
use super::pickle::{Machine, Node, Value};

/// A name that may stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    Reconstruct,
    FromBuffer,
    Scalar,
    Ndarray,
    Dtype,
    Encode,
}

/// An element type that an item or a label may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    Bool,
    Uint8,
}

/// Return the symbol of a name, which is matched and never imported.
pub fn symbol(machine: &Machine, module: &[u8], name: &[u8]) -> Result<Symbol, ParseError> {
    match (module, name) {
        (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => Ok(Symbol::Reconstruct),
        (b"numpy.core.numeric" | b"numpy._core.numeric", b"_frombuffer") => Ok(Symbol::FromBuffer),
        (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"scalar") => Ok(Symbol::Scalar),
        (b"numpy", b"ndarray") => Ok(Symbol::Ndarray),
        (b"numpy", b"dtype") => Ok(Symbol::Dtype),
        (b"_codecs", b"encode") => Ok(Symbol::Encode),
        _ => machine.fail(format!(
            "expected lists of image bytes and booleans, got the name `{} {}`, which no verification set needs: refused",
            shown(module),
            shown(name)
        )),
    }
}

/// Return what `callable(*arguments)` stands for.
pub fn reduce(machine: &mut Machine, callable: Value, arguments: Value) -> Result<Value, ParseError> {
    let Value::Symbol(symbol) = callable else {
        return machine.fail(format!("expected a symbol to apply, got {}", machine.name(callable)));
    };
    match (symbol, machine.tuple(arguments)?) {
        (Symbol::Reconstruct, &[Value::Symbol(Symbol::Ndarray), _, _]) => machine.new_node(Node::Array(None)),
        (Symbol::Dtype, &[name] | &[name, _, _]) => {
            let dtype = match machine.text(name)? {
                b"u1" | b"|u1" | b"uint8" => Dtype::Uint8,
                b"b1" | b"|b1" | b"bool" => Dtype::Bool,
                other => return machine.fail(format!("expected dtype uint8 or bool, got `{}`", shown(other))),
            };
            machine.new_node(Node::Dtype(dtype))
        }
        (Symbol::FromBuffer, &[bytes, dtype, shape, _order]) => {
            let array = array(machine, bytes, dtype, shape)?;
            machine.new_node(Node::Array(Some(array)))
        }
        (Symbol::Scalar, &[dtype, Value::Bytes(span)]) => match (kind(machine, dtype)?, machine.bytes(span)) {
            (Dtype::Bool, &[byte @ (0 | 1)]) => Ok(Value::Bool(byte == 1)),
            (Dtype::Uint8, &[byte]) => Ok(Value::Int(byte.into())),
            _ => machine.fail("expected a numpy scalar of one byte"),
        },
        (Symbol::Encode, &[Value::Text(text), codec]) if matches!(machine.text(codec)?, b"latin1" | b"latin-1") => {
            let bytes = std::str::from_utf8(machine.bytes(text)).ok().and_then(|text| {
                text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect::<Option<Vec<u8>>>()
            });
            match bytes {
                Some(bytes) => machine.keep(&bytes).map(Value::Bytes),
                None => machine.fail("expected Latin-1 text to make bytes of"),
            }
        }
        _ => machine.fail(format!("expected the arguments that numpy writes for {symbol:?}, got others")),
    }
}

/// Give `target` its state: an array its dtype, shape and bytes; a dtype nothing that a one-byte type needs.
pub fn build(machine: &mut Machine, target: Value, state: Value) -> Result<(), ParseError> {
    let complete = match (machine.node(target), machine.tuple(state)?) {
        (Some(Node::Array(None)), &[_version, shape, dtype, _fortran, bytes]) => array(machine, bytes, dtype, shape)?,
        (Some(Node::Dtype(_)), &[_version, _order, Value::None, Value::None, Value::None, ..]) => return Ok(()),
        _ => {
            return machine
                .fail(format!("expected the state that numpy writes, got another for {}", machine.name(target)));
        }
    };
    if let Some(Node::Array(array)) = machine.node_mut(target) {
        *array = Some(complete);
    }
    Ok(())
}

fn kind(machine: &Machine, value: Value) -> Result<Dtype, ParseError> {
    match machine.node(value) {
        Some(&Node::Dtype(dtype)) => Ok(dtype),
        _ => machine.fail(format!("expected a numpy dtype, got {}", machine.name(value))),
    }
}

/// Check that the array is one row of bytes (`cv2.imencode` makes a column of them) as long as its shape says.
fn array(machine: &Machine, bytes: Value, dtype: Value, shape: Value) -> Result<(Dtype, Span), ParseError> {
    let (Value::Bytes(span), dtype) = (bytes, kind(machine, dtype)?) else {
        return machine.fail(format!("expected an array's bytes, got {}", machine.name(bytes)));
    };
    let mut long = machine.tuple(shape)?.iter().filter(|size| !matches!(size, Value::Int(1)));
    let length = match (long.next(), long.next()) {
        (None, _) => Some(1),
        (Some(&Value::Int(length)), None) => usize::try_from(length).ok(),
        _ => None,
    };
    if length == Some(span.length) {
        Ok((dtype, span))
    } else {
        machine.fail(format!("expected a one-dimensional array of {} elements, got another shape", span.length))
    }
}

/// Return the beginning of a foreign name, fit for one line.
fn shown(name: &[u8]) -> String {
    name[..name.len().min(60)].escape_ascii().to_string()
}
