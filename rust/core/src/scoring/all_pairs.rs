//! Error rates of every pair of some embeddings.

mod accepted;
mod screen;

pub(crate) use accepted::accepted;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::buckets::{self, Bucketed, Known, bucket, merged};
use super::bytes::Maker;
use super::embeddings::{Embeddings, Exact, slack};
use super::product::{dot, tile};
use crate::curve::{OperatingPoint, Policy};
use crate::pairs::rate;
use crate::philox::philox;
use crate::rates::{Errors, Ranked, check_asked, most};
use crate::wide::widest;
use crate::{Error, Result, pairs, parallel};

/// Rows and columns of a tile of products.
const ROWS: usize = 256;
const COLUMNS: usize = 1024;

/// Pairs looked at to guess where the thresholds will lie.
const SAMPLE: usize = 1 << 20;

/// How many standard deviations a guess may be wrong.
const SURE: f64 = 4.0;

/// Two embeddings, by number, and their cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The lower number.
    pub first: u32,
    /// The higher one.
    pub second: u32,
    /// Their cosine in double precision.
    pub score: f64,
}

/// What [`rate_all_pairs`] returns.
#[derive(Clone, Debug, PartialEq)]
pub struct AllPairs {
    /// All mated pairs, by ascending score.
    pub mated: Vec<Pair>,
    /// Number of non-mated pairs.
    pub nonmated: usize,
    /// The operating point of each asked FMR; FNMR is NaN without mated pairs.
    pub points: Vec<OperatingPoint>,
    /// The errors at each asked threshold.
    pub fixed: Vec<OperatingPoint>,
    /// The highest scores of non-mated pairs, by descending score.
    pub tail: Vec<Pair>,
}

/// Return the error rates over every pair of embeddings: at asked FMRs (never above them) and at asked thresholds, with
/// the `tail` highest non-mated pairs.
///
/// Memory beyond the input: as much again for the directions, where the processor multiplies bytes two or four for each
/// number, 24 bytes a mated pair, 24 for each of the pairs within
/// rounding of a threshold or in the tail, and no table of scores. Counts, rates and thresholds are those of the cosines
/// in double precision.
///
/// # Errors
/// [`Error::Scores`] for no non-mated pair, or a rate or threshold out of range; [`Error::Data`] for another number of
/// subjects, a row without a direction, or where millions of pairs lie within rounding of a threshold;
/// [`Error::TooLarge`] for what does not fit in memory.
pub fn rate_all_pairs(
    embeddings: &Embeddings<'_>,
    subject: &[i64],
    fmrs: &[f64],
    thresholds: &[f64],
    tail: usize,
) -> Result<AllPairs> {
    rate_by(Maker::new(), embeddings, subject, (fmrs, thresholds, tail))
}

/// As [`rate_all_pairs`], by products of bytes if there is something that makes them; the answer is the same.
pub(super) fn rate_by(
    maker: Option<Maker>,
    embeddings: &Embeddings<'_>,
    subject: &[i64],
    (fmrs, thresholds, tail): (&[f64], &[f64], usize),
) -> Result<AllPairs> {
    check_asked(fmrs, thresholds)?;
    let squares = embeddings.squares()?;
    let world = World::new(embeddings, &squares, subject)?;
    let mated = world.mated()?;
    let genuine: Vec<f64> = mated.iter().map(|pair| pair.score).collect();
    let sample = world.sample()?;
    let guess = world.guess(&sample, (fmrs, thresholds, tail));
    let question = |nonmated: &Bucketed| {
        let errors = Errors { mated: &genuine, nonmated };
        let points: Vec<_> = fmrs.iter().map(|fmr| errors.at_fmr(*fmr, Policy::AtMost)).collect();
        let fixed: Vec<_> = thresholds.iter().map(|threshold| errors.point(*threshold)).collect();
        (points, fixed, nonmated.highest(tail))
    };
    let screened = match maker {
        Some(maker) => world.screened(maker, &sample, &guess, question)?,
        None => None,
    };
    let (points, fixed, tail) = match screened {
        Some(answer) => answer,
        None => world.surveyed(&guess, question)?,
    };
    let tail = tail.into_iter().map(|known| Pair { first: known.first, second: known.second, score: known.score });
    Ok(AllPairs { mated, nonmated: world.nonmated, points, fixed, tail: tail.collect() })
}

/// All embeddings, those of a subject side by side.
struct World<'a> {
    exact: Exact<'a>,
    dim: usize,
    unit: Vec<f32>,
    /// The embedding at each place.
    order: Vec<u32>,
    /// The place behind the last of its subject, for each place.
    end: Vec<usize>,
    nonmated: usize,
}

impl<'a> World<'a> {
    /// Refuses another number of subjects than of embeddings, and fewer than two subjects.
    fn new(embeddings: &'a Embeddings<'a>, squares: &'a [f64], subject: &[i64]) -> Result<Self> {
        let count = subject.len();
        if count != embeddings.len() {
            return crate::error::data(format!("a subject for each of {} embeddings", embeddings.len()), count);
        }
        let mut order: Vec<u32> = (0..).take(count).collect();
        order.sort_by_key(|place| subject[*place as usize]);
        let mut end = Vec::with_capacity(count);
        let mut nonmated = 0;
        for group in order.chunk_by(|a, b| subject[*a as usize] == subject[*b as usize]) {
            let stop = end.len() + group.len();
            end.resize(stop, stop);
            nonmated += group.len() * (count - stop);
        }
        if nonmated == 0 {
            return pairs::fail("embeddings of at least two subjects", format!("{count} of one"));
        }
        let unit = embeddings.unit(squares, &order)?;
        Ok(Self { exact: Exact { rows: *embeddings, squares }, dim: embeddings.dim(), unit, order, end, nonmated })
    }

    /// Return two places as a pair of numbers with their cosine.
    fn pair(&self, place: usize, other: usize) -> Pair {
        let (one, two) = (self.order[place], self.order[other]);
        let (first, second) = (one.min(two), one.max(two));
        Pair { first, second, score: self.exact.cosine(first as usize, second as usize) }
    }

    /// Return all mated pairs.
    fn mated(&self) -> Result<Vec<Pair>> {
        let total: usize = self.end.iter().enumerate().map(|(place, end)| end - place - 1).sum();
        let mut all = Vec::new();
        all.try_reserve_exact(total).map_err(|_| Error::TooLarge { rows: total, count: 1 })?;
        all.resize(total, Pair { first: 0, second: 0, score: 0.0 });
        let (mut work, mut rest) = (Vec::new(), all.as_mut_slice());
        for start in (0..self.end.len()).step_by(ROWS) {
            let places = start..(start + ROWS).min(self.end.len());
            let size = places.clone().map(|place| self.end[place] - place - 1).sum();
            let (here, behind) = rest.split_at_mut(size);
            work.push((places, here));
            rest = behind;
        }
        parallel::share(
            work,
            || (),
            |(), (places, here): (Range<usize>, &mut [Pair])| {
                let pairs = places.flat_map(|place| (place + 1..self.end[place]).map(move |other| (place, other)));
                here.iter_mut().zip(pairs).for_each(|(here, (place, other))| *here = self.pair(place, other));
            },
        );
        all.sort_unstable_by(|a, b| a.score.total_cmp(&b.score).then((a.first, a.second).cmp(&(b.first, b.second))));
        Ok(all)
    }

    /// Guess from some pairs which buckets the answers will be in; none where that would be too many pairs.
    fn guess(&self, sample: &Bucketed, (fmrs, thresholds, tail): (&[f64], &[f64], usize)) -> Vec<(usize, usize)> {
        let top = buckets::COUNT + 1;
        let around = |errors: usize, to_top: bool| {
            let (low, high) = spread(rate(errors, self.nonmated), sample.count());
            let to = high.filter(|_| !to_top).map_or(top, |rank| sample.stretch_of_rank(rank).1);
            (low.map_or(1, |rank| sample.stretch_of_rank(rank).0), to)
        };
        let mut asked: Vec<_> = fmrs.iter().map(|fmr| around(most(*fmr, self.nonmated), false)).collect();
        asked.extend(thresholds.iter().map(|threshold| sample.stretch_of_score(*threshold)));
        if tail > 0 {
            asked.push(around(tail.min(self.nonmated), true));
        }
        let asked = merged(&asked);
        let expected = rate(sample.within(&asked), sample.count().max(1)) * rate(self.nonmated, 1);
        if expected > rate(buckets::MOST, 2) { Vec::new() } else { asked }
    }

    /// Answer a question by products of bytes; none where they do not pay, or the guess was not good enough.
    fn screened<T>(
        &self,
        maker: Maker,
        sample: &Bucketed,
        guess: &[(usize, usize)],
        question: impl Fn(&Bucketed) -> T,
    ) -> Result<Option<T>> {
        let Some((counts, found)) = screen::screen(self, maker, sample, guess)? else { return Ok(None) };
        let mut known = Bucketed::new(&counts, slack(self.dim));
        known.learn(guess, found);
        let answer = question(&known);
        Ok(known.settled().then_some(answer))
    }

    /// Answer a question by products in single precision.
    fn surveyed<T>(&self, guess: &[(usize, usize)], question: impl Fn(&Bucketed) -> T) -> Result<T> {
        let Survey { counts, span, known: found } = self.survey(guess);
        let mut known = Bucketed::new(&counts, slack(self.dim));
        if let Some(found) = found {
            known.learn(guess, found);
        }
        known.ask(question, |flags| self.gather(&span, flags))
    }

    /// Count some pairs, drawn at random, by bucket.
    fn sample(&self) -> Result<Bucketed> {
        let words = philox(0, 0, &[0], 2 * SAMPLE)?;
        let counts = parallel::share(words.chunks(1 << 15).collect(), buckets::empty, |counts, words| {
            for pair in words.chunks_exact(2) {
                let (one, other) = (self.place(pair[0]), self.place(pair[1]));
                let (one, other) = (one.min(other), one.max(other));
                if other >= self.end[one] {
                    let (a, b) = (self.rows(one..one + 1), self.rows(other..other + 1));
                    let score = widest(
                        #[inline(always)]
                        || dot(a, b),
                    );
                    counts[bucket(score) as usize] += 1;
                }
            }
        });
        let mut sum = buckets::empty();
        for counts in counts {
            buckets::add(&mut sum, &counts);
        }
        Ok(Bucketed::new(&sum, slack(self.dim)))
    }

    #[allow(clippy::cast_possible_truncation)] // the upper half of a product is below the number of places
    fn place(&self, word: u32) -> usize {
        ((u64::from(word) * self.order.len() as u64) >> 32) as usize
    }

    fn rows(&self, places: Range<usize>) -> &[f32] {
        &self.unit[places.start * self.dim..places.end * self.dim]
    }

    /// Every tile of the upper triangle, by its first row and first column.
    fn tiles(&self) -> impl Iterator<Item = (usize, usize)> {
        let count = self.order.len();
        (0..count).step_by(ROWS).flat_map(move |row| (row..count).step_by(COLUMNS).map(move |column| (row, column)))
    }

    /// Look at all non-mated pairs once: count them by bucket, and return those of some stretches exactly, unless they
    /// are too many (`None`).
    fn survey(&self, asked: &[(usize, usize)]) -> Survey {
        let (flags, held) = (buckets::flags(asked), AtomicUsize::new(0));
        let start =
            || (Desk::default(), Survey { counts: buckets::empty(), span: Vec::new(), known: Some(Vec::new()) });
        let parts = parallel::share(self.tiles().collect(), start, |(desk, survey), corner| {
            let mut span = (u32::MAX, 0);
            self.each_row(desk, corner, |(low, high), buckets, place, first| {
                for bucket in buckets {
                    survey.counts[*bucket as usize] += 1;
                }
                span = (span.0.min(low), span.1.max(high));
                let any = asked.iter().any(|(from, to)| *from <= high as usize && (low as usize) < *to);
                let Some(known) = survey.known.as_mut().filter(|_| any) else { return };
                let before = known.len();
                self.collect(&flags, buckets, place, first, known);
                if held.fetch_add(known.len() - before, Ordering::Relaxed) > buckets::MOST {
                    survey.known = None;
                }
            });
            survey.span.push((corner, span));
        });
        let mut sum = Survey { counts: buckets::empty(), span: Vec::new(), known: Some(Vec::new()) };
        for (_, part) in parts {
            buckets::add(&mut sum.counts, &part.counts);
            sum.span.extend(part.span);
            sum.known = sum.known.zip(part.known).map(|(all, part)| [all, part].concat());
        }
        sum
    }

    /// Return all non-mated pairs of the flagged buckets, looking only at tiles that hold some.
    fn gather(&self, spans: &[Span], flags: &[bool]) -> Vec<Known> {
        let holds = |span: &&Span| flags[span.1.0.min(span.1.1) as usize..=span.1.1 as usize].contains(&true);
        let tiles = spans.iter().filter(holds).map(|span| span.0).collect();
        let start = || (Desk::default(), Vec::new());
        let parts = parallel::share(tiles, start, |(desk, known), corner| {
            self.each_row(desk, corner, |_, buckets, place, first| self.collect(flags, buckets, place, first, known));
        });
        parts.into_iter().flat_map(|(_, known)| known).collect()
    }

    /// Give for each row of a tile the lowest and the highest bucket of its non-mated pairs, all their buckets, the row's
    /// place, and that of the first column.
    #[inline]
    fn each_row(
        &self,
        desk: &mut Desk,
        (row, column): (usize, usize),
        mut look: impl FnMut((u32, u32), &[u32], usize, usize),
    ) {
        let count = self.order.len();
        let (rows, columns) = (row..(row + ROWS).min(count), column..(column + COLUMNS).min(count));
        desk.products.resize(rows.len() * columns.len(), 0.0);
        tile(self.rows(rows.clone()), self.rows(columns.clone()), self.dim, &mut desk.products);
        for (place, products) in rows.zip(desk.products.chunks_exact(columns.len())) {
            let first = columns.start.max(self.end[place]);
            if first < columns.end {
                let span = buckets::of_all(&products[first - columns.start..], &mut desk.buckets);
                look(span, &desk.buckets, place, first);
            }
        }
    }

    /// Compute exactly what is flagged in a row.
    fn collect(&self, flags: &[bool], buckets: &[u32], place: usize, first: usize, known: &mut Vec<Known>) {
        for (other, &bucket) in (first..).zip(buckets) {
            if flags[bucket as usize] {
                let Pair { first, second, score } = self.pair(place, other);
                known.push(Known { bucket, first, second, score });
            }
        }
    }
}

/// A tile, and the lowest and highest bucket of its pairs.
type Span = ((usize, usize), (u32, u32));

/// What one look at all pairs finds.
struct Survey {
    counts: Vec<u64>,
    span: Vec<Span>,
    known: Option<Vec<Known>>,
}

/// A thread's room for a tile.
#[derive(Default)]
struct Desk {
    products: Vec<f32>,
    buckets: Vec<u32>,
}

/// Ranks between which a share of the highest scores begins in a sample, all but surely; none beyond an end.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // a guess at ranks, below `sample`
fn spread(share: f64, sample: usize) -> (Option<usize>, Option<usize>) {
    let (centre, all) = (share * sample as f64, sample as f64);
    let reach = SURE * (centre * (1.0 - share)).sqrt() + SURE;
    let rank = |from_top: f64| (0.0..all).contains(&from_top).then(|| sample - 1 - from_top as usize);
    (rank(centre + reach), rank(centre - reach))
}
