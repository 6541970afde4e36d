//! A vector of each place in float16, where a pool is made to keep them.

use super::arrivals::check_length;
use crate::error::{config, data};
use crate::{Error, Result};

/// Most numbers of a vector.
pub(super) const MOST_NUMBERS: usize = 1 << 16;

/// Bits of infinity: finite numbers have less beside the sign.
const INFINITE: u16 = 0x7c00;

/// Vectors of one length, one of each place; none where the length is 0.
#[derive(Clone, Debug)]
pub struct Vectors {
    length: usize,
    /// Row-major `[places, length]`.
    bits: Vec<u16>,
}

impl Vectors {
    pub fn new(length: usize) -> Result<Self> {
        if length > MOST_NUMBERS {
            return config(format!("vectors of at most {MOST_NUMBERS} numbers"), length);
        }
        Ok(Self { length, bits: Vec::new() })
    }

    pub fn length(&self) -> usize {
        self.length
    }

    pub fn bytes(&self) -> usize {
        2 * self.bits.capacity()
    }

    /// Refuse what are no `count` vectors of this length, or numbers that round to none of float16.
    pub fn check(&self, given: &[f32], count: usize) -> Result<()> {
        check_length("vector", given.len(), count * self.length)?;
        match given.iter().position(|&number| half(number) & INFINITE == INFINITE) {
            Some(at) => {
                data("vectors of finite numbers within float16's range", format!("{} at position {at}", given[at]))
            }
            None => Ok(()),
        }
    }

    /// Make room for `more` places.
    pub fn reserve(&mut self, more: usize) -> Result<()> {
        let count = self.length;
        let failed = |_| Error::TooLarge { rows: more, count };
        self.bits.try_reserve_exact(more.saturating_mul(count)).map_err(failed)
    }

    /// Add a place.
    pub fn grow(&mut self) {
        self.bits.resize(self.bits.len() + self.length, 0);
    }

    /// Add a place with these bits.
    pub fn add(&mut self, bits: u16) {
        self.bits.push(bits);
    }

    /// Return the bits of a place.
    pub fn of(&self, place: usize) -> &[u16] {
        &self.bits[place * self.length..][..self.length]
    }

    pub fn set(&mut self, place: usize, given: &[f32]) {
        for (bits, &number) in self.bits[place * self.length..][..self.length].iter_mut().zip(given) {
            *bits = half(number);
        }
    }

    pub fn clear(&mut self, place: usize) {
        for bits in &mut self.bits[place * self.length..][..self.length] {
            *bits = 0;
        }
    }

    /// Return the vectors of places, row-major `[places.len(), length]`, each number as it is kept.
    pub fn read(&self, places: &[usize]) -> Result<Vec<f32>> {
        let mut numbers = Vec::new();
        let too_large = |_| Error::TooLarge { rows: places.len(), count: self.length };
        numbers.try_reserve_exact(places.len().saturating_mul(self.length)).map_err(too_large)?;
        numbers.extend(places.iter().flat_map(|&place| self.of(place)).map(|&bits| single(bits)));
        Ok(numbers)
    }
}

/// Whether the bits are those of a finite number.
pub fn is_finite(bits: u16) -> bool {
    bits & INFINITE != INFINITE
}

/// Round to float16, the nearest or the even one of two; what is beyond its range becomes infinite.
#[allow(clippy::cast_possible_truncation)] // each part fits where it is put
fn half(number: f32) -> u16 {
    let bits = number.to_bits();
    let (sign, size) = ((bits >> 16) as u16 & 0x8000, bits & 0x7fff_ffff);
    if size > 0x7f80_0000 {
        return sign | INFINITE | 0x200; // not a number
    }
    // Below 2^-14 numbers are multiples of 2^-24: those of float32 from 0.5 on, to which adding 0.5 rounds.
    if size < 0x3880_0000 {
        return sign | (f32::from_bits(size) + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits()) as u16;
    }
    // Exponents count from 15 instead of 127; 13 bits are rounded off, and a carry goes into the exponent as it should.
    let rounded = size - (112 << 23) + 0xfff + (size >> 13 & 1);
    sign | (rounded >> 13).min(u32::from(INFINITE)) as u16
}

/// Return the number that float16's bits are.
fn single(bits: u16) -> f32 {
    let (sign, size) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7fff));
    let number = match size {
        0..0x400 => f32::from(bits & 0x7fff) * (1.0 / 16_777_216.0), // multiples of 2^-24
        _ => f32::from_bits((size << 13) + (112 << 23)),
    };
    f32::from_bits(number.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_float16_is_kept_and_points_between_go_to_the_nearest() {
        for bits in 0..INFINITE {
            let number = single(bits);
            assert_eq!((half(number), half(-number)), (bits, bits | 0x8000));
            let next = if bits + 1 == INFINITE { 65536.0 } else { single(bits + 1) };
            assert!(number < next);
            let middle = f32::midpoint(number, next); // exact
            let (below, above) = (f32::from_bits(middle.to_bits() - 1), f32::from_bits(middle.to_bits() + 1));
            assert_eq!([half(below), half(middle), half(above)], [bits, bits + (bits & 1), bits + 1], "{number}");
        }
        assert_eq!([0x3c00, 0x0001, 0x0400, 0x7bff].map(single), [1.0, 2_f32.powi(-24), 2_f32.powi(-14), 65504.0]);
        assert!(
            [f32::NAN, f32::INFINITY, -f32::INFINITY, 65520.0, -1e30].iter().all(|&number| !is_finite(half(number)))
        );
        assert!([65519.996, -65519.996, 1e-30, f32::MIN_POSITIVE].iter().all(|&number| is_finite(half(number))));
    }
}
