//! Hops of all entries but their first ones in one arena: sixteen bytes each, and none for those that an entry has not.

use std::hint::black_box;

use super::HOPS;
use crate::{Error, Result};

/// No hop: the end of a chain, and the chain without any.
pub const END: u32 = u32::MAX;

/// What stands for a hop where there is none.
pub const NONE: Hop = Hop { index: 0, scale: 0.0 };

/// One perturbation on the way from a root to a latent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hop {
    /// Index of the image that the perturbation's random numbers are keyed by; at least 0.
    pub index: i64,
    /// Size of the perturbation; finite, at least 0.
    pub scale: f32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    index: i64, // a Hop's fields, not a Hop: 16 bytes instead of 24
    scale: f32,
    next: u32,
}

/// Chains of hops, each named by its first link.
#[derive(Clone, Debug)]
pub struct Chains {
    links: Vec<Link>,
    free: u32,
}

impl Chains {
    pub fn new() -> Self {
        Self { links: Vec::new(), free: END }
    }

    pub fn bytes(&self) -> usize {
        size_of::<Link>() * self.links.capacity()
    }

    /// Make room for `more` hops; by eighths, as doubling would leave half of a large arena idle.
    pub fn reserve(&mut self, more: usize) -> Result<()> {
        if self.links.capacity() - self.links.len() >= more {
            return Ok(());
        }
        let more = more.max(self.links.len() / 8);
        self.links.try_reserve_exact(more).map_err(|_| Error::TooLarge { rows: more, count: HOPS })
    }

    /// Keep a chain and return its name. There are at most 2^31 hops: 2^28 entries of eight.
    pub fn add(&mut self, hops: impl DoubleEndedIterator<Item = Hop>) -> u32 {
        hops.rev().fold(END, |next, hop| {
            let link = Link { index: hop.index, scale: hop.scale, next };
            if let Some(place) = self.links.get_mut(self.free as usize) {
                let at = self.free;
                self.free = place.next;
                *place = link;
                return at;
            }
            self.links.push(link);
            u32::try_from(self.links.len() - 1).expect("fewer than 2^32 hops")
        })
    }

    /// Forget a chain.
    pub fn remove(&mut self, first: u32) {
        let mut at = first;
        while let Some(link) = self.links.get_mut(at as usize) {
            let next = std::mem::replace(&mut link.next, self.free);
            self.free = at;
            at = next;
        }
    }

    /// Return a chain's hops, the root's first.
    pub fn hops(&self, first: u32) -> impl Iterator<Item = Hop> {
        let link = |at: u32| self.links.get(at as usize);
        std::iter::successors(link(first), move |at| link(at.next))
            .map(|link| Hop { index: link.index, scale: link.scale })
    }

    /// Take the hops of many chains: number of the chain, of the hop, and the hop; the first of all, then the second, ...,
    /// for links are far apart in memory and those of different chains are waited for together.
    pub fn each(&self, first: impl Iterator<Item = u32>, mut take: impl FnMut(usize, usize, Hop)) {
        let mut open: Vec<(usize, u32)> = first.enumerate().filter(|&(_, at)| at != END).collect();
        for hop in 0..HOPS {
            // Nothing but reads, so that many are under way at once.
            black_box(open.iter().map(|&(_, at)| self.links[at as usize].next).fold(0, u32::wrapping_add));
            open.retain_mut(|(chain, at)| {
                let link = &self.links[*at as usize];
                take(*chain, hop, Hop { index: link.index, scale: link.scale });
                *at = link.next;
                link.next != END
            });
        }
    }
}
