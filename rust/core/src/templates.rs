//! Templates: one unit vector for the images of a person that stand together, as IJB-B and IJB-C compare them.
//!
//! In the field's order: both mirror images' embeddings joined, the norm taken away or kept, times the detector's score,
//! mean over the images of a medium (a still, or the frames of a video), sum over the media, unit length. Float64 sums in
//! the order of media and images, so the bits do not depend on the number of threads.

#![allow(clippy::inline_always)] // code takes on the instructions of what it is inlined into

use rayon::prelude::*;

use crate::error::{config, data};
use crate::wide::widest;
use crate::{Error, Result, parallel};

const LANES: usize = 16;

/// What becomes of an image's embedding and that of its mirror image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flip {
    /// The mirror image is left out.
    None,
    /// Their sum.
    Sum,
    /// One behind the other.
    Concat,
}

/// Where the embeddings of mirror images stand.
#[derive(Clone, Copy, Debug)]
pub enum Mirrored<'a> {
    /// Nowhere.
    Absent,
    /// In an array like that of the images.
    Apart(&'a [f32]),
    /// In the second half of each row.
    Beside,
}

/// Embeddings of n images, and where each belongs.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// Row-major `[n, columns]`, finite.
    pub embedding: &'a [f32],
    /// Those of the mirror images.
    pub mirrored: Mirrored<'a>,
    /// Place of each image's template, `[n]`.
    pub template: &'a [i64],
    /// Medium of each image within its template, any number, `[n]`.
    pub media: &'a [i64],
    /// The detector's score by which each embedding is multiplied, `[n]`, at least 0.
    pub detector: Option<&'a [f32]>,
}

/// Return the templates at places 0 to `count`, exclusive: row-major `[count, width]`, of unit length.
///
/// # Errors
/// [`Error::Data`] where lengths do not agree, a template has no image, a value is not finite or out of range, a norm to
/// divide by is 0, or a template's embeddings cancel; [`Error::Config`] where `flip` needs mirror images that are absent.
pub fn aggregate(images: &Images, count: usize, keep_norms: bool, flip: Flip) -> Result<Vec<f32>> {
    let plan = Plan::new(images, count, keep_norms, flip)?;
    let mut unit = Vec::new();
    let size = count.saturating_mul(plan.width);
    unit.try_reserve_exact(size).map_err(|_| Error::TooLarge { rows: count, count: plan.width })?;
    unit.resize(size, 0.0);
    let buffer = || vec![0.0; plan.width];
    // Wide instructions add and multiply the same numbers in the same order.
    let fill = |total: &mut Vec<f64>, (place, unit): (usize, &mut [f32])| {
        widest(
            #[inline(always)]
            || plan.fill(place, total, unit),
        )
        .err()
    };
    let failure = if parallel::available() {
        unit.par_chunks_exact_mut(plan.width).enumerate().map_init(buffer, fill).find_map_first(|failure| failure)
    } else {
        let mut total = buffer();
        unit.chunks_exact_mut(plan.width).enumerate().find_map(|job| fill(&mut total, job))
    };
    failure.map_or(Ok(unit), Err)
}

/// What is to be done, checked.
struct Plan<'a> {
    images: &'a Images<'a>,
    keep_norms: bool,
    flip: Flip,
    /// Numbers in a row of `embedding`, and in a template.
    columns: usize,
    width: usize,
    /// The images of template t are `order[start[t]..start[t + 1]]`, ascending.
    order: Vec<usize>,
    start: Vec<usize>,
}

impl<'a> Plan<'a> {
    fn new(images: &'a Images<'a>, count: usize, keep_norms: bool, flip: Flip) -> Result<Self> {
        let n = images.template.len();
        if n == 0 || count == 0 || count > n {
            return data("at least one template, and an image of each", format!("{n} images of {count} templates"));
        }
        let columns = check_lengths(images, n)?;
        if let Some(at) = images.detector.and_then(|score| score.iter().position(|score| !is_weight(*score))) {
            let score = images.detector.map_or(0.0, |score| score[at]);
            return data("finite detector scores of at least 0", format!("{score} for image {at}"));
        }
        let half = if matches!(images.mirrored, Mirrored::Beside) { columns / 2 } else { columns };
        if flip != Flip::None && matches!(images.mirrored, Mirrored::Absent) {
            return config("embeddings of mirror images to join", "none: pass them, or join nothing");
        }
        let width = if flip == Flip::Concat { 2 * half } else { half };
        let (order, start) = by_template(images.template, count)?;
        Ok(Self { images, keep_norms, flip, columns, width, order, start })
    }

    /// Write one template; `total` is a buffer of its width.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // to the format of the result; of counts
    #[inline(always)]
    fn fill(&self, place: usize, total: &mut [f64], unit: &mut [f32]) -> Result<()> {
        let mut members = self.order[self.start[place]..self.start[place + 1]].to_vec();
        members.sort_unstable_by_key(|&image| (self.images.media[image], image));
        total.fill(0.0);
        for medium in members.chunk_by(|&a, &b| self.images.media[a] == self.images.media[b]) {
            for &image in medium {
                let row = self.row(image);
                let mut weight = self.images.detector.map_or(1.0, |score| f64::from(score[image]));
                if !self.keep_norms {
                    let norm = row.square_sum().sqrt();
                    if norm == 0.0 {
                        return data("embeddings of a length to divide by", format!("zeros for image {image}"));
                    }
                    weight /= norm;
                }
                row.add_to(total, weight / medium.len() as f64);
            }
        }
        let square = square_sum(total, total, |total, _| total);
        if !square.is_finite() {
            // Sums of finite float32 numbers do not overflow, so one of them is not.
            let bad = members.iter().find(|&&image| !self.row(image).square_sum().is_finite());
            return data(
                "finite embeddings",
                format!("NaN or infinity for image {}", bad.copied().unwrap_or_default()),
            );
        }
        if square == 0.0 {
            let got = format!("a sum of zero for the template at place {place}");
            return data("weighted embeddings that do not cancel", got);
        }
        let scale = 1.0 / square.sqrt();
        unit.iter_mut().zip(&*total).for_each(|(unit, total)| *unit = (total * scale) as f32);
        Ok(())
    }

    /// Return an image's embedding, joined with its mirror image's.
    fn row(&self, image: usize) -> Row<'a> {
        let whole = &self.images.embedding[image * self.columns..][..self.columns];
        let (face, mirrored) = match self.images.mirrored {
            Mirrored::Absent => (whole, &[][..]),
            Mirrored::Apart(other) => (whole, &other[image * self.columns..][..self.columns]),
            Mirrored::Beside => whole.split_at(self.columns / 2),
        };
        match self.flip {
            Flip::None => Row::Parts(face, &[]),
            Flip::Sum => Row::Sum(face, mirrored),
            Flip::Concat => Row::Parts(face, mirrored),
        }
    }
}

/// An image's embedding, joined with its mirror image's.
enum Row<'a> {
    /// One behind the other.
    Parts(&'a [f32], &'a [f32]),
    Sum(&'a [f32], &'a [f32]),
}

impl Row<'_> {
    #[inline(always)]
    fn square_sum(&self) -> f64 {
        match self {
            Self::Parts(front, back) => {
                square_sum(front, front, |value, _| f64::from(value))
                    + square_sum(back, back, |value, _| f64::from(value))
            }
            Self::Sum(one, other) => square_sum(one, other, |one, other| f64::from(one) + f64::from(other)),
        }
    }

    #[inline(always)]
    fn add_to(&self, total: &mut [f64], weight: f64) {
        match self {
            Self::Parts(front, back) => {
                let (head, tail) = total.split_at_mut(front.len());
                for (total, part) in [(head, front), (tail, back)] {
                    for (total, value) in total.iter_mut().zip(*part) {
                        *total += weight * f64::from(*value);
                    }
                }
            }
            Self::Sum(one, other) => {
                for (total, (one, other)) in total.iter_mut().zip(one.iter().zip(*other)) {
                    *total += weight * (f64::from(*one) + f64::from(*other));
                }
            }
        }
    }
}

/// Return the number of columns.
fn check_lengths(images: &Images, n: usize) -> Result<usize> {
    let columns = images.embedding.len() / n;
    let halves = matches!(images.mirrored, Mirrored::Beside);
    if columns == 0 || images.embedding.len() != n * columns || (halves && columns % 2 == 1) {
        let expected = if halves { "an even number of columns" } else { "a row" };
        return data(format!("{expected} for each of {n} images"), format!("{} numbers", images.embedding.len()));
    }
    let apart = if let Mirrored::Apart(mirrored) = images.mirrored { mirrored.len() } else { n * columns };
    if apart != n * columns {
        return data(format!("mirrored embeddings of {} numbers", n * columns), apart);
    }
    let detector = images.detector.map_or(n, <[f32]>::len);
    if images.media.len() != n || detector != n {
        let got = format!("{} media and {detector} detector scores", images.media.len());
        return data(format!("one of each for {n} images"), got);
    }
    Ok(columns)
}

fn is_weight(score: f32) -> bool {
    score.is_finite() && score >= 0.0
}

/// Return the images by template, ascending, and where each template's begin.
fn by_template(template: &[i64], count: usize) -> Result<(Vec<usize>, Vec<usize>)> {
    let mut start = vec![0; count + 1];
    for (image, &place) in template.iter().enumerate() {
        match usize::try_from(place).ok().filter(|place| *place < count) {
            Some(place) => start[place + 1] += 1,
            None => return data(format!("templates in [0, {count})"), format!("{place} for image {image}")),
        }
    }
    if let Some(empty) = start[1..].iter().position(|&images| images == 0) {
        return data(format!("an image of each of {count} templates"), format!("none of template {empty}"));
    }
    for place in 0..count {
        start[place + 1] += start[place];
    }
    let mut next = start.clone();
    let mut order = vec![0; template.len()];
    for (image, &place) in template.iter().enumerate() {
        let next = &mut next[usize::try_from(place).unwrap_or_default()];
        order[*next] = image;
        *next += 1;
    }
    Ok((order, start))
}

/// Sum of squares of the values that two rows make, in lanes: a fixed order that can still be done side by side.
#[inline(always)]
fn square_sum<T: Copy>(one: &[T], other: &[T], value: impl Fn(T, T) -> f64) -> f64 {
    let mut sum = [0.0; LANES];
    let (one_parts, one_rest) = one.as_chunks::<LANES>();
    let (other_parts, other_rest) = other.as_chunks::<LANES>();
    for (one, other) in one_parts.iter().zip(other_parts) {
        for lane in 0..LANES {
            let value = value(one[lane], other[lane]);
            sum[lane] += value * value;
        }
    }
    let rest = one_rest.iter().zip(other_rest).map(|(one, other)| value(*one, *other));
    sum.iter().sum::<f64>() + rest.map(|value| value * value).sum::<f64>()
}
