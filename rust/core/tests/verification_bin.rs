//! The reader of verification sets against files of several writers, and against hostile ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sdx_core::Error;
use sdx_core::parse::Limits;
use sdx_core::parse::verification_bin::{VerificationBin, parse, read};

fn folder(name: &str) -> BTreeMap<String, PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pickles").join(name);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

fn refusal(file: &[u8], limits: Limits) -> String {
    parse(file, limits).unwrap_err().to_string()
}

#[test]
fn every_writer_gives_the_same_set() {
    let want = VerificationBin {
        data: b"\xff\xd8a\xff\xd8b\xff\xd8a\xff\xd8c".to_vec(),
        offsets: vec![0, 3, 6, 9, 12],
        mated: vec![true, false],
        first: vec![0, 1, 0, 3],
    };
    let files = folder("good");
    assert_eq!(files.len(), 20);
    for (name, path) in files {
        let set = read(&path, Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(set, want, "{name}");
    }
}

/// What each hostile file must be refused for.
const REFUSALS: &[(&str, &str)] = &[
    ("empty", "end of the file"),
    ("no-stop", "end of the file"),
    ("truncated-item", "truncated"),
    ("trailing-bytes", "1 more bytes"),
    ("two-values", "got 2 values"),
    ("open-mark", "expected one value"),
    ("protocol-9", "protocol 0 to 5, got 9"),
    ("global-system", "`os system`, which no verification set needs: refused (at byte 0)"),
    ("global-builtins", "`builtins eval`"),
    ("global-numpy-other", "`numpy.core.multiarray fromstring`"),
    ("stack-global-posix", "`posix system`, which no verification set needs: refused (at byte 17)"),
    ("stack-global-number", "expected a name, got an integer"),
    ("inst", "opcode INST (0x69), which no verification set needs: refused (at byte 9)"),
    ("newobj", "opcode NEWOBJ (0x81)"),
    ("persistent", "opcode PERSID (0x50)"),
    ("dictionary", "opcode EMPTY_DICT (0x7d)"),
    ("extension", "opcode EXT1 (0x82)"),
    ("buffer", "opcode NEXT_BUFFER (0x97)"),
    ("unknown-opcode", "none of pickle's (0xfe)"),
    ("item-10gb", "expected 10737418240 more bytes, got 3"),
    ("text-10gb", "expected 10737418240 more bytes, got 3"),
    ("frame-10gb", "one of 10737418240 bytes"),
    ("negative-length", "expected 4294967295 more bytes, got 3"),
    ("huge-memo", "unknown number 4294967294"),
    ("memo-missing", "unknown number 5"),
    ("stack-empty", "expected a value on the stack"),
    ("mark-missing", "expected a mark"),
    ("below-mark", "expected a value on the stack"),
    ("append-to-none", "expected a list to append to, got None"),
    ("own-list", "expected a pair (images, same), got a list"),
    ("own-pair", "expected label 0 to be a boolean, got a list"),
    ("wide-integer", "at most 8 bytes, got 9"),
    ("not-an-integer", "expected a decimal integer"),
    ("broken-string", "expected a quoted string"),
    ("broken-unicode", "expected text with \\u escapes"),
    ("re-encode", "bytes decoded from text, got more"),
    ("encode-not-latin1", "expected Latin-1 text"),
    ("encode-codec", "arguments that numpy writes for Encode"),
    ("call-of-none", "expected a symbol to apply, got None"),
    ("build-of-none", "got another for None"),
    ("dtype-object", "expected dtype uint8 or bool, got `O8`"),
    ("array-of-floats", "expected dtype uint8 or bool, got `f8`"),
    ("array-of-rows", "one-dimensional array of 4 elements"),
    ("array-false-length", "one-dimensional array of 3 elements"),
    ("array-negative-length", "one-dimensional array of 3 elements"),
    ("array-without-state", "expected image 0 to be bytes or uint8, got a numpy array"),
    ("not-a-pair", "expected a pair (images, same)"),
    ("images-not-a-list", "expected a list of images, got None"),
    ("labels-not-a-list", "expected a list of labels, got None"),
    ("label-none", "expected label 0 to be a boolean, got None"),
    ("label-two", "expected label 0 to be a boolean, got an integer"),
    ("labels-array-two", "expected labels 0 and 1"),
    ("one-image-short", "got 1 images and 1 labels"),
    ("no-pairs", "got 0 images and 0 labels"),
    ("empty-image", "expected image 1 to have bytes"),
    ("image-of-text", "expected image 0 to be bytes or uint8, got text"),
];

#[test]
fn every_hostile_file_is_refused_for_its_reason() {
    let files = folder("hostile");
    assert_eq!(files.len(), REFUSALS.len());
    for (name, reason) in REFUSALS {
        match read(&files[*name], Limits::default()) {
            Err(Error::Parse { source, .. }) => assert!(source.to_string().contains(reason), "{name}: {source}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn limits_hold() {
    let set = std::fs::read(&folder("good")["shared-items"]).unwrap();
    let limits = Limits::default();
    assert!(parse(&set, limits).is_ok());
    assert!(refusal(&set, Limits { items: 3, ..limits }).contains("at most 3 images, got 4"));
    assert!(refusal(&set, Limits { item_bytes: 2, ..limits }).contains("image 0 to have at most 2 bytes, got 3"));
    assert!(refusal(&set, Limits { bytes: 11, ..limits }).contains("at most 11 bytes in all, got 12"));
    assert!(refusal(&set, Limits { stack: 4, ..limits }).contains("at most 4 values on the stack"));
    assert!(refusal(&set, Limits { nodes: 2, ..limits }).contains("at most 2 lists, tuples and arrays"));
    assert!(refusal(&set, Limits { memo: 0, ..limits }).contains("at most 0 remembered values"));
    assert!(refusal(&[b'('; 100], Limits { stack: 50, ..limits }).contains("at most 50 values on the stack"));
}

#[test]
fn one_large_image_shared_by_many_items_is_refused_before_it_is_written_out() {
    let mut file = b"\x80\x03](B\0\0\x10\0".to_vec(); // 1 MiB, then 3,999 times two bytes that repeat it
    file.extend(vec![7; 1 << 20]);
    file.extend(b"q\0");
    file.extend(b"h\0".repeat(3999));
    file.extend(b"e](");
    file.extend(vec![0x88; 2000]);
    file.extend(b"e\x86.");
    assert!(refusal(&file, Limits::default()).contains("at most 2147483648 bytes in all, got 4194304000"));
}

#[test]
fn what_is_no_file_is_refused() {
    let missing = read(Path::new("missing.bin"), Limits::default()).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }) && missing.to_string().starts_with("missing.bin: "), "{missing}");
    let directory = read(Path::new(env!("CARGO_MANIFEST_DIR")), Limits::default()).unwrap_err().to_string();
    assert!(directory.contains("expected a regular file"), "{directory}");
    let large = read(&folder("good")["tuples"], Limits { bytes: 8, ..Limits::default() }).unwrap_err().to_string();
    assert!(large.contains("expected a file of at most 8 bytes, got 29"), "{large}");
}

fn written(images: &[Vec<u8>], same: &[bool]) -> Vec<u8> {
    let mut file = b"\x80\x02](".to_vec();
    for image in images {
        file.push(b'T');
        file.extend(u32::try_from(image.len()).unwrap().to_le_bytes());
        file.extend(image);
    }
    file.extend(b"e](");
    file.extend(same.iter().map(|&same| if same { 0x88 } else { 0x89 }));
    file.extend(b"e\x86.");
    file
}

proptest! {
    #[test]
    fn what_was_written_is_read(pairs in prop::collection::vec((any::<[bool; 1]>(), "[a-b]{1,3}", "[a-b]{1,3}"), 1..40)) {
        let images: Vec<Vec<u8>> = pairs.iter().flat_map(|(_, a, b)| [a.as_bytes().to_vec(), b.as_bytes().to_vec()]).collect();
        let same: Vec<bool> = pairs.iter().map(|pair| pair.0[0]).collect();
        let set = parse(&written(&images, &same), Limits::default()).unwrap();
        prop_assert_eq!(&set.mated, &same);
        for (number, image) in images.iter().enumerate() {
            let ends = set.offsets[number..number + 2].iter().map(|&end| usize::try_from(end).unwrap()).collect::<Vec<_>>();
            prop_assert_eq!(&set.data[ends[0]..ends[1]], image.as_slice());
            let first = images.iter().position(|other| other == image).unwrap();
            prop_assert_eq!(usize::try_from(set.first[number]).unwrap(), first);
        }
    }

    #[test]
    fn a_cut_file_is_refused(share in (0_i32..1000).prop_map(|part| f64::from(part) / 1e3)) {
        for (name, path) in folder("good") {
            let file = std::fs::read(path).unwrap();
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
            let length = (share * file.len() as f64) as usize;
            prop_assert!(parse(&file[..length], Limits::default()).is_err(), "{} cut to {}", name, length);
        }
    }

    #[test]
    fn damaged_files_never_panic(seed in any::<prop::sample::Index>(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let files: Vec<PathBuf> = folder("good").into_values().chain(folder("hostile").into_values()).collect();
        let mut file = std::fs::read(seed.get(&files)).unwrap();
        for (place, byte) in damage {
            if !file.is_empty() {
                let place = place.index(file.len());
                file[place] = byte;
            }
        }
        if let Ok(set) = parse(&file, Limits::default()) {
            prop_assert_eq!(set.offsets.len(), 2 * set.mated.len() + 1);
            prop_assert_eq!(usize::try_from(*set.offsets.last().unwrap()).unwrap(), set.data.len());
        }
    }
}
