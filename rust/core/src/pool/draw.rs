//! Choosing entries: by priority, the hardest, all.

use super::LatentPool;
use crate::error::config;
use crate::{Result, philox};

/// Most places drawn before they are taken out of the tree.
const AT_ONCE: usize = 256;

impl LatentPool {
    /// Draw entries without replacement and return their ids, in the order drawn.
    ///
    /// The last `exploration` of them, rounded to the nearest whole number, are drawn with equal chances, the others
    /// with chances in proportion to the priorities of those left (2^-30 where the priority is 0). The pool is as before;
    /// choice j of a draw uses word block j of index `number`.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for more than there are, a negative number, or an exploration outside [0, 1].
    pub fn draw(&mut self, count: usize, number: i64, exploration: f64) -> Result<Vec<i64>> {
        let (by_priority, _) = shares(count, exploration)?;
        if count > self.len() {
            return config(format!("a draw of at most {} entries, as many as there are", self.len()), count);
        }
        check_number(number)?;
        let words = philox::philox(self.config.seed, self.config.stream, &[number], 4 * count)?;
        let (weighted, even) = words.as_chunks().0.split_at(by_priority);
        let (mut drawn, mut out) = (Vec::with_capacity(count), Vec::new());
        for words in weighted.chunks(AT_ONCE) {
            self.lend(&drawn, &mut out);
            drawn.extend(self.tree.draw(words));
        }
        for &words in even {
            self.lend(&drawn, &mut out);
            drawn.extend(self.tree.pick(words, true));
        }
        for (&place, weight) in drawn.iter().zip(out) {
            self.tree.give(place, weight);
        }
        Ok(drawn.iter().map(|&place| self.id(place)).collect())
    }

    /// Take those of the places drawn out of the tree that are not yet, and note their weights.
    fn lend(&mut self, drawn: &[usize], out: &mut Vec<u32>) {
        for &place in &drawn[out.len()..] {
            out.push(self.tree.weight(place));
            self.tree.give(place, 0);
        }
    }

    /// Return the ids of the entries of highest priority, hardest first, the lower place first of equals; fewer than
    /// `count` where there are fewer.
    #[must_use]
    pub fn hardest(&self, count: usize) -> Vec<i64> {
        self.tree.heaviest(count).into_iter().map(|place| self.id(place)).collect()
    }

    /// Return the ids of all entries, in the order of their places.
    #[must_use]
    pub fn ids(&self) -> Vec<i64> {
        self.filled().map(|place| self.id(place)).collect()
    }

    pub(super) fn filled(&self) -> impl Iterator<Item = usize> {
        (0..self.places.len()).filter(|&place| self.tree.weight(place) > 0)
    }
}

/// Return how many of a count are drawn by priority and how many evenly.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // a share of a count is at most that count
pub(crate) fn shares(count: usize, exploration: f64) -> Result<(usize, usize)> {
    if !(0.0..=1.0).contains(&exploration) {
        return config("an exploration in [0, 1]", exploration);
    }
    let evenly = ((count as f64 * exploration).round() as usize).min(count);
    Ok((count - evenly, evenly))
}

pub(crate) fn check_number(number: i64) -> Result<()> {
    if number < 0 { config("a draw number of at least 0", number) } else { Ok(()) }
}
