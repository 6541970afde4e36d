//! Inner products of whole numbers of a byte each, a tile at a time.
//!
//! The one module with `unsafe`: it calls an instruction that not every processor has. Sums of whole numbers are exact,
//! so the instruction and its portable stand-in agree to the bit.

#![allow(unsafe_code)]

/// Rows and columns of a tile: as many sums as the registers hold.
pub const ROWS: usize = 6;
pub const COLUMNS: usize = 64;

/// Neighbouring numbers of one row or column that go into a word.
pub const GROUP: usize = 4;

/// The most numbers in a row, all that are multiplied with it together, for which no sum can leave 32 bits: each product
/// is below 2^15.
pub const MOST: usize = 1 << 16;

/// A word of each row of a tile: four numbers from -127 to 127.
pub type RowWords = [i32; ROWS];

/// A word of each column of a tile: four numbers from 0 to 255.
pub type ColumnWords = [i32; COLUMNS];

/// Rows and columns, as many words of each.
pub type Factors<'a> = (&'a [RowWords], &'a [ColumnWords]);

/// What makes the products.
#[derive(Clone, Copy, Debug)]
pub struct Maker(Way);

#[derive(Clone, Copy, Debug)]
enum Way {
    /// Only made where the processor has the instruction.
    #[cfg(target_arch = "x86_64")]
    Instruction,
    #[cfg_attr(not(test), allow(dead_code))] // without the instruction a product in single precision is quicker
    Portable,
}

/// What a tile holds: the sums, and a bit a column for those of a row that are not below what was asked.
pub struct Tile {
    pub sums: [[i32; COLUMNS]; ROWS],
    pub hits: [u64; ROWS],
}

impl Tile {
    pub fn new() -> Self {
        Self { sums: [[0; COLUMNS]; ROWS], hits: [0; ROWS] }
    }
}

impl Maker {
    /// The processor's instruction (AVX-512 VNNI), where it has it.
    pub fn new() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512vnni") {
            return Some(Self(Way::Instruction));
        }
        None
    }

    /// The same sums without the instruction.
    #[cfg(test)]
    pub fn portable() -> Self {
        Self(Way::Portable)
    }

    /// Multiply rows and columns and add what some such products come to, of [`MOST`] numbers together; return whether any
    /// sum is not below `least` of its row. `tile.hits` says which; `tile.sums` is written for rows that have one.
    pub fn multiply<const N: usize>(self, factors: [Factors<'_>; N], least: &[i32; ROWS], tile: &mut Tile) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Way::Instruction` is only made by `new`, once both features were found on this processor.
            Way::Instruction => unsafe { vnni::multiply(factors, least, tile) },
            Way::Portable => portable(&factors, least, tile),
        }
    }
}

fn portable(factors: &[Factors<'_>], least: &[i32; ROWS], tile: &mut Tile) -> bool {
    let mut sums = [[0_i32; COLUMNS]; ROWS];
    for (rows, columns) in factors.iter().flat_map(|(rows, columns)| rows.iter().zip(*columns)) {
        for (sums, row) in sums.iter_mut().zip(rows) {
            let row = row.to_ne_bytes().map(|byte| i32::from(byte.cast_signed()));
            for (sum, column) in sums.iter_mut().zip(columns) {
                let column = column.to_ne_bytes().map(i32::from);
                *sum += (0..GROUP).map(|place| row[place] * column[place]).sum::<i32>();
            }
        }
    }
    for row in 0..ROWS {
        let not_below = |column: usize| u64::from(sums[row][column] >= least[row]) << column;
        tile.hits[row] = (0..COLUMNS).map(not_below).sum();
        if tile.hits[row] != 0 {
            tile.sums[row] = sums[row];
        }
    }
    tile.hits != [0; ROWS]
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use std::arch::x86_64::{
        __m512i, _mm512_cmpge_epi32_mask, _mm512_dpbusd_epi32, _mm512_set1_epi32, _mm512_setzero_si512,
    };

    use super::{COLUMNS, Factors, ROWS, Tile};

    const LANES: usize = 16;
    const PARTS: usize = COLUMNS / LANES;

    /// As [`super::portable`].
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub fn multiply<const N: usize>(factors: [Factors<'_>; N], least: &[i32; ROWS], tile: &mut Tile) -> bool {
        let mut sums = [[_mm512_setzero_si512(); PARTS]; ROWS];
        for (rows, columns) in factors {
            for (rows, columns) in rows.iter().zip(columns) {
                let columns: [__m512i; PARTS] = pulp::cast(*columns);
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let row = _mm512_set1_epi32(*row);
                    for (sum, columns) in sums.iter_mut().zip(columns) {
                        *sum = _mm512_dpbusd_epi32(*sum, columns, row);
                    }
                }
            }
        }
        let mut any = 0;
        for row in 0..ROWS {
            let least = _mm512_set1_epi32(least[row]);
            let mut hits = 0;
            for (part, sums) in sums[row].iter().enumerate() {
                hits |= u64::from(_mm512_cmpge_epi32_mask(*sums, least)) << (LANES * part);
            }
            tile.hits[row] = hits;
            any |= hits;
            if hits != 0 {
                tile.sums[row] = pulp::cast(sums[row]);
            }
        }
        any != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::philox::philox;

    /// Words of numbers over their whole range, the lowest among rows left out.
    fn words(seed: u64, depth: usize) -> (Vec<RowWords>, Vec<ColumnWords>) {
        let words = philox(seed, 0, &[0], depth * (ROWS + COLUMNS)).unwrap();
        let (rows, columns) = words.split_at(depth * ROWS);
        let signed =
            |word: &u32| i32::from_ne_bytes(word.to_ne_bytes().map(|byte| if byte == 0x80 { 0x7F } else { byte }));
        let rows: Vec<i32> = rows.iter().map(signed).collect();
        let columns: Vec<i32> = columns.iter().map(|word| word.cast_signed()).collect();
        (rows.as_chunks().0.to_vec(), columns.as_chunks().0.to_vec())
    }

    fn both(rows: &[RowWords], columns: &[ColumnWords], least: &[i32; ROWS]) {
        let Some(maker) = Maker::new() else { return };
        let (mut one, mut other) = (Tile::new(), Tile::new());
        let any = maker.multiply([(rows, columns), (&rows[..rows.len() / 2], columns)], least, &mut one);
        assert_eq!(
            any,
            Maker::portable().multiply([(rows, columns), (&rows[..rows.len() / 2], columns)], least, &mut other)
        );
        assert_eq!((one.hits, one.sums), (other.hits, other.sums));
    }

    #[test]
    fn the_instruction_and_its_stand_in_agree() {
        let depths: &[usize] = if cfg!(miri) { &[0, 1, 2, 7] } else { &[0, 1, 2, 7, 32, 128, 1000] };
        for &depth in depths {
            let (rows, columns) = words(depth as u64, depth);
            both(&rows, &columns, &[i32::MIN; ROWS]);
            both(&rows, &columns, &[-20_000, 0, 1, 5000, 60_000, i32::MAX]);
        }
    }

    #[test]
    fn the_longest_rows_of_the_largest_numbers_stay_in_range() {
        for (row, column, expected) in [(127, 255, 255 * 127), (-127, 255, -255 * 127), (-127, 0, 0)] {
            let depth = if cfg!(miri) { 8 } else { MOST / GROUP };
            let rows = vec![[i32::from_ne_bytes([i8::cast_unsigned(row); GROUP]); ROWS]; depth];
            let columns = vec![[i32::from_ne_bytes([column; GROUP]); COLUMNS]; depth];
            let mut tile = Tile::new();
            assert!(Maker::portable().multiply([(&rows, &columns)], &[i32::MIN; ROWS], &mut tile));
            let sum = expected * i32::try_from(depth * GROUP).unwrap();
            assert!(tile.sums.iter().flatten().all(|found| *found == sum));
            // Half of them, and half of those again: no more than the most.
            let (rows, columns, sum) = (&rows[..depth / 2], &columns[..depth / 2], sum / 4 * 3);
            both(rows, columns, &[i32::MIN; ROWS]);
            both(rows, columns, &[sum, sum + 1, sum, sum, sum - 1, sum]);
        }
    }

    #[test]
    fn hits_are_the_sums_that_are_not_below() {
        let (rows, columns) = words(3, 5);
        let (mut all, mut some) = (Tile::new(), Tile::new());
        assert!(Maker::portable().multiply([(&rows, &columns)], &[i32::MIN; ROWS], &mut all));
        assert_eq!(all.hits, [u64::MAX; ROWS]);
        let least = all.sums.map(|sums| sums[17]);
        assert!(Maker::portable().multiply([(&rows, &columns)], &least, &mut some));
        for (row, least) in least.iter().enumerate() {
            for column in 0..COLUMNS {
                assert_eq!(some.hits[row] >> column & 1 == 1, all.sums[row][column] >= *least);
            }
        }
        assert!(!Maker::portable().multiply([(&rows, &columns)], &[i32::MAX; ROWS], &mut some));
        assert_eq!(some.hits, [0; ROWS]);
    }
}
