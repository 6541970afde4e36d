//! Standard normals from random words, the same bits on every CPU.
//!
//! A word is a sign bit and 31 bits of tail probability p = P(|x| > t); t comes from p by inverse transform. The way
//! there is straight-line float32 arithmetic with +, -, *, square root, bit casts and selects alone, each correctly
//! rounded by IEEE 754: no libm, no division, no fused multiply-add, no table. So it can be written word for word in
//! Triton (`tl.sqrt_rn`; a GPU may contract into FMA, hence a tolerance there).
//!
//! The shape of the approximation, a polynomial in -log(1 - y²) for the middle and in its square root for the tails,
//! is Giles's ("Approximating the erfinv function", GPU Computing Gems, 2011); the coefficients are our own minimax
//! fits, for his end at y = 1 - 2^-24 (5.4 sigma) and ours at 6.338 sigma. The error against float64, measured over
//! all 2^31 magnitudes, is at most 4.04e-7 relative, 1.37e-6 absolute.

use crate::{Result, philox};

/// (log(1 + g) - g) / g² + 1/2, divided by g, for 1 + g in [sqrt(1/2), sqrt(2)); highest power first.
const LOG: [f32; 9] = [
    0.070_377_7,
    -0.115_147_546,
    0.116_770_34,
    -0.124_201_246,
    0.142_493_17,
    -0.166_680_57,
    0.200_007_16,
    -0.249_999_94,
    0.333_333_3,
];
/// |x| / y as a polynomial in w - 2.5, for w = -log(1 - y²) in [0, 5); highest power first.
const CENTRE: [f32; 9] = [
    4.035_463_5e-8,
    4.861_039_4e-7,
    -4.990_565_2e-6,
    -6.217_993e-6,
    3.091_502e-4,
    -0.001_773_010_1,
    -0.005_908_171,
    0.348_802_66,
    2.123_313_7,
];
/// |x| / y as a polynomial in sqrt(w) - 3.5, for w in [5, 21.5]; highest power first.
const TAIL: [f32; 10] = [
    6.089_454e-5,
    2.887_899_2e-5,
    -4.503_499e-4,
    7.104_798e-4,
    -8.529_133e-4,
    0.001_497_183_6,
    -0.002_953_536_3,
    0.004_642_381,
    1.424_637_9,
    4.717_088_7,
];
const LN_2: f32 = std::f32::consts::LN_2;
const UNIT: f32 = 1.0 / 4_294_967_296.0; // 2^-32
const SQRT_HALF_BITS: u32 = 0x3f35_04f3;

/// Return the standard normal of a random word; its magnitude lies in [2.9e-10, 6.338].
#[must_use]
#[allow(clippy::cast_precision_loss)] // rounding to nearest, as every IEEE conversion does
pub fn normal(word: u32) -> f32 {
    let odd = (word << 1) | 1; // p in units of 2^-32, never 0
    let p = odd as f32 * UNIT;
    let y = odd.wrapping_neg() as f32 * UNIT; // 1 - p, with full relative precision at both ends
    let w = -log(p * (2.0 - p));
    let centre = horner(&CENTRE, w - 2.5);
    let tail = horner(&TAIL, w.sqrt() - 3.5);
    let size = y * if w < 5.0 { centre } else { tail };
    f32::from_bits(size.to_bits() | (word & 0x8000_0000))
}

/// Return normals, row-major `[index.len(), count]`, one from each word of [`philox::philox`].
///
/// # Errors
/// [`crate::Error::TooLarge`] where the result cannot be held.
pub fn normals(seed: u64, stream: u32, index: &[i64], count: usize) -> Result<Vec<f32>> {
    philox::rows(seed, stream, index, count, normal)
}

/// Natural logarithm of a positive normal number at most 1.
#[allow(clippy::cast_precision_loss)] // an exponent
fn log(t: f32) -> f32 {
    let shifted = t.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let exponent = (shifted.cast_signed() >> 23) as f32;
    let g = f32::from_bits((shifted & 0x007f_ffff) + SQRT_HALF_BITS) - 1.0;
    exponent * LN_2 + (g + g * g * (g * horner(&LOG, g) - 0.5))
}

fn horner<const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    let mut sum = coefficients[0];
    for &next in &coefficients[1..] {
        sum = sum * x + next; // two roundings: Rust never contracts them into one
    }
    sum
}
