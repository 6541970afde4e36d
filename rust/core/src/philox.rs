//! Philox4x32-10: a random integer as a pure function of (seed, stream, index, element).
//!
//! Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The integers are those of
//! Random123's published vectors and of Triton's `tl.philox(seed, c0, c1, c2, c3)`.

use rayon::prelude::*;

use crate::{Error, Result, parallel};

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Blocks held on the stack between the two loops of `fill`.
const GROUP: usize = 32;
/// Elements of a row that one thread computes at a time; whole blocks.
const PIECE: usize = 1 << 14;
/// Below this many elements, handing work to other threads costs more than it saves.
const PARALLEL_FROM: usize = 1 << 16;

/// Return the four words of one counter under one key.
#[must_use]
pub fn block(mut key: [u32; 2], mut counter: [u32; 4]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let (low0, high0) = multiply(MULTIPLIER[0], counter[0]);
        let (low1, high1) = multiply(MULTIPLIER[1], counter[2]);
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
    }
    counter
}

/// Return random words, row-major `[index.len(), count]`.
///
/// Word e of the row of index i is word e % 4 of the block with key (seed low, seed high) and counter
/// (e / 4, i low, i high, stream), so any slice, order or number of threads gives the same numbers.
///
/// # Errors
/// [`Error::TooLarge`] where the result cannot be held.
pub fn philox(seed: u64, stream: u32, index: &[i64], count: usize) -> Result<Vec<u32>> {
    rows(seed, stream, index, count, |word| word)
}

/// As [`philox`], each word mapped to a number by `map`.
pub(crate) fn rows<T, F>(seed: u64, stream: u32, index: &[i64], count: usize, map: F) -> Result<Vec<T>>
where
    T: Copy + Default + Send,
    F: Fn(u32) -> T + Copy + Send + Sync,
{
    let too_large = Error::TooLarge { rows: index.len(), count };
    let Some(total) = index.len().checked_mul(count).filter(|_| u32::try_from(count / 4).is_ok()) else {
        return Err(too_large);
    };
    if Vec::<T>::new().try_reserve_exact(total).is_err() {
        return Err(too_large); // `vec!` would abort the process
    }
    let mut out = vec![T::default(); total]; // zeroed pages, which the threads below are the first to touch
    if total == 0 {
        return Ok(out);
    }
    let row = |(row, &index): (&mut [T], &i64)| fill(seed, stream, index, 0, row, map);
    if total < PARALLEL_FROM || !parallel::available() {
        out.chunks_exact_mut(count).zip(index).for_each(row);
    } else if count < PIECE {
        let least = PIECE / count;
        out.par_chunks_exact_mut(count).zip(index).with_min_len(least).for_each(row);
    } else {
        out.par_chunks_exact_mut(count).zip(index).for_each(|(row, &index)| {
            let pieces = row.par_chunks_mut(PIECE).enumerate();
            pieces.for_each(|(piece, part)| fill(seed, stream, index, piece * PIECE / 4, part, map));
        });
    }
    Ok(out)
}

/// Fill consecutive elements of one row, from word 0 of block `first`.
fn fill<T>(seed: u64, stream: u32, index: i64, first: usize, out: &mut [T], map: impl Fn(u32) -> T) {
    let key = halves(seed);
    let [low, high] = halves(index.cast_unsigned());
    let mut number = first_block(first);
    for part in out.chunks_mut(4 * GROUP) {
        // Words first, then numbers: the second loop is one the compiler turns into vector instructions. Blocks are not
        // interleaved by hand: rustc 1.95 (LLVM's SLP vectoriser, baseline x86-64) gave wrong words for eight lanes.
        let mut words = [[0; 4]; GROUP];
        for words in &mut words[..part.len().div_ceil(4)] {
            *words = block(key, [number, low, high, stream]);
            number = number.wrapping_add(1);
        }
        for (place, &word) in part.iter_mut().zip(words.as_flattened()) {
            *place = map(word);
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // the point of the function: both halves of the product
fn multiply(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    (product as u32, (product >> 32) as u32)
}

/// Return the words of one block of the row of an index.
pub(crate) fn words(seed: u64, stream: u32, index: i64, number: u32) -> [u32; 4] {
    let [low, high] = halves(index.cast_unsigned());
    block(halves(seed), [number, low, high, stream])
}

#[allow(clippy::cast_possible_truncation)] // the point of the function: both halves of the word
fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

#[allow(clippy::cast_possible_truncation)] // `rows` refuses rows of more than 2^32 blocks
fn first_block(block: usize) -> u32 {
    block as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of Random123 1.14, `kat_vectors`, `philox4x32 10`: (counter, key, words).
    const KNOWN: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];

    #[test]
    fn block_gives_the_published_words() {
        for (counter, key, words) in KNOWN {
            assert_eq!(block(key, counter), words);
        }
    }

    #[test]
    fn rows_are_blocks_whatever_the_compiler_made_of_them() {
        let key = std::hint::black_box([7, 9]);
        let row = philox(u64::from(key[1]) << 32 | u64::from(key[0]), 3, &[-2], 1003).unwrap();
        let blocks: Vec<u32> = (0..251).flat_map(|number| block(key, [number, u32::MAX - 1, u32::MAX, 3])).collect();
        assert_eq!(row, blocks[..1003]);
    }
}
