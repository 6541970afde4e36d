//! What is pushed, and what makes it acceptable.

use super::{HOPS, Hop};
use crate::Result;
use crate::error::data;
use crate::priority::check_cosines;

/// Lineages of n latents: a root index, and the perturbations that led from it to the latent.
#[derive(Clone, Copy, Debug)]
pub struct Lineages<'a> {
    /// Index of the root latent, `[n]`, at least 0.
    pub root: &'a [i64],
    /// Number of hops, `[n]`, 0 to 8.
    pub hops: &'a [i64],
    /// Index of each hop, row-major `[n, 8]`, at least 0; beyond `hops` unread.
    pub index: &'a [i64],
    /// Scale of each hop, row-major `[n, 8]`, finite and at least 0; beyond `hops` unread.
    pub scale: &'a [f32],
}

/// A batch of n entries to be.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals<'a> {
    /// Where the latents come from.
    pub lineage: Lineages<'a>,
    /// Cosine of student and teacher, row-major `[students, n]`.
    pub similarity: &'a [f32],
    /// The teacher's cosine between a face and its mirror image, `[n]`.
    pub reliability: &'a [f32],
    /// Group, `[n]`, 0 to 2^31 - 1, or -1 where unknown.
    pub group: &'a [i64],
    /// Images that training has seen; at least 0.
    pub images_seen: i64,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Id of each, `[n]`, or -1 where a pool that evicts the easiest refused it; one may have been evicted meanwhile.
    pub id: Vec<i64>,
    /// Ids that had to leave, in order.
    pub evicted: Vec<i64>,
}

impl Lineages<'_> {
    pub(super) fn row(&self, row: usize) -> impl DoubleEndedIterator<Item = Hop> {
        let hops = usize::try_from(self.hops[row]).unwrap_or(0);
        let first = row * HOPS;
        (first..first + hops).map(|at| Hop { index: self.index[at], scale: self.scale[at] })
    }

    fn check(&self) -> Result<()> {
        let count = self.root.len();
        check_length("hops", self.hops.len(), count)?;
        check_length("index", self.index.len(), count * HOPS)?;
        check_length("scale", self.scale.len(), count * HOPS)?;
        if let Some(&root) = self.root.iter().find(|&&root| root < 0) {
            return data("root indices of at least 0", root);
        }
        if let Some(&hops) = self.hops.iter().find(|hops| !(0..=8).contains(*hops)) {
            return data("0 to 8 hops", hops);
        }
        for hop in (0..count).flat_map(|row| self.row(row)) {
            hop.check()?;
        }
        Ok(())
    }
}

impl Hop {
    pub(super) fn check(self) -> Result<()> {
        if self.index < 0 {
            return data("hop indices of at least 0", self.index);
        }
        if !(self.scale.is_finite() && self.scale >= 0.0) {
            return data("finite hop scales of at least 0", self.scale);
        }
        Ok(())
    }
}

impl Arrivals<'_> {
    /// Return the number of entries.
    pub(super) fn check(&self, students: usize) -> Result<usize> {
        let count = self.lineage.root.len();
        self.lineage.check()?;
        check_similarity(self.similarity, students, count)?;
        check_length("reliability", self.reliability.len(), count)?;
        check_cosines("reliability", self.reliability)?;
        check_length("group", self.group.len(), count)?;
        if let Some(&group) = self.group.iter().find(|&&group| group < -1 || i32::try_from(group).is_err()) {
            return data("groups of -1 to 2147483647", group);
        }
        check_images_seen(self.images_seen)?;
        Ok(count)
    }
}

pub(super) fn check_similarity(similarity: &[f32], students: usize, count: usize) -> Result<()> {
    check_length("similarity", similarity.len(), students * count)?;
    check_cosines("similarity", similarity)
}

pub(super) fn check_images_seen(images_seen: i64) -> Result<()> {
    if images_seen < 0 { data("images_seen of at least 0", images_seen) } else { Ok(()) }
}

pub(super) fn check_length(name: &str, length: usize, expected: usize) -> Result<()> {
    if length == expected { Ok(()) } else { data(format!("`{name}` of {expected} numbers"), length) }
}
