//! Bounds-checked reading of little-endian fields and lines.

use super::ParseError;

/// A position in the file, and the opcode that a failure is reported for.
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    opcode_at: usize,
}

/// Bytes of the file, or of the text decoded from it, by position (`pickle::Machine::bytes`).
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub start: usize,
    pub length: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, opcode_at: 0 }
    }

    pub fn fail<T>(&self, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError { offset: self.opcode_at, message: message.into() })
    }

    pub fn opcode(&mut self) -> Result<u8, ParseError> {
        self.opcode_at = self.at;
        let [opcode] = self.array()?;
        Ok(opcode)
    }

    /// Report failures for the place that is read next.
    pub fn mark(&mut self) {
        self.opcode_at = self.at;
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ParseError> {
        let Some(&field) = self.bytes[self.at..].first_chunk() else {
            return self.fail(format!("expected {N} more bytes, got the end of the file: it is truncated"));
        };
        self.at += N;
        Ok(field)
    }

    pub fn u8(&mut self) -> Result<usize, ParseError> {
        Ok(usize::from(u8::from_le_bytes(self.array()?)))
    }

    pub fn u16(&mut self) -> Result<usize, ParseError> {
        Ok(usize::from(u16::from_le_bytes(self.array()?)))
    }

    pub fn u32(&mut self) -> Result<usize, ParseError> {
        Ok(usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX))
    }

    pub fn u64(&mut self) -> Result<usize, ParseError> {
        Ok(usize::try_from(u64::from_le_bytes(self.array()?)).unwrap_or(usize::MAX))
    }

    /// Step over `length` bytes and return where they are; a false length fails before anything is allocated for it.
    pub fn span(&mut self, length: usize) -> Result<Span, ParseError> {
        if length > self.remaining() {
            let left = self.remaining();
            return self.fail(format!(
                "expected {length} more bytes, got {left}: the file is truncated or its length is false"
            ));
        }
        let start = self.at;
        self.at += length;
        Ok(Span { start, length })
    }

    /// Return the bytes up to the next newline, and step over it.
    pub fn line(&mut self) -> Result<&'a [u8], ParseError> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return self.fail("expected a line, got the end of the file: it is truncated");
        };
        self.at += length + 1;
        Ok(&rest[..length])
    }
}
