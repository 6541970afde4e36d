//! The reader of text columns against what was written, and against junk.

use std::path::PathBuf;

use proptest::prelude::*;
use sdx_core::Error;
use sdx_core::parse::columns::{Column, Separator, read};

/// A file of this test alone.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("columns-{}-{name}.txt", std::process::id()));
    std::fs::write(&path, content).unwrap();
    path
}

fn pairs(name: &str, content: &[u8]) -> Result<Vec<Column>, String> {
    let path = file(name, content);
    let found = read(&path, "iib", Separator::Blanks, false);
    std::fs::remove_file(&path).unwrap();
    found.map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
}

/// Numbers of up to a million with three places; proptest 1.12 panics on ranges of floats once in a great while.
fn score() -> impl Strategy<Value = f64> {
    (-1_000_000_000_i32..1_000_000_000).prop_map(|part| f64::from(part) / 1000.0)
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        rows in prop::collection::vec((any::<i32>(), any::<bool>(), score(), "[a-z/]{1,9}\\.jpg"), 1..40),
        ending in prop::sample::select(vec!["\n", "\r\n", " \n"]),
        last in any::<bool>(),
    ) {
        let lines: Vec<String> = rows.iter().map(|(i, b, f, t)| format!("{t} {i}\t{f}  {}", u8::from(*b))).collect();
        let content = lines.join(ending) + if last { ending } else { "" };
        let path = file("written", content.as_bytes());
        let found = read(&path, "tifb", Separator::Blanks, false).unwrap();
        std::fs::remove_file(&path).unwrap();
        prop_assert_eq!(&found[0], &Column::Texts(rows.iter().map(|row| row.3.clone()).collect()));
        prop_assert_eq!(&found[1], &Column::Integers(rows.iter().map(|row| row.0).collect()));
        prop_assert_eq!(&found[2], &Column::Numbers(rows.iter().map(|row| row.2).collect()));
        prop_assert_eq!(&found[3], &Column::Flags(rows.iter().map(|row| row.1).collect()));
    }

    #[test]
    fn junk_is_refused_or_read_and_never_panics(content in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(columns) = pairs("junk", &content) {
            prop_assert_eq!(columns.len(), 3);
        }
    }
}

#[test]
fn what_is_no_list_of_pairs_is_refused_by_line() {
    for (content, message) in [
        ("1 2 1\n1 x 0\n", "FILE: expected a whole number below 2^31 in column 2, got \"x\" in line 2"),
        ("1 2147483648 1\n", "FILE: expected a whole number below 2^31 in column 2, got \"2147483648\" in line 1"),
        ("1 99999999999999999999 1\n", "got \"99999999999999999999\" in line 1"),
        ("1 1.0 1\n", "got \"1.0\" in line 1"),
        ("1 - 1\n", "got \"-\" in line 1"),
        ("1 +2 1\n", "got \"+2\" in line 1"),
        ("1 2 2\n", "FILE: expected a label, 0 or 1, in column 3, got \"2\" in line 1"),
        ("1 2\n", "FILE: expected 3 fields, got 2 in line 1"),
        ("1 2 1\n\n1 2 1\n", "FILE: expected no empty line before line 3, got one"),
        ("1 2 1 4\n", "FILE: expected 3 fields, got more in line 1"),
        ("", "FILE: expected at least one line, got none"),
        ("\n\n", "FILE: expected at least one line, got none"),
    ] {
        let found = pairs("refused", content.as_bytes()).unwrap_err();
        assert!(found.ends_with(message), "{content:?}: {found}");
    }
    let long = format!("1 2 1\n{}", "7".repeat(70_000));
    assert_eq!(
        pairs("long", long.as_bytes()).unwrap_err(),
        "FILE: expected lines of less than 65536 bytes, got a longer line 2"
    );
}

#[test]
fn the_ends_of_the_range_are_read() {
    let found = pairs("ends", b"-2147483648 2147483647 1\n-0 007 0\n\n").unwrap();
    assert_eq!(found[0], Column::Integers(vec![i32::MIN, 0]));
    assert_eq!(found[1], Column::Integers(vec![i32::MAX, 7]));
}

#[test]
fn a_gallery_has_a_header_and_more_columns() {
    let path = file("gallery", b"TEMPLATE_ID,SUBJECT_ID,FILENAME\n3, 7,img/1.png\n4,8\n5,9,a,b,\"c\n");
    let found = read(&path, "ii*", Separator::Comma, true).unwrap();
    assert_eq!(found, [Column::Integers(vec![3, 4, 5]), Column::Integers(vec![7, 8, 9])]);
    let narrow = read(&path, "ii", Separator::Comma, true).unwrap_err().to_string();
    assert!(narrow.ends_with("expected 2 fields, got more in line 2"), "{narrow}");
    let blanks = read(&path, "ii*", Separator::Blanks, true).unwrap_err().to_string();
    assert!(blanks.ends_with("got \"3,\" in line 2"), "{blanks}");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn numbers_and_texts_are_checked() {
    for (kinds, content, message) in [
        ("f", "inf\n", "expected a finite number in column 1, got \"inf\" in line 1"),
        ("f", "NaN\n", "expected a finite number in column 1, got \"NaN\" in line 1"),
        ("f", "1e999\n", "expected a finite number in column 1, got \"1e999\" in line 1"),
        ("tf", "a\n", "expected 2 fields, got 1 in line 1"),
    ] {
        let path = file("kinds", content.as_bytes());
        let found = read(&path, kinds, Separator::Blanks, false).unwrap_err().to_string();
        assert!(found.ends_with(message), "{found}");
        std::fs::remove_file(&path).unwrap();
    }
    let path = file("texts", b"\xff\xfe 1\n");
    let found = read(&path, "ti", Separator::Blanks, false).unwrap_err().to_string();
    assert!(found.contains("expected text in UTF-8 in column 1"), "{found}");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn what_cannot_be_asked_or_opened() {
    let path = file("asked", b"1\n");
    for kinds in ["", "*", "x", "i*i"] {
        assert!(matches!(read(&path, kinds, Separator::Blanks, false), Err(Error::Config { .. })), "{kinds}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(read(&path, "i", Separator::Blanks, false), Err(Error::Io { .. })));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    assert!(matches!(read(&folder, "i", Separator::Blanks, false), Err(Error::File { .. })));
}
