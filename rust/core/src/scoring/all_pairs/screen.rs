//! A look at all pairs by products of bytes: exact about which side of the asked stretches a pair lies on, and about the
//! pairs within; where the others lie among each other stays open.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Pair, World, buckets, parallel};
use crate::Result;
use crate::rates::Ranked;
use crate::scoring::buckets::{Bucketed, Known, bucket};
use crate::scoring::bytes::{COLUMNS, Maker, ROWS, Tile};
use crate::scoring::coarse::{self, Between, Bound, Columns, Rows};

/// Groups of rows and panels of columns that a thread takes on at once.
const GROUPS: usize = 32;
const PANELS: usize = 16;

/// Where more than one pair in so many is left in doubt, the rest of the bytes is multiplied, too: it costs as much as
/// this share of the pairs in double precision.
const SHARE: usize = 24;

/// Margin of an estimate from bytes, about, at 512 numbers in a row.
const TYPICAL: f64 = 0.02;

/// What is found: counts by bucket, and the pairs of the asked stretches.
pub type Found = (Vec<u64>, Vec<Known>);

struct Screen<'a> {
    world: &'a World<'a>,
    maker: Maker,
    rows: Rows,
    columns: Columns,
    /// Whether rows and columns have the rest.
    fine: bool,
    /// The buckets asked for, and for each bucket the first of those from there on.
    flags: Vec<bool>,
    next: Vec<u32>,
    /// The lowest bucket asked for, and a score below which no pair can be in it.
    lowest: usize,
    least: f64,
    /// Pairs of the asked stretches found so far.
    held: AtomicUsize,
}

/// A thread's part.
struct Part {
    tile: Tile,
    /// Sums with the rest of the columns and of the rows.
    rests: Tile,
    between: Between,
    counts: Vec<u64>,
    known: Vec<Known>,
}

/// Look at all non-mated pairs; none where nothing would be gained by bytes, or where too many lie in the stretches.
pub fn screen(world: &World<'_>, maker: Maker, sample: &Bucketed, asked: &[(usize, usize)]) -> Result<Option<Found>> {
    let Some(&(lowest, _)) = asked.first().filter(|_| coarse::fits(world.dim)) else { return Ok(None) };
    let count = world.order.len();
    let direction = |place: usize, out: &mut [f32]| out.copy_from_slice(world.rows(place..place + 1));
    let fine = {
        let wide: Vec<_> = asked.iter().map(|stretch| buckets::widened(*stretch, TYPICAL)).collect();
        sample.within(&buckets::merged(&wide)) > sample.count() / SHARE
    };
    let rows = Rows::new(count, world.dim, fine, direction)?;
    let columns = Columns::new(count, world.dim, fine, direction)?;
    let flags = buckets::flags(asked);
    let mut next = vec![u32::MAX; flags.len() + 1];
    for place in (0..flags.len()).rev() {
        next[place] = if flags[place] { u32::try_from(place).unwrap_or(u32::MAX) } else { next[place + 1] };
    }
    let least = if lowest > 1 { buckets::floor(lowest) } else { f64::NEG_INFINITY };
    let held = AtomicUsize::new(0);
    let screen = Screen { world, maker, rows, columns, fine, flags, next, lowest, least, held };
    let parts = parallel::share(screen.tiles(), Part::new, |part, (groups, panels)| screen.look(part, &groups, panels));
    if screen.held.into_inner() > buckets::MOST {
        return Ok(None);
    }
    let (mut counts, mut known) = (buckets::empty(), Vec::new());
    for part in parts {
        buckets::add(&mut counts, &part.counts);
        known.extend(part.known);
    }
    Ok(Some((counts, known)))
}

impl Part {
    fn new() -> Self {
        let none = [0; COLUMNS];
        let between = Between { low: none, within: none, high: none };
        Self { tile: Tile::new(), rests: Tile::new(), between, counts: buckets::empty(), known: Vec::new() }
    }
}

impl Screen<'_> {
    /// Every tile of the upper triangle, by its groups and panels.
    fn tiles(&self) -> Vec<(Range<usize>, Range<usize>)> {
        let count = self.world.order.len();
        let (groups, panels) = (count.div_ceil(ROWS), count.div_ceil(COLUMNS));
        let row = |group: usize| {
            let first = group * ROWS / COLUMNS;
            (first..panels)
                .step_by(PANELS)
                .map(move |panel| (group..(group + GROUPS).min(groups), panel..(panel + PANELS).min(panels)))
        };
        (0..groups).step_by(GROUPS).flat_map(row).collect()
    }

    /// Look at the pairs of a tile.
    fn look(&self, part: &mut Part, groups: &Range<usize>, panels: Range<usize>) {
        let count = self.world.order.len();
        for panel in panels {
            for group in groups.clone().filter(|_| self.held.load(Ordering::Relaxed) <= buckets::MOST) {
                // Of each row the columns that are not its own or of its subject, nor behind the last.
                let mut within = [0_u64; ROWS];
                let (mut bounds, mut least) = ([None; ROWS], [i32::MAX; ROWS]);
                for (place, row) in (group * ROWS..((group + 1) * ROWS).min(count)).enumerate() {
                    within[place] = bits(self.world.end[row], panel * COLUMNS) & !bits(count, panel * COLUMNS);
                    if within[place] != 0 {
                        let bound = self.rows.bound(row, &self.columns, panel);
                        (bounds[place], least[place]) = (Some(bound), bound.least(self.least));
                    }
                }
                if within == [0; ROWS] {
                    continue;
                }
                let (rows, columns) = (self.rows.group(group), self.columns.panel(panel));
                if self.maker.multiply([(rows, columns)], &least, &mut part.tile) {
                    let fine = self.fine && self.refine(part, group, panel, &within);
                    for place in 0..ROWS {
                        let hits = within[place] & part.tile.hits[place];
                        if let Some(bound) = bounds[place].filter(|_| hits != 0) {
                            self.sort(part, (bound, fine), (group * ROWS + place, place), panel, hits);
                        }
                    }
                }
                let below = (0..ROWS).map(|place| (within[place] & !part.tile.hits[place]).count_ones());
                part.counts[self.lowest - 1] += u64::from(below.sum::<u32>());
            }
        }
    }

    /// Multiply the rest, too, where that is cheaper than what else is to be done; return whether it was.
    fn refine(&self, part: &mut Part, group: usize, panel: usize, within: &[u64; ROWS]) -> bool {
        let hits: u32 = within.iter().zip(part.tile.hits).map(|(within, hits)| (within & hits).count_ones()).sum();
        if hits as usize * SHARE < ROWS * COLUMNS {
            return false;
        }
        let by_column = (self.rows.group(group), self.columns.rest(panel));
        let by_row = (self.rows.rest(group), self.columns.panel(panel));
        self.maker.multiply([by_column, by_row], &[i32::MIN; ROWS], &mut part.rests)
    }

    /// Count some pairs of a row; those that the bound leaves in doubt are computed exactly.
    fn sort(
        &self,
        part: &mut Part,
        (bound, fine): (Bound, bool),
        (row, place): (usize, usize),
        panel: usize,
        mut hits: u64,
    ) {
        let rests = fine.then_some(&part.rests.sums[place]);
        bound.buckets(&part.tile.sums[place], rests, &mut part.between);
        let before = part.known.len();
        while hits != 0 {
            let column = hits.trailing_zeros() as usize;
            hits &= hits - 1;
            if self.next[part.between.low[column] as usize] > part.between.high[column] {
                part.counts[part.between.within[column] as usize] += 1;
                continue;
            }
            let Pair { first, second, score } = self.world.pair(row, panel * COLUMNS + column);
            let bucket = bucket(single(score));
            part.counts[bucket as usize] += 1;
            if self.flags[bucket as usize] {
                part.known.push(Known { bucket, first, second, score });
            }
        }
        if part.known.len() > before {
            self.held.fetch_add(part.known.len() - before, Ordering::Relaxed);
        }
    }
}

/// A bit for each column of a panel that begins at `start`: whether it is not before `place`.
fn bits(place: usize, start: usize) -> u64 {
    match place.saturating_sub(start) {
        before @ 0..COLUMNS => u64::MAX << before,
        _ => 0,
    }
}

#[allow(clippy::cast_possible_truncation)] // a bucket's edge moves by less than its own rounding
fn single(score: f64) -> f32 {
    score as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normals::normals;
    use crate::scoring::embeddings::Embeddings;

    #[test]
    #[cfg_attr(miri, ignore = "a million pairs are drawn for the guess")]
    fn every_pair_is_counted_on_its_side_of_what_is_asked() {
        let numbers: Vec<i64> = (0..500).collect();
        let values = normals(1, 0, &numbers, 40).unwrap();
        let embeddings = Embeddings::new(&values, 40).unwrap();
        let squares = embeddings.squares().unwrap();
        let subject: Vec<i64> = numbers.iter().map(|number| number % 170).collect();
        let world = World::new(&embeddings, &squares, &subject).unwrap();
        let sample = world.sample().unwrap();
        for fmrs in [vec![1e-3], vec![0.2, 0.01]] {
            let asked = world.guess(&sample, (&fmrs, &[0.4], 0));
            let (counts, known) = screen(&world, Maker::portable(), &sample, &asked).unwrap().unwrap();
            assert_eq!(counts.iter().sum::<u64>(), world.nonmated as u64);
            let exact = world.survey(&asked);
            let below = |counts: &[u64], bucket: usize| counts[..bucket].iter().sum::<u64>();
            let mut total = 0;
            for (from, to) in asked {
                // Single and double precision may put a pair at an edge on one side each.
                let near = |bucket| below(&counts, bucket).abs_diff(below(&exact.counts, bucket)) <= 60;
                assert!(near(from) && near(to));
                total += below(&counts, to) - below(&counts, from);
            }
            assert_eq!(known.len() as u64, total);
            assert!(known.iter().all(|pair| subject[pair.first as usize] != subject[pair.second as usize]));
        }
    }
}
