//! A pool as bytes, and bytes as a pool again: versioned, summed, and read as what anyone may have written.
//!
//! Little-endian: `sdxpool` and a newline, version, settings, number of pushes, number of places; of each place its
//! generation, whether it is filled, the fixed columns, all similarities, its vector's float16 bits, and its hops; a
//! checksum. Pools without vectors write version 1, which has none; version 2 has their length behind the settings.
//! Weights are made anew. A reader's memory is at most about twice the file, whatever it says.

use super::chains::{Chains, Hop, NONE};
use super::vectors::is_finite;
use super::{Config, Eviction, HOPS, LatentPool, Place, Steer, VACANT};
use crate::parse::ParseError;
use crate::parse::cursor::Cursor;
use crate::priority::{is_cosine, weight};
use crate::tree::Tree;
use crate::{Error, Result};

const MAGIC: [u8; 8] = *b"sdxpool\n";
const PLAIN: u32 = 1;
const WITH_VECTORS: u32 = 2;
/// Bytes of a place without similarities and hops.
const FIXED: usize = 42;

/// Bytes of a hop.
const HOP: usize = 12;

type Parsed<T> = std::result::Result<T, ParseError>;

impl LatentPool {
    /// Return the whole state as bytes; equal states give equal bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where memory is short.
    pub fn snapshot(&self) -> Result<Vec<u8>> {
        let size = 128 + self.places.len() * (self.least() + HOP) + self.chains.bytes();
        let mut out = Vec::new();
        out.try_reserve_exact(size).map_err(|_| Error::TooLarge { rows: 1, count: size })?;
        out.extend(MAGIC);
        let version = if self.vectors.length() > 0 { WITH_VECTORS } else { PLAIN };
        out.extend(version.to_le_bytes());
        let Config { capacity, students, steer, smoothing, eviction, seed, stream } = self.config;
        let steer = match steer {
            Steer::Mean => 0,
            Steer::Hardest => 1,
            Steer::Student(student) => 2 + student as u64,
        };
        out.extend((capacity as u64).to_le_bytes());
        out.extend((students as u64).to_le_bytes());
        out.extend(steer.to_le_bytes());
        out.extend(smoothing.to_le_bytes());
        out.push(eviction as u8);
        out.extend(seed.to_le_bytes());
        out.extend(stream.to_le_bytes());
        if version == WITH_VECTORS {
            out.extend((self.vectors.length() as u64).to_le_bytes());
        }
        out.extend(self.pushed.to_le_bytes());
        out.extend((self.places.len() as u64).to_le_bytes());
        for place in 0..self.places.len() {
            self.write_place(place, &mut out);
        }
        out.extend(checksum(&out).to_le_bytes());
        Ok(out)
    }

    /// Bytes of a place without hops.
    fn least(&self) -> usize {
        FIXED + 8 * self.config.students + 2 * self.vectors.length()
    }

    fn write_place(&self, at: usize, out: &mut Vec<u8>) {
        let place = &self.places[at];
        out.extend(place.generation.to_le_bytes());
        out.push(u8::from(self.tree.weight(at) > 0));
        out.extend(self.tree.age(at).to_le_bytes());
        out.extend(place.root.to_le_bytes());
        out.extend(place.last_visit.to_le_bytes());
        out.extend(place.visits.to_le_bytes());
        out.extend(place.reliability.to_le_bytes());
        out.extend(place.group.to_le_bytes());
        out.push(place.hops);
        for value in self.latest(at).chain(self.smoothed(at)) {
            out.extend(value.to_le_bytes());
        }
        for bits in self.vectors.of(at) {
            out.extend(bits.to_le_bytes());
        }
        for hop in self.hops(at) {
            out.extend(hop.index.to_le_bytes());
            out.extend(hop.scale.to_le_bytes());
        }
    }
}

impl LatentPool {
    /// Make a pool from a snapshot's bytes.
    ///
    /// # Errors
    /// [`Error::Snapshot`] for bytes that no pool gave: truncated, damaged, of another version, or inconsistent;
    /// [`Error::Config`] for settings that no pool has; [`Error::TooLarge`] where memory is short.
    pub fn restore(file: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(file);
        if cursor.array()? != MAGIC {
            return Ok(cursor.fail("expected `sdxpool` and a newline, got another start")?);
        }
        let version = u32::from_le_bytes(cursor.array()?);
        if ![PLAIN, WITH_VECTORS].contains(&version) {
            return Ok(cursor.fail(format!("expected version 1 or 2, got {version}: another release wrote it"))?);
        }
        let body = file.len().saturating_sub(8);
        if file[body..] != checksum(&file[..body]).to_le_bytes() {
            return Ok(cursor.fail("expected the checksum of what stands before it: truncated or damaged")?);
        }
        let mut cursor = Cursor::new(&file[..body]);
        cursor.span(MAGIC.len() + size_of_val(&version))?;
        cursor.mark();
        let config = read_config(&mut cursor)?;
        let vector = if version == WITH_VECTORS { cursor.u64()? } else { 0 };
        if version == WITH_VECTORS && vector == 0 {
            return Ok(cursor.fail("expected vectors of at least one number, got 0")?);
        }
        let mut pool = Self::with_vectors(config, vector)?;
        let pushed = u64::from_le_bytes(cursor.array()?);
        if pushed >> 62 > 0 {
            return Ok(cursor.fail(format!("expected fewer than 2^62 pushes, got {pushed}"))?);
        }
        let places = cursor.u64()?;
        if places > config.capacity || places.checked_mul(pool.least()).is_none_or(|bytes| bytes > cursor.remaining()) {
            return Ok(cursor.fail(format!("expected places that the capacity and the file hold, got {places}"))?);
        }
        pool.pushed = pushed;
        pool.read_places(&mut cursor, places)?;
        Ok(pool)
    }

    fn read_places(&mut self, cursor: &mut Cursor, places: usize) -> Result<()> {
        let students = self.config.students;
        let too_large = |_| Error::TooLarge { rows: places, count: 18 + 2 * students };
        self.places.try_reserve_exact(places).map_err(too_large)?;
        self.others.try_reserve_exact(places * self.beside()).map_err(too_large)?;
        let (mut weights, mut ages) = (Vec::new(), Vec::new());
        weights.try_reserve_exact(places).map_err(too_large)?;
        ages.try_reserve_exact(places).map_err(too_large)?;
        self.vectors.reserve(places)?;
        for at in 0..places {
            cursor.mark();
            let (mut place, filled, age) = read_place(cursor)?;
            for kept in [&mut place.latest, &mut place.smoothed] {
                *kept = f32::from_le_bytes(cursor.array()?);
                for _ in 1..students {
                    self.others.push(f32::from_le_bytes(cursor.array()?));
                }
            }
            for _ in 0..self.vectors.length() {
                self.vectors.add(u16::from_le_bytes(cursor.array()?));
            }
            (place.first, place.chain) = read_hops(cursor, &mut self.chains, place.hops)?;
            self.places.push(place);
            let (mut similarity, vector) = (self.latest(at).chain(self.smoothed(at)), self.vectors.of(at));
            let fits = if filled {
                let finite = vector.iter().all(|&bits| is_finite(bits));
                age < self.pushed && place.is_sound() && similarity.all(is_cosine) && finite
            } else {
                let vacant = Place { generation: place.generation, ..VACANT };
                let zero = similarity.all(|value| value.to_bits() == 0) && vector.iter().all(|&bits| bits == 0);
                age == 0 && place == vacant && zero
            };
            if !fits {
                return Ok(cursor.fail(format!("expected place {at} as a pool leaves it, got other values"))?);
            }
            ages.push(age);
            weights.push(if filled { weight(self.priority(at)) } else { 0 });
        }
        cursor.mark();
        if cursor.remaining() > 0 {
            return Ok(cursor.fail(format!("expected the end, got {} more bytes", cursor.remaining()))?);
        }
        let mut taken: Vec<u64> =
            ages.iter().zip(&weights).filter(|(_, weight)| **weight > 0).map(|(&age, _)| age).collect();
        taken.sort_unstable();
        if taken.windows(2).any(|pair| pair[0] == pair[1]) {
            return Ok(cursor.fail("expected every push to have a number of its own, got one twice")?);
        }
        self.tree = Tree::new(self.config.eviction.leaver(), &weights, &ages);
        Ok(())
    }
}

impl Place {
    /// Whether a filled place holds what a push puts there; its hops have been checked.
    fn is_sound(&self) -> bool {
        self.root >= 0
            && self.last_visit >= 0
            && self.visits > 0
            && self.generation >> 31 == 0
            && is_cosine(self.reliability)
            && self.group >= -1
    }
}

fn read_config(cursor: &mut Cursor) -> Parsed<Config> {
    let (capacity, students, steer) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    let smoothing = f32::from_le_bytes(cursor.array()?);
    let eviction = match cursor.u8()? {
        0 => Eviction::Easiest,
        1 => Eviction::Oldest,
        2 => Eviction::Random,
        other => return cursor.fail(format!("expected rule of eviction 0, 1 or 2, got {other}")),
    };
    let steer = match steer {
        0 => Steer::Mean,
        1 => Steer::Hardest,
        student => Steer::Student(student - 2),
    };
    let (seed, stream) = (u64::from_le_bytes(cursor.array()?), u32::from_le_bytes(cursor.array()?));
    Ok(Config { capacity, students, steer, smoothing, eviction, seed, stream })
}

fn read_place(cursor: &mut Cursor) -> Parsed<(Place, bool, u64)> {
    let generation = u32::from_le_bytes(cursor.array()?);
    let filled = cursor.u8()?;
    let age = u64::from_le_bytes(cursor.array()?);
    let place = Place {
        root: i64::from_le_bytes(cursor.array()?),
        last_visit: i64::from_le_bytes(cursor.array()?),
        visits: u32::from_le_bytes(cursor.array()?),
        generation,
        reliability: f32::from_le_bytes(cursor.array()?),
        group: i32::from_le_bytes(cursor.array()?),
        hops: u8::from_le_bytes(cursor.array()?),
        ..VACANT
    };
    if filled > 1 || generation >> 31 > 0 || usize::from(place.hops) > HOPS {
        return cursor.fail("expected a generation below 2^31, filled or not, and at most 8 hops, got other values");
    }
    Ok((place, filled == 1, age))
}

fn read_hops(cursor: &mut Cursor, chains: &mut Chains, hops: u8) -> Result<(Hop, u32)> {
    let mut chain = [NONE; HOPS];
    let chain = &mut chain[..hops.into()];
    for hop in chain.iter_mut() {
        *hop = Hop { index: i64::from_le_bytes(cursor.array()?), scale: f32::from_le_bytes(cursor.array()?) };
        if hop.check().is_err() {
            return Ok(cursor.fail("expected hops with an index and a scale of at least 0, got other values")?);
        }
    }
    let mut hops = chain.iter().copied();
    chains.reserve(hops.len().saturating_sub(1))?;
    Ok((hops.next().unwrap_or(NONE), chains.add(hops)))
}

/// FNV-1a over words of eight bytes: each step is one-to-one, so that no change within one word goes unseen.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    let (words, rest) = bytes.as_chunks();
    let sum =
        words.iter().fold(bytes.len() as u64 ^ 0xcbf2_9ce4_8422_2325, |sum, word| step(sum, u64::from_le_bytes(*word)));
    rest.iter().fold(sum, |sum, &byte| step(sum, byte.into()))
}
