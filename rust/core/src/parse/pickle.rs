//! Pickle as data: an opcode machine that builds inert values and can call nothing.
//!
//! Symbols (`module name`) match a closed list (`super::numpy`) or fail; nothing is imported. Every opcode adds at most
//! one value, so memory is bounded by the file's size and by [`Limits`].

use std::collections::HashMap;

use super::cursor::{Cursor, Span};
use super::escape;
use super::numpy::{self, Dtype, Symbol};
use super::opcode::{self, Opcode, Width};
use super::{Limits, ParseError};

type Parsed<T> = Result<T, ParseError>;

/// What the stack holds; the larger ones live in `Machine::nodes`, for pickle changes lists after sharing them.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Bytes(Span),
    Text(Span),
    Symbol(Symbol),
    Node(usize),
}

/// A value with an inside.
#[derive(Debug)]
pub enum Node {
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dtype(Dtype),
    /// A numpy array, before and after its state came.
    Array(Option<(Dtype, Span)>),
}

/// The state of a reading.
pub struct Machine<'a> {
    pub cursor: Cursor<'a>,
    file: &'a [u8],
    /// Text and bytes that had to be decoded; positions go on after the file's.
    decoded: Vec<u8>,
    nodes: Vec<Node>,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
    limits: Limits,
}

impl<'a> Machine<'a> {
    pub fn new(file: &'a [u8], limits: Limits) -> Self {
        Self {
            cursor: Cursor::new(file),
            file,
            decoded: Vec::new(),
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            limits,
        }
    }

    /// Carry out the whole file and return the one value it stands for.
    pub fn run(&mut self) -> Parsed<Value> {
        loop {
            let byte = self.cursor.opcode()?;
            match opcode::decode(byte) {
                Some(Opcode::Stop) => break,
                Some(opcode) => self.step(opcode)?,
                None => {
                    let name = opcode::refused_name(byte);
                    return self.fail(format!(
                        "expected lists of image bytes and booleans, got opcode {name} (0x{byte:02x}), which no verification \
                         set needs: refused"
                    ));
                }
            }
        }
        let left = self.cursor.remaining();
        match (self.stack.as_slice(), self.marks.len(), left) {
            (&[value], 0, 0) => Ok(value),
            _ => self.fail(format!(
                "expected one value and the end of the file, got {} values and {left} more bytes",
                self.stack.len()
            )),
        }
    }

    fn step(&mut self, opcode: Opcode) -> Parsed<()> {
        match opcode {
            Opcode::Stop => Ok(()), // the end of `run`
            Opcode::Proto => match self.cursor.u8()? {
                0..=5 => Ok(()),
                version => self.fail(format!("expected a pickle of protocol 0 to 5, got {version}")),
            },
            Opcode::Frame => match self.cursor.u64()? {
                length if length <= self.cursor.remaining() => Ok(()),
                length => {
                    self.fail(format!("expected a frame within the file, got one of {length} bytes: it is truncated"))
                }
            },
            Opcode::Mark => {
                self.room("values on the stack", self.marks.len(), self.limits.stack)?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            Opcode::None => self.push(Value::None),
            Opcode::Bool(value) => self.push(Value::Bool(value)),
            Opcode::IntLine | Opcode::LongLine => self.integer_line(),
            Opcode::Int1 => self.cursor.u8().and_then(|value| self.integer(value)),
            Opcode::Int2 => self.cursor.u16().and_then(|value| self.integer(value)),
            Opcode::Int4 => {
                self.cursor.array().and_then(|field| self.push(Value::Int(i32::from_le_bytes(field).into())))
            }
            Opcode::Long1 => self.long(),
            Opcode::StringLine => self.string_line(),
            Opcode::Bytes(width) => self.counted(width).and_then(|span| self.push(Value::Bytes(span))),
            Opcode::UnicodeLine => self.unicode_line(),
            Opcode::Unicode(width) => self.counted(width).and_then(|span| self.push(Value::Text(span))),
            Opcode::EmptyList => self.push_node(Node::List(Vec::new())),
            Opcode::List => self.marked().and_then(|values| self.push_node(Node::List(values))),
            Opcode::Append => self.pop().and_then(|value| self.append(vec![value])),
            Opcode::Appends => self.marked().and_then(|values| self.append(values)),
            Opcode::EmptyTuple => self.push_node(Node::Tuple(Vec::new())),
            Opcode::Tuple => self.marked().and_then(|values| self.push_node(Node::Tuple(values))),
            Opcode::TupleOf(length) => self.tuple_of(length),
            Opcode::PutLine => self.index_line().and_then(|index| self.put(index)),
            Opcode::Put(width) => self.number(width).and_then(|index| self.put(index)),
            Opcode::Memoize => self.put(self.memo.len()),
            Opcode::GetLine => self.index_line().and_then(|index| self.get(index)),
            Opcode::Get(width) => self.number(width).and_then(|index| self.get(index)),
            Opcode::Global => {
                let (module, name) = (self.cursor.line()?, self.cursor.line()?);
                let symbol = numpy::symbol(self, module, name)?;
                self.push(Value::Symbol(symbol))
            }
            Opcode::StackGlobal => {
                let (name, module) = (self.pop()?, self.pop()?);
                let symbol = numpy::symbol(self, self.text(module)?, self.text(name)?)?;
                self.push(Value::Symbol(symbol))
            }
            Opcode::Reduce => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let value = numpy::reduce(self, callable, arguments)?;
                self.push(value)
            }
            Opcode::Build => {
                let (state, target) = (self.pop()?, self.top()?);
                numpy::build(self, target, state)
            }
        }
    }

    pub fn fail<T>(&self, message: impl Into<String>) -> Parsed<T> {
        self.cursor.fail(message)
    }

    fn room(&self, what: &str, used: usize, limit: usize) -> Parsed<()> {
        if used < limit { Ok(()) } else { self.fail(format!("expected at most {limit} {what}, got more")) }
    }

    /// Return the bytes of a span, in the file or decoded from it.
    pub fn bytes(&self, span: Span) -> &[u8] {
        match span.start.checked_sub(self.file.len()) {
            None => &self.file[span.start..][..span.length],
            Some(start) => &self.decoded[start..][..span.length],
        }
    }

    /// Keep decoded bytes. A pickle decodes each of its texts once or twice; re-decoding one for ever is an attack.
    pub fn keep(&mut self, bytes: &[u8]) -> Parsed<Span> {
        let (start, limit) = (self.decoded.len(), self.file.len().saturating_mul(4));
        self.room("bytes decoded from text", start + bytes.len(), limit)?;
        self.decoded.extend_from_slice(bytes);
        Ok(Span { start: self.file.len() + start, length: bytes.len() })
    }

    pub fn text(&self, value: Value) -> Parsed<&[u8]> {
        match value {
            Value::Text(span) | Value::Bytes(span) => Ok(self.bytes(span)), // Python 2 wrote names as byte strings
            other => self.fail(format!("expected a name, got {}", self.name(other))),
        }
    }

    pub fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(index) => Some(&self.nodes[index]),
            _ => None,
        }
    }

    pub fn node_mut(&mut self, value: Value) -> Option<&mut Node> {
        match value {
            Value::Node(index) => Some(&mut self.nodes[index]),
            _ => None,
        }
    }

    pub fn tuple(&self, value: Value) -> Parsed<&[Value]> {
        match self.node(value) {
            Some(Node::Tuple(values)) => Ok(values),
            _ => self.fail(format!("expected a tuple, got {}", self.name(value))),
        }
    }

    /// Return what a value is called in a message.
    pub fn name(&self, value: Value) -> &'static str {
        match value {
            Value::None => "None",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Bytes(_) => "bytes",
            Value::Text(_) => "text",
            Value::Symbol(_) => "a symbol",
            Value::Node(index) => match self.nodes[index] {
                Node::List(_) => "a list",
                Node::Tuple(_) => "a tuple",
                Node::Dtype(_) => "a numpy dtype",
                Node::Array(_) => "a numpy array",
            },
        }
    }

    pub fn new_node(&mut self, node: Node) -> Parsed<Value> {
        self.room("lists, tuples and arrays", self.nodes.len(), self.limits.nodes)?;
        self.nodes.push(node);
        Ok(Value::Node(self.nodes.len() - 1))
    }

    fn push_node(&mut self, node: Node) -> Parsed<()> {
        let value = self.new_node(node)?;
        self.push(value)
    }

    fn push(&mut self, value: Value) -> Parsed<()> {
        self.room("values on the stack", self.stack.len(), self.limits.stack)?;
        self.stack.push(value);
        Ok(())
    }

    fn top(&self) -> Parsed<Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack[floor..].last() {
            Some(&value) => Ok(value),
            None => self.fail("expected a value on the stack, got none"),
        }
    }

    fn pop(&mut self) -> Parsed<Value> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn marked(&mut self) -> Parsed<Vec<Value>> {
        match self.marks.pop() {
            Some(floor) => Ok(self.stack.split_off(floor)),
            None => self.fail("expected a mark on the stack, got none"),
        }
    }

    fn tuple_of(&mut self, length: usize) -> Parsed<()> {
        let mut values = vec![Value::None; length];
        for place in values.iter_mut().rev() {
            *place = self.pop()?;
        }
        self.push_node(Node::Tuple(values))
    }

    fn append(&mut self, values: Vec<Value>) -> Parsed<()> {
        let list = self.top()?;
        match self.node_mut(list) {
            Some(Node::List(items)) => {
                items.extend(values);
                Ok(())
            }
            _ => self.fail(format!("expected a list to append to, got {}", self.name(list))),
        }
    }

    fn put(&mut self, index: usize) -> Parsed<()> {
        let value = self.top()?;
        self.room("remembered values", self.memo.len(), self.limits.memo)?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn get(&mut self, index: usize) -> Parsed<()> {
        match self.memo.get(&index) {
            Some(&value) => self.push(value),
            None => self.fail(format!("expected a remembered value, got the unknown number {index}")),
        }
    }

    fn number(&mut self, width: Width) -> Parsed<usize> {
        match width {
            Width::One => self.cursor.u8(),
            Width::Four => self.cursor.u32(),
            Width::Eight => self.cursor.u64(),
        }
    }

    fn counted(&mut self, width: Width) -> Parsed<Span> {
        let length = self.number(width)?;
        self.cursor.span(length)
    }

    fn integer(&mut self, value: usize) -> Parsed<()> {
        self.push(Value::Int(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn long(&mut self) -> Parsed<()> {
        let span = self.counted(Width::One)?;
        let field = self.bytes(span);
        if field.len() > 8 {
            return self.fail(format!("expected an integer of at most 8 bytes, got {}", field.len()));
        }
        let sign = if field.last().is_some_and(|&byte| byte >= 0x80) { 0xff } else { 0 };
        let mut wide = [sign; 8];
        wide[..field.len()].copy_from_slice(field);
        self.push(Value::Int(i64::from_le_bytes(wide)))
    }

    fn integer_line(&mut self) -> Parsed<()> {
        let value = match self.cursor.line()? {
            b"01" => Value::Bool(true), // pickle's protocol 0 and 1 write booleans so
            b"00" => Value::Bool(false),
            line => match std::str::from_utf8(line).ok().and_then(|text| text.trim_end_matches('L').parse().ok()) {
                Some(value) => Value::Int(value),
                None => return self.fail("expected a decimal integer of at most 64 bits"),
            },
        };
        self.push(value)
    }

    fn index_line(&mut self) -> Parsed<usize> {
        match std::str::from_utf8(self.cursor.line()?).ok().and_then(|text| text.parse().ok()) {
            Some(index) => Ok(index),
            None => self.fail("expected the decimal number of a remembered value"),
        }
    }

    fn string_line(&mut self) -> Parsed<()> {
        match escape::unquote(self.cursor.line()?) {
            Some(bytes) => self.keep(&bytes).and_then(|span| self.push(Value::Bytes(span))),
            None => self.fail("expected a quoted string with Python's escapes"),
        }
    }

    fn unicode_line(&mut self) -> Parsed<()> {
        match escape::raw_unicode(self.cursor.line()?) {
            Some(text) => self.keep(text.as_bytes()).and_then(|span| self.push(Value::Text(span))),
            None => self.fail("expected text with \\u escapes alone"),
        }
    }
}
