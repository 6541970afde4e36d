//! The non-mated pairs that a threshold accepts, a row at a time: there may be more of them than fit in memory.

use super::{Desk, World, buckets, parallel, slack};
use crate::Result;
use crate::scoring::buckets::Bucketed;
use crate::scoring::embeddings::Embeddings;

/// Give every non-mated pair whose cosine in double precision is `threshold` or more, once; return what each thread
/// gathered.
///
/// Places are those of the embeddings by ascending subject. `look` gets a place and words of 64 bits, each with its
/// number, one bit for each later place whose pair with it is accepted; a place may come several times, with other words.
///
/// # Errors
/// Those of [`super::rate_all_pairs`], but that it takes any number of pairs.
pub(crate) fn accepted<L: Send>(
    embeddings: &Embeddings<'_>,
    subject: &[i64],
    threshold: f64,
    start: impl Fn() -> L + Sync,
    look: impl Fn(&mut L, usize, &[(usize, u64)]) + Sync,
) -> Result<Vec<L>> {
    let squares = embeddings.squares()?;
    let world = World::new(embeddings, &squares, subject)?;
    // In these buckets single precision does not tell.
    let (from, to) = Bucketed::new(&buckets::empty(), slack(world.dim)).stretch_of_score(threshold);
    let room = || (Desk::default(), Vec::new(), start());
    let parts = parallel::share(world.tiles().collect(), room, |(desk, words, local), corner| {
        world.each_row(desk, corner, |(_, highest), buckets, place, first| {
            if (highest as usize) < from {
                return;
            }
            words.clear();
            let (mut other, end) = (first, first + buckets.len());
            while other < end {
                let (word, stop) = (other / 64, (other / 64 + 1) * 64);
                let mut bits = 0;
                for (other, &bucket) in (other..stop).zip(&buckets[other - first..]) {
                    let bucket = bucket as usize;
                    let is = bucket >= to || (bucket >= from && world.pair(place, other).score >= threshold);
                    bits |= u64::from(is) << (other % 64);
                }
                if bits != 0 {
                    words.push((word, bits));
                }
                other = stop;
            }
            look(local, place, words);
        });
    });
    Ok(parts.into_iter().map(|(_, _, local)| local).collect())
}
