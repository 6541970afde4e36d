//! Which of scored faces to take: the hardest, those above a threshold, or a draw by priority.
//!
//! Candidates come in an order of preference; one that its group's quota or the bound on likeness to an earlier pick
//! forbids is passed over. Results are positions in the input, in the order picked. One thread, fixed order of sums.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::error::{config, data};
use crate::pool::{check_number, shares};
use crate::power::{exponential, power};
use crate::tree::{Leaver, Tree};
use crate::{Error, Result, philox};

/// What picks must respect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules<'a> {
    /// Most picks; fewer are made where candidates run out.
    pub count: usize,
    /// Most picks of each group.
    pub quota: Option<Quota<'a>>,
    /// How alike two picks may be.
    pub diversity: Option<Diversity<'a>>,
}

/// Most picks of each group; a group without a number has no limit of its own.
#[derive(Clone, Copy, Debug)]
pub struct Quota<'a> {
    /// Group of each candidate, `[n]`.
    pub group: &'a [i64],
    /// Most picks by group.
    pub most: &'a BTreeMap<i64, usize>,
}

/// A bound on the likeness of any two picks.
#[derive(Clone, Copy, Debug)]
pub struct Diversity<'a> {
    /// A vector of each candidate, row-major `[n, d]`; finite, none of them zero, of any length.
    pub vector: &'a [f32],
    /// Highest cosine of two picks, in [-1, 1].
    pub cosine: f64,
}

/// How candidates are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Chances {
    /// Exponent of the priority, at least 0; 0 makes all alike.
    pub alpha: f64,
    /// Without: chances in proportion to priority^alpha. With, above 0: to exp(priority^alpha / temperature).
    pub temperature: Option<f64>,
    /// Share of the picks, rounded to the nearest whole number, that is drawn last and with equal chances, in [0, 1].
    pub exploration: f64,
    /// Seed of the draw.
    pub seed: u64,
    /// Philox stream of the draw.
    pub stream: u32,
    /// Number of the draw, at least 0.
    pub number: i64,
}

/// Return the candidates of highest priority, highest first, the lower position first of equals.
///
/// # Errors
/// [`Error::Data`] for a priority that is negative or not finite, or groups or vectors that do not fit;
/// [`Error::Config`] for a bound outside [-1, 1].
pub fn top(priority: &[f32], rules: &Rules) -> Result<Vec<usize>> {
    above(priority, 0.0, rules)
}

/// As [`top`], of priorities at or above a threshold alone.
///
/// # Errors
/// As [`top`], and [`Error::Config`] for a threshold that is NaN.
pub fn above(priority: &[f32], threshold: f32, rules: &Rules) -> Result<Vec<usize>> {
    check_priorities(priority)?;
    if threshold.is_nan() {
        return config("a threshold that is a number", threshold);
    }
    let mut picks = Picks::new(priority.len(), rules)?;
    let candidates = priority.iter().enumerate().filter(|&(_, &value)| value >= threshold);
    // Bits of floats of at least 0 are ordered as the floats are; adding 0 turns -0 into 0.
    let mut candidates: BinaryHeap<_> = candidates.map(|(at, &value)| ((value + 0.0).to_bits(), Reverse(at))).collect();
    while picks.made.len() < rules.count {
        let Some((_, Reverse(at))) = candidates.pop() else { break };
        picks.offer(at);
    }
    Ok(picks.made)
}

/// Return candidates drawn without replacement, by priority and then evenly.
///
/// Weights are integers, at least 1 and at most 2^31 for the highest, so that every candidate can be drawn. Candidate j
/// to be drawn, passed over or not, uses word block j of index `number`.
///
/// # Errors
/// As [`top`], and [`Error::Config`] for chances out of range.
pub fn sample(priority: &[f32], chances: &Chances, rules: &Rules) -> Result<Vec<usize>> {
    check_priorities(priority)?;
    check_number(chances.number)?;
    let (by_priority, _) = shares(rules.count.min(priority.len()), chances.exploration)?;
    let mut tree = Tree::new(Leaver::None, &weights(priority, chances)?, &vec![0; priority.len()]);
    let mut picks = Picks::new(priority.len(), rules)?;
    for attempt in 0.. {
        if picks.made.len() == rules.count {
            break;
        }
        let words = philox::words(chances.seed, chances.stream, chances.number, attempt);
        let evenly = picks.made.len() >= by_priority;
        let Some(at) = tree.pick(words, evenly) else { break };
        tree.give(at, 0);
        picks.offer(at);
    }
    Ok(picks.made)
}

/// Return integer weights in proportion to the chances.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within [0, 2^31]
fn weights(priority: &[f32], chances: &Chances) -> Result<Vec<u32>> {
    let alpha = chances.alpha;
    if !(alpha.is_finite() && alpha >= 0.0) {
        return config("a finite alpha of at least 0", alpha);
    }
    let most = f64::from(priority.iter().copied().fold(0.0, f32::max));
    let share: Box<dyn Fn(f64) -> f64> = match chances.temperature {
        None if most > 0.0 => Box::new(|priority| power(priority / most, alpha)),
        None => Box::new(|_| 1.0),
        Some(temperature) if temperature.is_finite() && temperature > 0.0 => {
            let peak = power(most, alpha);
            if !peak.is_finite() {
                return config("priorities whose power is finite", format!("{most}^{alpha}"));
            }
            Box::new(move |priority| exponential((power(priority, alpha) - peak) / temperature))
        }
        Some(temperature) => return config("a finite temperature above 0", temperature),
    };
    let weight = |&priority: &f32| ((share(f64::from(priority)) * 2_147_483_648.0).round() as u32).max(1);
    Ok(priority.iter().map(weight).collect())
}

fn check_priorities(priority: &[f32]) -> Result<()> {
    if u32::try_from(priority.len()).is_err() {
        return Err(Error::TooLarge { rows: priority.len(), count: 1 });
    }
    match priority.iter().position(|value| !(value.is_finite() && *value >= 0.0)) {
        Some(place) => data("finite priorities of at least 0", format!("{} at position {place}", priority[place])),
        None => Ok(()),
    }
}

/// Picks made so far and what they leave room for.
struct Picks<'a> {
    made: Vec<usize>,
    rules: &'a Rules<'a>,
    by_group: BTreeMap<i64, usize>,
    size: usize,
    squares: Vec<f64>,
}

impl<'a> Picks<'a> {
    fn new(count: usize, rules: &'a Rules) -> Result<Self> {
        if let Some(quota) = rules.quota
            && quota.group.len() != count
        {
            return data(format!("`group` of {count} numbers"), quota.group.len());
        }
        let mut picks = Self { made: Vec::new(), rules, by_group: BTreeMap::new(), size: 0, squares: Vec::new() };
        if let Some(diversity) = rules.diversity {
            picks.size = diversity.check(count)?;
            if picks.size > 0 {
                picks.squares = diversity.vector.chunks_exact(picks.size).map(|vector| dot(vector, vector)).collect();
            }
            if let Some(place) = picks.squares.iter().position(|square| !(square.is_finite() && *square > 0.0)) {
                return data("vectors that are finite and not zero", format!("another at position {place}"));
            }
        }
        Ok(picks)
    }

    /// Take a candidate unless a rule forbids it.
    fn offer(&mut self, at: usize) {
        if let Some(quota) = self.rules.quota {
            let group = quota.group[at];
            let taken = self.by_group.get(&group).copied().unwrap_or(0);
            if quota.most.get(&group).is_some_and(|&most| taken >= most) || !self.is_apart(at) {
                return;
            }
            self.by_group.insert(group, taken + 1);
        } else if !self.is_apart(at) {
            return;
        }
        self.made.push(at);
    }

    fn is_apart(&self, at: usize) -> bool {
        let Some(diversity) = self.rules.diversity else { return true };
        let vector = |at: usize| &diversity.vector[at * self.size..][..self.size];
        let cosine = |&pick: &usize| dot(vector(at), vector(pick)) / (self.squares[at] * self.squares[pick]).sqrt();
        self.made.iter().all(|pick| cosine(pick) <= diversity.cosine)
    }
}

impl Diversity<'_> {
    /// Return the size of a vector.
    fn check(&self, count: usize) -> Result<usize> {
        if !(-1.0..=1.0).contains(&self.cosine) {
            return config("a bound on the cosine in [-1, 1]", self.cosine);
        }
        if count == 0 && self.vector.is_empty() {
            return Ok(0);
        }
        if count == 0 || self.vector.is_empty() || !self.vector.len().is_multiple_of(count) {
            return data(format!("{count} vectors of one size"), format!("{} numbers", self.vector.len()));
        }
        Ok(self.vector.len() / count)
    }
}

/// Sum of products, in eight sums of fixed order.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += f64::from(a) * f64::from(b);
        }
    }
    sums.iter().sum()
}
