//! Powers and exponentials of float64 by correctly rounded operations alone: the same bits on every CPU.
//!
//! The C library's differ between machines, and a draw must not. Relative error below 1e-13 where results are normal.

const LN_2: f64 = std::f64::consts::LN_2;
const SQRT_2: f64 = std::f64::consts::SQRT_2;

/// Return x^exponent for a finite x >= 0 and exponent >= 0; 0^0 is 1.
pub fn power(x: f64, exponent: f64) -> f64 {
    if exponent == 0.0 {
        1.0
    } else if x == 0.0 {
        0.0
    } else {
        exponential(exponent * logarithm(x))
    }
}

/// Return e^x, 0 far below and infinity far above.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
pub fn exponential(x: f64) -> f64 {
    let whole = (x / LN_2).round().clamp(-1100.0, 1100.0);
    let rest = (x - whole * LN_2).clamp(-1.0, 1.0);
    let series = (1..=16).rev().fold(1.0, |sum, n| 1.0 + rest / f64::from(n) * sum);
    let half = (whole / 2.0).floor(); // in two steps: 2^whole alone may not be a normal number
    let two_to = |n: f64| f64::from_bits(((n + 1023.0) as u64) << 52);
    series * two_to(half) * two_to(whole - half)
}

/// Natural logarithm of a positive finite number.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_wrap)] // an exponent
fn logarithm(x: f64) -> f64 {
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * 2f64.powi(64), -64.0) } else { (x, 0.0) };
    let mut exponent = ((x.to_bits() >> 52) as i64 - 1023) as f64 + shift;
    let mut mantissa = f64::from_bits((x.to_bits() & ((1 << 52) - 1)) | 1023 << 52);
    if mantissa > SQRT_2 {
        (mantissa, exponent) = (mantissa / 2.0, exponent + 1.0);
    }
    let s = (mantissa - 1.0) / (mantissa + 1.0); // ln m = 2 (s + s^3 / 3 + s^5 / 5 + ...), |s| <= 0.172
    let series = (0..=12).rev().fold(0.0, |sum, n| sum * s * s + 1.0 / f64::from(2 * n + 1));
    exponent * LN_2 + 2.0 * s * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_the_librarys_up_to_rounding() {
        for step in 0..2000_i32 {
            let x = f64::from(step) * 0.001_017 + f64::from(step % 7) * 1e-12;
            for exponent in [0.0, 0.25, 1.0, 1.7, 8.0] {
                let (got, want) = (power(x, exponent), x.powf(exponent));
                assert!((got - want).abs() <= 1e-13 * want, "{x}^{exponent}: {got} for {want}");
            }
            let y = f64::from(step - 1000) * 0.7;
            assert!((exponential(y) - y.exp()).abs() <= 1e-12 * y.exp(), "e^{y}");
        }
    }

    #[test]
    fn ends_are_the_limits() {
        assert_eq!((power(0.0, 0.0), power(0.0, 2.0), power(1.0, 5.0)), (1.0, 0.0, 1.0));
        assert_eq!((exponential(-1e9), exponential(f64::NEG_INFINITY), exponential(1e9)), (0.0, 0.0, f64::INFINITY));
        assert!((power(f64::from(f32::from_bits(1)), 1.0) / f64::from(f32::from_bits(1)) - 1.0).abs() < 1e-13);
    }
}
