//! Templates against their definition, written out naively.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sdx_core::Error;
use sdx_core::templates::{Flip, Images, Mirrored, aggregate};

const COLUMNS: usize = 12;
const FLIPS: [Flip; 3] = [Flip::None, Flip::Sum, Flip::Concat];

/// Images of a few templates, all of which have one.
#[derive(Clone, Debug)]
struct Case {
    embedding: Vec<f32>,
    mirrored: Vec<f32>,
    template: Vec<i64>,
    media: Vec<i64>,
    detector: Vec<f32>,
    count: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    (1_usize..6, 0_usize..20).prop_flat_map(|(count, more)| {
        let n = count + more;
        let last = i64::try_from(count).unwrap();
        // Ranges of floats are not used here: proptest 1.12 panics on them once in a great while.
        let values = || prop::collection::vec((-7999_i16..8000).prop_map(|part| f32::from(part) / 8000.0), n * COLUMNS);
        let template = prop::collection::vec(0..last, more).prop_map(move |others| {
            let mut template: Vec<i64> = (0..last).collect();
            template.extend(others);
            template
        });
        let media = prop::collection::vec(-2_i64..2, n);
        let detector = prop::collection::vec((100_i16..1000).prop_map(|part| f32::from(part) / 1000.0), n);
        (values(), values(), template, media, detector).prop_map(
            move |(embedding, mirrored, template, media, detector)| Case {
                embedding,
                mirrored,
                template,
                media,
                detector,
                count,
            },
        )
    })
}

impl Case {
    fn images(&self) -> Images<'_> {
        Images {
            embedding: &self.embedding,
            mirrored: Mirrored::Apart(&self.mirrored),
            template: &self.template,
            media: &self.media,
            detector: Some(&self.detector),
        }
    }

    /// The definition, a list at a time.
    #[allow(clippy::cast_precision_loss)]
    fn naive(&self, place: usize, detector: bool, keep_norms: bool, flip: Flip) -> Vec<f64> {
        let row = |values: &[f32], image: usize| -> Vec<f64> {
            values[image * COLUMNS..][..COLUMNS].iter().map(|&value| f64::from(value)).collect()
        };
        let mut media: BTreeMap<i64, Vec<Vec<f64>>> = BTreeMap::new();
        for image in 0..self.template.len() {
            if usize::try_from(self.template[image]).unwrap() == place {
                let (face, other) = (row(&self.embedding, image), row(&self.mirrored, image));
                let joined = match flip {
                    Flip::None => face,
                    Flip::Sum => face.iter().zip(&other).map(|(a, b)| a + b).collect(),
                    Flip::Concat => [face, other].concat(),
                };
                let norm = if keep_norms { 1.0 } else { length(&joined) };
                let weight = if detector { f64::from(self.detector[image]) } else { 1.0 } / norm;
                media.entry(self.media[image]).or_default().push(joined.iter().map(|x| x * weight).collect());
            }
        }
        let width = if flip == Flip::Concat { 2 * COLUMNS } else { COLUMNS };
        let mut total = vec![0.0; width];
        for images in media.values() {
            for (at, total) in total.iter_mut().enumerate() {
                *total += images.iter().map(|image| image[at]).sum::<f64>() / images.len() as f64;
            }
        }
        let norm = length(&total);
        total.iter().map(|x| x / norm).collect()
    }
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

proptest! {
    #[test]
    fn templates_are_what_the_definition_says(case in cases(), detector: bool, keep: bool, flip in 0_usize..3) {
        let images = Images { detector: detector.then_some(&*case.detector), ..case.images() };
        let unit = aggregate(&images, case.count, keep, FLIPS[flip]).unwrap();
        let width = unit.len() / case.count;
        for (place, got) in unit.chunks_exact(width).enumerate() {
            let want = case.naive(place, detector, keep, FLIPS[flip]);
            prop_assert_eq!(want.len(), width);
            for (&got, want) in got.iter().zip(want) {
                prop_assert!((f64::from(got) - want).abs() < 1e-6, "{} and {}", got, want);
            }
        }
    }

    #[test]
    fn halves_of_a_row_are_two_arrays(case in cases(), keep: bool, flip in 0_usize..3) {
        let rows = case.embedding.chunks_exact(COLUMNS).zip(case.mirrored.chunks_exact(COLUMNS));
        let beside: Vec<f32> = rows.flat_map(|(face, mirrored)| [face, mirrored].concat()).collect();
        let images = Images { embedding: &beside, mirrored: Mirrored::Beside, ..case.images() };
        prop_assert_eq!(
            aggregate(&images, case.count, keep, FLIPS[flip]).unwrap(),
            aggregate(&case.images(), case.count, keep, FLIPS[flip]).unwrap()
        );
    }

    #[test]
    fn the_bits_do_not_depend_on_threads(case in cases(), keep: bool, flip in 0_usize..3) {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| aggregate(&case.images(), case.count, keep, FLIPS[flip]).unwrap())
        };
        let bits = |unit: Vec<f32>| unit.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(on(1)), bits(on(3)));
    }
}

fn small() -> Case {
    Case {
        embedding: (0..4 * COLUMNS).map(|at| f32::from(u8::try_from(at).unwrap())).collect(),
        mirrored: vec![1.0; 4 * COLUMNS],
        template: vec![1, 0, 1, 1],
        media: vec![5, 5, 5, 7],
        detector: vec![1.0; 4],
        count: 2,
    }
}

fn refusal(case: &Case, keep: bool, flip: Flip) -> String {
    aggregate(&case.images(), case.count, keep, flip).unwrap_err().to_string()
}

#[test]
fn what_is_no_template_is_refused_by_name() {
    let with = |change: &dyn Fn(&mut Case)| {
        let mut case = small();
        change(&mut case);
        refusal(&case, true, Flip::None)
    };
    assert_eq!(with(&|case| case.template[3] = 2), "expected templates in [0, 2), got 2 for image 3");
    assert_eq!(with(&|case| case.template[0] = -1), "expected templates in [0, 2), got -1 for image 0");
    assert!(with(&|case| case.template[1] = 1).ends_with("got none of template 0"));
    assert!(with(&|case| case.count = 5).ends_with("got 4 images of 5 templates"));
    assert!(with(&|case| case.count = 0).ends_with("got 4 images of 0 templates"));
    assert!(with(&|case| case.embedding[30] = f32::NAN).ends_with("got NaN or infinity for image 2"));
    assert!(with(&|case| case.embedding[47] = f32::INFINITY).ends_with("got NaN or infinity for image 3"));
    assert!(with(&|case| case.detector[2] = -0.5).ends_with("got -0.5 for image 2"));
    assert!(with(&|case| case.detector[2] = f32::NAN).ends_with("got NaN for image 2"));
    assert!(with(&|case| case.detector = vec![0.0; 4]).ends_with("got a sum of zero for the template at place 0"));
    assert!(with(&|case| case.media.truncate(case.media.len() - 1)).ends_with("got 3 media and 4 detector scores"));
    assert!(with(&|case| case.embedding.truncate(case.embedding.len() - 1)).contains("a row for each of 4 images"));
    assert!(with(&|case| case.embedding.clear()).contains("a row for each of 4 images"));
    assert!(with(&|case| case.mirrored.truncate(case.mirrored.len() - 1)).ends_with("got 47"));
    assert!(with(&|case| case.template.clear()).ends_with("got 0 images of 2 templates"));
}

#[test]
fn a_mirror_image_counts_only_where_it_is_joined() {
    let mut case = small();
    case.mirrored[0] = f32::NAN;
    assert!(aggregate(&case.images(), 2, true, Flip::None).is_ok());
    assert!(refusal(&case, true, Flip::Sum).ends_with("got NaN or infinity for image 0"));
    assert!(refusal(&case, false, Flip::Concat).ends_with("got NaN or infinity for image 0"));
    let absent = Images { mirrored: Mirrored::Absent, ..case.images() };
    assert!(matches!(aggregate(&absent, 2, true, Flip::Sum), Err(Error::Config { .. })));
    let odd = Images { embedding: &case.embedding[..4 * 11], mirrored: Mirrored::Beside, ..case.images() };
    assert!(aggregate(&odd, 2, true, Flip::Sum).unwrap_err().to_string().contains("an even number of columns"));
}

#[test]
fn zeros_are_an_error_where_a_norm_divides() {
    let mut case = small();
    case.embedding[..COLUMNS].fill(0.0);
    assert!(aggregate(&case.images(), 2, true, Flip::None).is_ok());
    assert!(refusal(&case, false, Flip::None).ends_with("got zeros for image 0"));
    case.mirrored = case.embedding.iter().map(|value| -value).collect();
    assert!(refusal(&case, true, Flip::Sum).ends_with("got a sum of zero for the template at place 0"));
}

#[test]
fn the_largest_and_smallest_numbers_do_not_overflow() {
    for value in [f32::MAX, f32::from_bits(1)] {
        let mut case = small();
        case.embedding.fill(value);
        for keep in [true, false] {
            let unit = aggregate(&case.images(), 2, keep, Flip::None).unwrap();
            assert!(unit.iter().all(|unit| (unit - 12.0_f32.sqrt().recip()).abs() < 1e-6));
        }
    }
}
