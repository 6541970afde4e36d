//! The two escaped text forms of pickle's protocol 0.

/// Return the bytes of Python 2's repr of a byte string, or None where it is something else.
pub fn unquote(line: &[u8]) -> Option<Vec<u8>> {
    let (&quote, rest) = line.split_first()?;
    let (&end, inside) = rest.split_last()?;
    if quote != end || !matches!(quote, b'\'' | b'"') {
        return None;
    }
    let mut bytes = Vec::with_capacity(inside.len());
    let mut left = inside.iter();
    while let Some(&byte) = left.next() {
        bytes.push(match byte {
            b'\\' => match *left.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => u8::try_from(hexadecimal(&mut left, 2)?).ok()?,
                same @ (b'\\' | b'\'' | b'"') => same,
                _ => return None,
            },
            _ if byte == quote => return None,
            _ => byte,
        });
    }
    Some(bytes)
}

/// Return the text of Python's raw-unicode-escape encoding, or None where an escape is broken.
pub fn raw_unicode(line: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut left = line.iter();
    while let Some(&byte) = left.next() {
        text.push(match (byte, left.as_slice().first()) {
            (b'\\', Some(b'u')) => {
                left.next();
                char::from_u32(hexadecimal(&mut left, 4)?)?
            }
            (b'\\', Some(b'U')) => {
                left.next();
                char::from_u32(hexadecimal(&mut left, 8)?)?
            }
            _ => char::from(byte), // Latin-1
        });
    }
    Some(text)
}

fn hexadecimal(left: &mut std::slice::Iter<'_, u8>, digits: usize) -> Option<u32> {
    (0..digits).try_fold(0, |value, _| Some(value << 4 | char::from(*left.next()?).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquote_reads_what_python_2_wrote() {
        assert_eq!(unquote(br"'a\xff\n\\\'\x00'").unwrap(), b"a\xff\n\\'\0");
        assert_eq!(unquote(br#""it's""#).unwrap(), b"it's");
        for bad in [&br"'a"[..], br"'", br"", br"'a'b'", br"'\x0'", br"'\", br"'\q'", br"a"] {
            assert_eq!(unquote(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn raw_unicode_reads_escapes_and_latin_1() {
        assert_eq!(raw_unicode(b"a\\u000a\xff\\x41\\U0001f600").unwrap(), "a\n\u{ff}\\x41\u{1f600}");
        for bad in [&b"\\u00"[..], b"\\ud800", b"\\uzzzz", b"\\U00110000"] {
            assert_eq!(raw_unicode(bad), None, "{}", bad.escape_ascii());
        }
    }
}
