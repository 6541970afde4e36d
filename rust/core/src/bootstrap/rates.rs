//! Rates of weighted pairs: sorted once, weighed anew in every replicate.

use super::subjects::Subjects;
use super::{AllPairs, Asked, Pairs, count};
use crate::Result;
use crate::pairs::{self, rate};
use crate::rates::most;

/// Scores of both kinds of pairs with their subjects.
pub struct Rates {
    /// Ascending.
    mated: Vec<f64>,
    mated_of: Vec<[u32; 2]>,
    /// Descending.
    nonmated: Vec<f64>,
    nonmated_of: Vec<[u32; 2]>,
    /// For each candidate threshold, ascending, the number of mated pairs below and of non-mated ones from it on; empty
    /// where non-mated pairs are missing.
    candidates: Vec<[usize; 2]>,
    /// Images of each subject and number of all non-mated pairs, where the list may lack some.
    whole: Option<(Vec<usize>, usize)>,
}

/// Weights of one replicate, added up.
#[derive(Default)]
pub struct Weights {
    /// Weight of the mated pairs before each place, `[mated + 1]`.
    below: Vec<usize>,
    /// Weight of the non-mated pairs before each place, `[nonmated + 1]`.
    above: Vec<usize>,
    mated: usize,
    /// Of all, whether in the list or not.
    pub nonmated: usize,
}

impl Rates {
    /// Sort pairs that were checked, given the numbers of their subjects; -0.0 becomes 0.0, for they are one score.
    pub fn of_pairs(pairs: &Pairs, sides: &[[u32; 2]]) -> Self {
        let of = |kind: bool| (0..sides.len()).filter(move |&pair| pairs.mated[pair] == kind);
        let take = |places: &[usize]| places.iter().map(|&place| (pairs.score[place] + 0.0, sides[place])).collect();
        let [mated, nonmated] = [true, false].map(|kind| take(&of(kind).collect::<Vec<usize>>()));
        Self::sorted(mated, nonmated, None)
    }

    /// Check and sort the mated pairs and the tail of the others.
    pub fn of_all_pairs(pairs: &AllPairs, subjects: &Subjects) -> Result<Self> {
        let rates = Self::of_mated(pairs, subjects)?;
        let all = rates.whole.as_ref().map_or(0, |whole| whole.1);
        if (1..=all).contains(&rates.nonmated.len()) {
            return Ok(rates);
        }
        pairs::fail(format!("1 to {all} non-mated scores"), rates.nonmated.len().to_string())
    }

    /// As `of_all_pairs`, where the tail may be empty.
    pub fn of_mated(pairs: &AllPairs, subjects: &Subjects) -> Result<Self> {
        let number: Vec<u32> = pairs.subject.iter().map(|&id| subjects.number(id)).collect();
        let mated = with_sides("mated", pairs.mated_score, pairs.mated, &number)?;
        let tail = with_sides("non-mated", pairs.tail_score, pairs.tail, &number)?;
        let mut images = vec![0_usize; subjects.len()];
        for &subject in &number {
            images[subject as usize] += 1;
        }
        let all_mated: usize = images.iter().map(|&images| images * images.saturating_sub(1) / 2).sum();
        let all = between_subjects(images.iter().copied());
        if mated.len() != all_mated {
            return pairs::fail(format!("all {all_mated} mated pairs"), mated.len().to_string());
        }
        Ok(Self::sorted(mated, tail, Some((images, all))))
    }

    fn sorted(
        mut mated: Vec<(f64, [u32; 2])>,
        mut nonmated: Vec<(f64, [u32; 2])>,
        whole: Option<(Vec<usize>, usize)>,
    ) -> Self {
        mated.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        nonmated.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let (mated, mated_of): (Vec<f64>, Vec<_>) = mated.into_iter().unzip();
        let (nonmated, nonmated_of): (Vec<f64>, Vec<_>) = nonmated.into_iter().unzip();
        let mut rates = Self { mated, mated_of, nonmated, nonmated_of, candidates: Vec::new(), whole };
        if rates.is_whole() {
            let mut all = [rates.mated.as_slice(), rates.nonmated.as_slice()].concat();
            all.sort_unstable_by(f64::total_cmp);
            all.dedup();
            let places = |&threshold: &f64| [rates.mated_below(threshold), rates.nonmated_from(threshold)];
            let candidates = all.iter().map(places).chain([[rates.mated.len(), 0]]).collect();
            rates.candidates = candidates;
        }
        rates
    }

    /// Number of non-mated pairs in the list.
    pub fn nonmated(&self) -> usize {
        self.nonmated.len()
    }

    /// Refuse thresholds below which there may be pairs that the list lacks.
    pub fn check_thresholds(&self, thresholds: &[f64]) -> Result<()> {
        let lowest = self.nonmated[self.nonmated.len() - 1];
        match thresholds.iter().find(|&&threshold| threshold <= lowest && !self.is_whole()) {
            Some(threshold) => {
                pairs::fail(format!("thresholds above the tail's end at {lowest}"), threshold.to_string())
            }
            None => Ok(()),
        }
    }

    /// Weigh all pairs by how often their subjects come up; return whether there are any of both kinds.
    pub fn weigh(&self, weight: &[u32], weights: &mut Weights) -> bool {
        sum(&self.mated_of, weight, &mut weights.below);
        sum(&self.nonmated_of, weight, &mut weights.above);
        weights.mated = weights.below[self.mated.len()];
        weights.nonmated = match &self.whole {
            Some((images, _)) => {
                between_subjects(images.iter().zip(weight).map(|(&images, &drawn)| images * drawn as usize))
            }
            None => weights.above[self.nonmated.len()],
        };
        (weights.mated > 0 || self.mated.is_empty()) && weights.nonmated > 0
    }

    /// Return thresholds and FNMRs at the asked rates, FMRs and FNMRs at the asked thresholds, and the EER where it is
    /// known; the length of tail that is needed where this one ends too early.
    pub fn row(&self, weights: &Weights, asked: &Asked) -> std::result::Result<Vec<f64>, usize> {
        let points: Vec<Option<(f64, f64)>> = asked.fmrs.iter().map(|&fmr| self.at_fmr(weights, fmr)).collect();
        let missing = points.iter().zip(asked.fmrs).filter(|(point, _)| point.is_none());
        if let Some(needed) = missing.map(|(_, &fmr)| self.tail_for(most(fmr, weights.nonmated), weights)).max() {
            return Err(needed);
        }
        let points = || points.iter().flatten();
        let fixed = |share: &dyn Fn(f64) -> f64| asked.thresholds.iter().map(|&at| share(at)).collect::<Vec<f64>>();
        let mut row: Vec<f64> = points().map(|point| point.0).chain(points().map(|point| point.1)).collect();
        row.extend(fixed(&|at| rate(weights.above[self.nonmated_from(at)], weights.nonmated)));
        row.extend(fixed(&|at| self.fnmr(weights, at)));
        row.extend(self.equal_error(weights));
        Ok(row)
    }

    /// FNMR at a threshold.
    pub fn fnmr(&self, weights: &Weights, threshold: f64) -> f64 {
        rate(weights.below[self.mated_below(threshold)], weights.mated)
    }

    /// Threshold and FNMR at an asked FMR, at most; none where it lies beyond the list.
    fn at_fmr(&self, weights: &Weights, fmr: f64) -> Option<(f64, f64)> {
        let Weights { below, above, .. } = weights;
        let allowed = most(fmr, weights.nonmated);
        let within = last(above, |weight| weight <= allowed);
        let refused = match self.nonmated.get(within) {
            Some(&refused) => refused,
            None if self.is_whole() => f64::NEG_INFINITY, // none need be refused
            None => return None,
        };
        let rejected = below[self.mated.partition_point(|&score| score <= refused)];
        let accepted = above[self.nonmated.partition_point(|&score| score > refused)];
        // The lowest scores above that the replicate has.
        let mated = self.mated.get(last(below, |weight| weight <= rejected));
        let nonmated = (accepted > 0).then(|| self.nonmated[last(above, |weight| weight < accepted)]);
        let threshold = match (mated, nonmated) {
            (Some(&one), Some(other)) => one.min(other),
            (Some(&one), None) => one,
            (None, Some(other)) => other,
            (None, None) => refused.next_up(),
        };
        Some((threshold, rate(rejected, weights.mated)))
    }

    /// The mean of FMR and FNMR where they are closest; none where pairs are missing.
    fn equal_error(&self, weights: &Weights) -> Option<f64> {
        // Both rates over their common denominator.
        let errors = |&[below, from]: &[usize; 2]| {
            let over = |part: usize, other: usize| part as u128 * other as u128;
            (over(weights.above[from], weights.mated), over(weights.below[below], weights.nonmated))
        };
        let gap = |place: &[usize; 2]| {
            let (fmr, fnmr) = errors(place);
            fmr.abs_diff(fnmr)
        };
        let crossed = self.candidates.partition_point(|place| {
            let (fmr, fnmr) = errors(place);
            fmr > fnmr
        });
        let above = self.candidates.get(crossed)?;
        let below = crossed.checked_sub(1).map(|place| &self.candidates[place]);
        let closest = below.filter(|below| gap(below) < gap(above)).unwrap_or(above);
        let fmr = rate(weights.above[closest[1]], weights.nonmated);
        Some(f64::midpoint(fmr, rate(weights.below[closest[0]], weights.mated)))
    }

    /// About how long a tail has a weight of more than `allowed`: at the weight that this one's pairs have, or, where it
    /// is too short to tell, at most twice what pairs of the mean weight need.
    fn tail_for(&self, allowed: usize, weights: &Weights) -> usize {
        let (have, all) = (self.nonmated.len(), self.whole.as_ref().map_or(0, |whole| whole.1));
        let scaled = |pairs: usize, weight: usize| {
            let needed = (allowed as u128 + 1) * pairs as u128;
            usize::try_from(needed.div_ceil(weight.max(1) as u128)).map_or(all, |needed| needed.min(all))
        };
        let (own, mean) = (scaled(have, weights.above[have]), scaled(all, weights.nonmated));
        let needed = if have < mean { own.min(2 * mean) } else { own };
        needed.clamp(have + 1, all)
    }

    fn is_whole(&self) -> bool {
        self.whole.as_ref().is_none_or(|whole| whole.1 == self.nonmated.len())
    }

    fn mated_below(&self, threshold: f64) -> usize {
        self.mated.partition_point(|&score| score < threshold)
    }

    fn nonmated_from(&self, threshold: f64) -> usize {
        self.nonmated.partition_point(|&score| score >= threshold)
    }
}

/// The last place of an ascending list at which `holds` is true; the first place counts as such.
fn last(values: &[usize], holds: impl Fn(usize) -> bool) -> usize {
    values.partition_point(|&value| holds(value)).saturating_sub(1)
}

/// Weight of all pairs of different subjects, from how many faces each has: half of the square of the sum less the squares.
fn between_subjects(faces: impl Iterator<Item = usize>) -> usize {
    let add = |(sum, squares): (u128, u128), faces: usize| (sum + faces as u128, squares + (faces as u128).pow(2));
    let (sum, squares) = faces.fold((0, 0), add);
    ((sum * sum - squares) / 2).try_into().unwrap_or(usize::MAX)
}

fn sum(sides: &[[u32; 2]], weight: &[u32], out: &mut Vec<usize>) {
    out.clear();
    out.push(0);
    let mut total = 0;
    out.extend(sides.iter().map(|&side| {
        total += count(weight, side);
        total
    }));
}

/// Scores with the subjects of both images.
fn with_sides(kind: &str, score: &[f64], images: [&[i64]; 2], subject: &[u32]) -> Result<Vec<(f64, [u32; 2])>> {
    if images.iter().any(|side| side.len() != score.len()) {
        let got = format!("{} and {} for {}", images[0].len(), images[1].len(), score.len());
        return pairs::fail(format!("two images a {kind} score"), got);
    }
    let of = |image: i64| usize::try_from(image).ok().and_then(|image| subject.get(image)).copied();
    let pair = |place: usize| {
        let (score, one, other) = (score[place], images[0][place], images[1][place]);
        if !score.is_finite() {
            return pairs::fail("finite scores", format!("{score} at position {place} of the {kind} ones"));
        }
        let got = || format!("images {one} and {other} of {} in {kind} pair {place}", subject.len());
        match (of(one), of(other)) {
            (Some(first), Some(second)) if (first == second) == (kind == "mated") && one != other => {
                Ok((score + 0.0, [first, second]))
            }
            (Some(_), Some(_)) => pairs::fail("two images, of one subject where they are mated and else of two", got()),
            _ => pairs::fail("numbers of images", got()),
        }
    };
    (0..score.len()).map(pair).collect()
}
