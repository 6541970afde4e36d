//! How often every replicate has every image, in planes of bits, so that many pairs are weighed at once.
//!
//! With bit k of the weights of 64 images in one word, the pairs of an image of weight w with some of those weigh
//! w times the sum over k of 2^k times the number of bits that both words have.

use crate::wide::widest;
use crate::{Error, Result};

/// Weights of images in all replicates.
pub struct Planes {
    /// For each bit of the weights, `[words, replicates]`.
    bits: Vec<Vec<u64>>,
    words: usize,
    replicates: usize,
}

/// Weights of pairs, added up by replicate.
pub struct Tally {
    pub total: Vec<u64>,
    /// Of one row.
    row: Vec<u64>,
}

impl Planes {
    pub fn new(images: usize, replicates: usize) -> Self {
        Self { bits: Vec::new(), words: images.div_ceil(64), replicates }
    }

    /// Set the weight of an image, once.
    pub fn set(&mut self, replicate: usize, image: usize, weight: u32) -> Result<()> {
        let bits = (u32::BITS - weight.leading_zeros()) as usize;
        while self.bits.len() < bits {
            let (rows, count) = (self.words, self.replicates);
            let mut plane = Vec::new();
            let size = rows.checked_mul(count).ok_or(Error::TooLarge { rows, count })?;
            plane.try_reserve_exact(size).map_err(|_| Error::TooLarge { rows, count })?;
            plane.resize(size, 0);
            self.bits.push(plane);
        }
        let place = image / 64 * self.replicates + replicate;
        for (bit, plane) in self.bits[..bits].iter_mut().enumerate() {
            plane[place] |= u64::from(weight >> bit & 1) << (image % 64);
        }
        Ok(())
    }

    /// No pairs yet.
    pub fn tally(&self) -> Tally {
        Tally { total: vec![0; self.replicates], row: vec![0; self.replicates] }
    }

    /// Add the pairs of an image with those of some words, each with its number.
    pub fn add(&self, tally: &mut Tally, image: usize, words: &[(usize, u64)]) {
        if words.is_empty() {
            return;
        }
        let Tally { total, row } = tally;
        let of = |word: usize| word * self.replicates..(word + 1) * self.replicates;
        widest(
            #[inline(always)]
            || {
                row.fill(0);
                for &(word, bits) in words {
                    for (bit, plane) in self.bits.iter().enumerate() {
                        for (row, plane) in row.iter_mut().zip(&plane[of(word)]) {
                            *row += u64::from((bits & plane).count_ones()) << bit;
                        }
                    }
                }
                for (bit, plane) in self.bits.iter().enumerate() {
                    for ((total, row), plane) in total.iter_mut().zip(&*row).zip(&plane[of(image / 64)]) {
                        *total += (row << bit) * (plane >> (image % 64) & 1);
                    }
                }
            },
        );
    }
}
