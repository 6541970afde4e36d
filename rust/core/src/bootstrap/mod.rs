//! Subject bootstrap: how error rates move when other people are drawn.
//!
//! Pairs that share a person are not independent, so people are resampled, not pairs. A replicate draws as many subjects
//! as there are, with replacement; w is how often a subject comes up. A mated pair of subject s counts `w_s`: each copy
//! brings its own mated pairs (Bolle, Ratha and Pankanti, CVIU 93, 2004). A non-mated pair of i and j counts `w_i w_j`:
//! every copy of the one meets every copy of the other (Owen, "The pigeonhole bootstrap", 2007). Copies of one subject
//! never meet, for those pairs were never made. All counting is in integers; a rate is the last division.
//!
//! Replicate r is a function of (seed, stream, r) and of which subject is in which pair, not of scores, of how many
//! replicates are asked for or of threads: two models' replicates on the same pairs are of the same people.

mod folds;
mod planes;
mod rates;
mod subjects;

use crate::error::config;
use crate::pairs::{self, rate};
use crate::rates::check_asked;
use crate::scoring::{Embeddings, accepted};
use crate::tenfold::Protocol;
use crate::{Result, parallel};
use folds::Folds;
use planes::Planes;
use rates::Rates;
use subjects::Subjects;

/// Most replicates of one call.
const MOST: usize = 1_000_000;

/// What keys the replicates, and how many there are.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Seed of the draw.
    pub seed: u64,
    /// Philox stream of the draw.
    pub stream: u32,
    /// How many, 1 to 1,000,000.
    pub replicates: usize,
}

/// A list of pairs with the subjects of both sides; mated exactly where they are the same.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    /// A number a pair, finite.
    pub score: &'a [f64],
    /// Whether a pair is of one subject.
    pub mated: &'a [bool],
    /// Subject of the first face.
    pub first: &'a [i64],
    /// Subject of the second face.
    pub second: &'a [i64],
}

/// All pairs of a set of images: every mated one, and of the non-mated ones those that score highest.
#[derive(Clone, Copy, Debug)]
pub struct AllPairs<'a> {
    /// Subject of each image, `[n]`.
    pub subject: &'a [i64],
    /// Score of each mated pair, every one of them, in any order.
    pub mated_score: &'a [f64],
    /// Images of the mated pairs.
    pub mated: [&'a [i64]; 2],
    /// The highest scores of non-mated pairs, in any order.
    pub tail_score: &'a [f64],
    /// Images of those.
    pub tail: [&'a [i64]; 2],
}

/// What is asked of every replicate.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// False match rates, each answered at the lowest threshold that does not exceed it.
    pub fmrs: &'a [f64],
    /// Thresholds fixed beforehand; scores from there on are accepted.
    pub thresholds: &'a [f64],
}

/// Rates of every replicate.
#[derive(Clone, Debug, PartialEq)]
pub struct Replicates {
    /// Threshold at each asked FMR, row-major `[fmrs, replicates]`.
    pub threshold: Vec<f64>,
    /// FNMR there, likewise.
    pub fnmr: Vec<f64>,
    /// FMR at each fixed threshold, row-major `[thresholds, replicates]`.
    pub fixed_fmr: Vec<f64>,
    /// FNMR at each fixed threshold, likewise.
    pub fixed_fnmr: Vec<f64>,
    /// Equal error rate, `[replicates]`; empty where only a tail of the non-mated pairs is known.
    pub eer: Vec<f64>,
}

/// Return the rates of every replicate of a list of pairs. A replicate without a mated or without a non-mated pair is
/// drawn again.
///
/// # Errors
/// [`crate::Error::Scores`] for what [`crate::curve::Curve`] refuses, for labels that contradict the subjects, for rates
/// outside [0, 1], thresholds that are NaN, and too few subjects for both kinds of pairs to be drawn;
/// [`crate::Error::Config`] for a number of replicates out of range.
pub fn of_pairs(pairs: &Pairs, asked: &Asked, draw: &Draw) -> Result<Replicates> {
    check(asked, draw)?;
    let (subjects, sides) = check_pairs("score", pairs)?;
    resample(&Rates::of_pairs(pairs, &sides), &subjects, asked, draw)
}

/// As [`of_pairs`], of all pairs of a set of images.
///
/// The weight of all non-mated pairs follows from the images of each subject: with `v_s` = images x `w_s` it is half of
/// `(sum v)^2 - sum v^2`. Where all non-mated pairs are in the tail, the EER is there too.
///
/// # Errors
/// As there, for indices that name no image, for mated pairs that are missing, and where a threshold lies beyond the tail:
/// then the message says about how many scores are needed.
pub fn of_all_pairs(pairs: &AllPairs, asked: &Asked, draw: &Draw) -> Result<Replicates> {
    check(asked, draw)?;
    let subjects = Subjects::new(pairs.subject.iter())?;
    let rates = Rates::of_all_pairs(pairs, &subjects)?;
    rates.check_thresholds(asked.thresholds)?;
    resample(&rates, &subjects, asked, draw)
}

/// As [`of_all_pairs`], at one threshold however many non-mated pairs it accepts: they are compared anew, and none is held.
///
/// Memory beyond that for the mated pairs: a few bits for each image in each replicate, and as much again as the
/// embeddings. `mated` are the images of every mated pair.
///
/// # Errors
/// Those of [`of_all_pairs`] and [`crate::scoring::rate_all_pairs`], whatever the number of pairs accepted.
pub fn at_threshold(
    embeddings: &Embeddings<'_>,
    subject: &[i64],
    mated_score: &[f64],
    mated: [&[i64]; 2],
    threshold: f64,
    draw: &Draw,
) -> Result<Replicates> {
    let asked = Asked { fmrs: &[], thresholds: &[threshold] };
    check(&asked, draw)?;
    let subjects = Subjects::new(subject.iter())?;
    let rates =
        Rates::of_mated(&AllPairs { subject, mated_score, mated, tail_score: &[], tail: [&[], &[]] }, &subjects)?;
    let mut at: Vec<u32> = subject.iter().map(|&id| subjects.number(id)).collect();
    at.sort_unstable(); // as `accepted` has them
    let mut planes = Planes::new(subject.len(), draw.replicates);
    let Scratch { subject: mut drawn, mut weights, .. } = Scratch::default();
    let (mut all, mut fixed_fnmr) = (Vec::new(), Vec::new());
    for replicate in 0..draw.replicates {
        subjects.draw(draw, replicate, &mut drawn, |weight| rates.weigh(weight, &mut weights))?;
        for (image, &subject) in at.iter().enumerate() {
            planes.set(replicate, image, drawn[subject as usize])?;
        }
        all.push(weights.nonmated);
        fixed_fnmr.push(rates.fnmr(&weights, threshold));
    }
    let parts = accepted(
        embeddings,
        subject,
        threshold,
        || planes.tally(),
        |tally, image, words| planes.add(tally, image, words),
    )?;
    let false_matches = |replicate: usize| parts.iter().map(|part| part.total[replicate]).sum::<u64>();
    let fmr = |(replicate, all): (usize, usize)| rate(usize::try_from(false_matches(replicate)).unwrap_or(all), all);
    let fixed_fmr = all.into_iter().enumerate().map(fmr).collect();
    Ok(Replicates { threshold: Vec::new(), fnmr: Vec::new(), fixed_fmr, fixed_fnmr, eer: Vec::new() })
}

/// Return the ten-fold accuracy of every replicate, `[replicates]`; scores are squared distances, in file order.
///
/// Pairs stay in their folds and count as often as the replicate has them: in the choice of thresholds, and in each fold's
/// share of correct decisions. The mean is over the folds in which there are pairs.
///
/// # Errors
/// As [`of_pairs`], and for fewer than ten pairs.
pub fn of_accuracy(pairs: &Pairs, protocol: Protocol, draw: &Draw) -> Result<Vec<f64>> {
    check(&Asked { fmrs: &[], thresholds: &[] }, draw)?;
    let (subjects, sides) = check_pairs("distance", pairs)?;
    let folds = Folds::new(pairs.score, pairs.mated, protocol)?;
    each(draw.replicates, |scratch: &mut Scratch, replicate| {
        subjects.draw(draw, replicate, &mut scratch.subject, |weight| {
            scratch.pair.clear();
            scratch.pair.extend(sides.iter().map(|&side| count(weight, side)));
            let of = |kind: bool| scratch.pair.iter().zip(pairs.mated).any(|(&pair, &mated)| pair > 0 && mated == kind);
            of(true) && of(false)
        })?;
        Ok(folds.accuracy(&scratch.pair))
    })
}

/// Room that one thread uses again and again.
#[derive(Default)]
struct Scratch {
    subject: Vec<u32>,
    pair: Vec<usize>,
    weights: rates::Weights,
}

fn resample(rates: &Rates, subjects: &Subjects, asked: &Asked, draw: &Draw) -> Result<Replicates> {
    let rows = each(draw.replicates, |scratch: &mut Scratch, replicate| {
        let Scratch { subject, weights, .. } = scratch;
        subjects.draw(draw, replicate, subject, |weight| rates.weigh(weight, weights))?;
        Ok(rates.row(weights, asked))
    })?;
    // The longest tail that any replicate needs, so that one is not told twice.
    if let Some(needed) = rows.iter().filter_map(|row| row.as_ref().err()).max() {
        let expected = format!("a tail that reaches the asked rates in every replicate, about {needed} scores");
        return pairs::fail(expected, rates.nonmated().to_string());
    }
    let rows: Vec<Vec<f64>> = rows.into_iter().flatten().collect();
    let columns = |from: usize, to: usize| {
        (from..to).flat_map(|column| rows.iter().map(move |row| row[column])).collect::<Vec<f64>>()
    };
    let (fmrs, thresholds) = (asked.fmrs.len(), asked.thresholds.len());
    let (fixed, end) = (2 * fmrs, 2 * (fmrs + thresholds));
    Ok(Replicates {
        threshold: columns(0, fmrs),
        fnmr: columns(fmrs, fixed),
        fixed_fmr: columns(fixed, fixed + thresholds),
        fixed_fnmr: columns(fixed + thresholds, end),
        eer: columns(end, rows[0].len()),
    })
}

/// How often a replicate has a pair, from how often it has the subjects.
fn count(weight: &[u32], [one, other]: [u32; 2]) -> usize {
    let one_side = weight[one as usize] as usize;
    if one == other { one_side } else { one_side * weight[other as usize] as usize }
}

fn check(asked: &Asked, draw: &Draw) -> Result<()> {
    if !(1..=MOST).contains(&draw.replicates) {
        return config(format!("1 to {MOST} replicates"), draw.replicates);
    }
    check_asked(asked.fmrs, asked.thresholds)
}

fn check_pairs(name: &str, pairs: &Pairs) -> Result<(Subjects, Vec<[u32; 2]>)> {
    pairs::check(name, pairs.score, pairs.mated)?;
    let (first, second) = (pairs.first, pairs.second);
    if first.len() != pairs.mated.len() || second.len() != pairs.mated.len() {
        let got = format!("{} and {} for {}", first.len(), second.len(), pairs.mated.len());
        return pairs::fail("two subjects a pair", got);
    }
    let sides = || first.iter().zip(second);
    if let Some(place) = sides().zip(pairs.mated).position(|((one, other), &mated)| (one == other) != mated) {
        let got = format!("subjects {} and {} in pair {place}", first[place], second[place]);
        return pairs::fail("mated pairs of one subject and non-mated ones of two", got);
    }
    let subjects = Subjects::new(first.iter().chain(second))?;
    let sides = sides().map(|(&one, &other)| [subjects.number(one), subjects.number(other)]).collect();
    Ok((subjects, sides))
}

/// Return what `work` makes of each replicate, in their order; the error of the first that fails.
fn each<T: Send>(replicates: usize, work: impl Fn(&mut Scratch, usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let results = parallel::ordered((0..replicates).collect(), Scratch::default, work);
    results.into_iter().collect()
}
