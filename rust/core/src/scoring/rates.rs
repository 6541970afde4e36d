//! Error rates of a list of pairs.

use super::blocks::{Index, Pairs};
use super::buckets::{self, Bucketed, Known, bucket};
use super::embeddings::{Embeddings, Exact, slack};
use super::list::{Method, Scorer};
use crate::curve::{OperatingPoint, Policy, sort};
use crate::rates::{Errors, auc, check_asked};
use crate::{Result, pairs, parallel};

/// What [`rate_pairs`] returns.
#[derive(Clone, Debug, PartialEq)]
pub struct PairRates {
    /// Number of mated pairs.
    pub mated: usize,
    /// Number of non-mated pairs.
    pub nonmated: usize,
    /// The operating point of each asked FMR, never above it.
    pub points: Vec<OperatingPoint>,
    /// The one whose FMR is nearest.
    pub nearest: Vec<OperatingPoint>,
    /// The errors at each asked threshold.
    pub fixed: Vec<OperatingPoint>,
    /// Where FMR and FNMR are closest.
    pub equal_error: OperatingPoint,
    /// Probability that a mated pair scores above a non-mated one, whose score is in single precision.
    pub auc: f64,
}

/// Scores whose buckets are found in one go.
const AT_ONCE: usize = 4096;

/// Scores of a block's pairs, in the order of `Blocks::each`.
type Scores = Vec<(usize, Vec<f32>)>;

/// What a thread gathers.
struct Gathered {
    scores: Scores,
    counts: Vec<u64>,
    /// Twice the number of mated pairs above non-mated ones of the same bucket.
    above: u128,
}

/// Return the error rates of a list of labelled pairs by their cosines: at asked FMRs, at asked thresholds, the equal
/// error rate and the AUC.
///
/// Counts, rates and thresholds are those of the cosines in double precision.
///
/// # Errors
/// [`crate::Error::Scores`] for pairs of one kind only, or a rate or threshold out of range; [`crate::Error::Data`] for
/// unequal lengths, a row that does not exist, or one without a direction, or where millions of pairs lie within rounding
/// of a threshold; [`crate::Error::TooLarge`] for what does not fit in memory.
pub fn rate_pairs<I: Index>(
    embeddings: &Embeddings<'_>,
    (first, second, mated): (&[I], &[I], &[bool]),
    fmrs: &[f64],
    thresholds: &[f64],
) -> Result<PairRates> {
    check_asked(fmrs, thresholds)?;
    let genuine = mated.iter().filter(|&&mated| mated).count();
    if mated.len() != first.len() || genuine == 0 || genuine == mated.len() {
        let got = format!("{} pairs, {genuine} mated and {} non-mated", first.len(), mated.len() - genuine);
        return pairs::fail("mated and non-mated pairs, at least one of each", got);
    }
    let squares = embeddings.squares()?;
    let scorer = Scorer::new(embeddings, &squares, Pairs { first, second, mated }, Method::Auto)?;
    let exact = Exact { rows: *embeddings, squares: &squares };
    let genuine = mated_scores(&scorer.blocks.pairs, exact);
    let (scores, counts, above) = nonmated_scores(&scorer, &genuine);
    let nonmated = mated.len() - genuine.len();
    let auc = auc(above, genuine.len(), nonmated);
    let mut known = Bucketed::new(&counts, slack(embeddings.dim()));
    let question = |nonmated: &Bucketed| {
        let errors = Errors { mated: &genuine, nonmated };
        let points = |policy: Policy| fmrs.iter().map(|fmr| errors.at_fmr(*fmr, policy)).collect();
        let fixed: Vec<_> = thresholds.iter().map(|threshold| errors.point(*threshold)).collect();
        (points(Policy::AtMost), points(Policy::Nearest), fixed, errors.equal_error())
    };
    let (points, nearest, fixed, equal_error): (Vec<_>, Vec<_>, _, _) =
        known.ask(question, |flags| gather(&scorer, exact, &scores, flags))?;
    Ok(PairRates { mated: genuine.len(), nonmated, points, nearest, fixed, equal_error, auc })
}

/// Return the cosines of the mated pairs, ascending.
fn mated_scores<I: Index>(pairs: &Pairs<'_, I>, exact: Exact<'_>) -> Vec<f64> {
    let found = parallel::share((0..pairs.chunks()).collect(), Vec::new, |found, chunk| {
        for pair in pairs.chunk(chunk).filter(|pair| pairs.mated[*pair]) {
            found.push(exact.cosine(pairs.first[pair].checked(), pairs.second[pair].checked()));
        }
    });
    let mut scores = found.concat();
    sort(&mut scores);
    scores
}

/// Return the scores of the non-mated pairs by block, how many lie in each bucket, and twice the number of times that a
/// mated pair lies above a non-mated one, ties counted half.
fn nonmated_scores<I: Index>(scorer: &Scorer<'_, I>, genuine: &[f64]) -> (Scores, Vec<u64>, u128) {
    #[allow(clippy::cast_possible_truncation)] // rounded as the scores are that go into buckets
    let place = |number: usize| genuine.partition_point(|score| (bucket(*score as f32) as usize) < number);
    let start: Vec<usize> = (0..=buckets::COUNT + 1).map(place).collect();
    let empty = || (scorer.strip(), Gathered { scores: Vec::new(), counts: buckets::empty(), above: 0 });
    let found = parallel::share((0..scorer.blocks.count()).collect(), empty, |(strip, gathered), block| {
        let (scores, mut numbers) = (scorer.score(strip, block), Vec::new());
        for scores in scores.chunks(AT_ONCE) {
            buckets::of_all(scores, &mut numbers);
            for (score, number) in scores.iter().zip(&numbers) {
                let number = *number as usize;
                gathered.counts[number] += 1;
                if number > 0 && start[number] != start[number + 1] {
                    let rivals = &genuine[start[number]..start[number + 1]];
                    gathered.above += rivals.iter().map(|mated| twice_above(*mated, (*score).into())).sum::<u128>();
                }
            }
        }
        gathered.scores.push((block, scores));
    });
    let (mut scores, mut counts, mut above) = (Vec::new(), buckets::empty(), 0);
    for (_, part) in found {
        scores.extend(part.scores);
        buckets::add(&mut counts, &part.counts);
        above += part.above;
    }
    for (number, count) in counts.iter().enumerate().skip(1) {
        above += 2 * u128::from(*count) * (genuine.len() - start[number + 1]) as u128;
    }
    (scores, counts, above)
}

fn twice_above(mated: f64, nonmated: f64) -> u128 {
    u128::from(mated > nonmated) + u128::from(mated >= nonmated)
}

/// Return the cosines of all non-mated pairs in buckets whose flag is set.
fn gather<I: Index>(scorer: &Scorer<'_, I>, exact: Exact<'_>, scores: &Scores, flags: &[bool]) -> Vec<Known> {
    let start = || (Vec::new(), Vec::new());
    let found = parallel::share(scores.iter().collect(), start, |(found, numbers), (block, scores)| {
        for (part, scores) in scores.chunks(AT_ONCE).enumerate() {
            buckets::of_all(scores, numbers);
            for (place, &bucket) in numbers.iter().enumerate().filter(|(_, bucket)| flags[**bucket as usize]) {
                let (first, second) = scorer.blocks.pair(*block, part * AT_ONCE + place);
                let score = exact.cosine(first as usize, second as usize);
                found.push(Known { bucket, first, second, score });
            }
        }
    });
    found.into_iter().flat_map(|(found, _)| found).collect()
}
