//! Any bytes give a consistent verification set or an error, within the limits.
//!
//! In `rust/core/fuzz`: `mkdir -p corpus/verification_bin && cargo +nightly fuzz run verification_bin
//! corpus/verification_bin ../tests/pickles/good ../tests/pickles/hostile`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sdx_core::parse::Limits;
use sdx_core::parse::verification_bin::parse;

fuzz_target!(|file: &[u8]| {
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let Ok(set) = parse(file, limits) else { return };
    let images = 2 * set.mated.len();
    assert!(images > 0 && set.offsets.len() == images + 1 && set.first.len() == images);
    assert!(set.offsets.windows(2).all(|ends| ends[0] < ends[1]));
    assert!(set.offsets[0] == 0 && usize::try_from(set.offsets[images]) == Ok(set.data.len()));
    assert!(set.data.len() <= limits.bytes);
    assert!(set.first.iter().enumerate().all(|(item, &first)| usize::try_from(first).is_ok_and(|first| first <= item)));
});
