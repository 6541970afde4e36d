//! Speed of a search and of all pairs, by products of bytes where the processor has them:
//! `cargo bench -p sdx-core --bench scoring`.

#![allow(missing_docs)] // criterion's macro writes a function without any

use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use sdx_core::bootstrap::{self, Draw};
use sdx_core::normals::normals;
use sdx_core::scoring::{Embeddings, rate_all_pairs, search};

const DIM: usize = 512;

/// Embeddings that lean one way together, as those of faces do.
fn faces(stream: u32, count: usize) -> Vec<f32> {
    let numbers: Vec<i64> = (0..).take(count).collect();
    let centre = normals(1, stream, &[-1], DIM).expect("a row fits in memory");
    let mut values = normals(1, stream, &numbers, DIM).expect("some MB fit in memory");
    for row in values.chunks_exact_mut(DIM) {
        row.iter_mut().zip(&centre).for_each(|(value, centre)| *value += 0.35 * centre);
    }
    values
}

fn group<'a>(criterion: &'a mut Criterion, name: &str, products: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(products as u64)).sample_size(10);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group
}

/// The nearest of 20,000: the few are found by bytes, a sixteenth of the gallery in single precision.
fn nearest(criterion: &mut Criterion) {
    let (gallery, probes) = (faces(0, 20_000), faces(1, 200));
    let embeddings = |values| Embeddings::new(values, DIM).expect("rows of 512");
    let (gallery, probes) = (embeddings(&gallery), embeddings(&probes));
    let mut group = group(criterion, "200 probes in a gallery of 20,000", gallery.len() * probes.len());
    for count in [1, 20, 1250] {
        group.bench_function(format!("nearest {count}"), |bencher| bencher.iter(|| search(&gallery, &probes, count)));
    }
    group.finish();
}

/// All pairs of 5,000 faces, each another person: rates and their highest pairs, and the replicates at a threshold.
fn all_pairs(criterion: &mut Criterion) {
    let values = faces(0, 5_000);
    let embeddings = Embeddings::new(&values, DIM).expect("rows of 512");
    let subject: Vec<i64> = (0..5_000).collect();
    let pairs = 5_000 * 4_999 / 2;
    let mut group = group(criterion, "all pairs of 5,000", pairs);
    for fmr in [1e-4, 1e-2, 0.1] {
        let rates = || rate_all_pairs(&embeddings, &subject, &[fmr], &[], 1_000);
        group.bench_function(format!("rate {fmr}"), |bencher| bencher.iter(rates));
    }
    let draw = Draw { seed: 0, stream: 12, replicates: 1_000 };
    for fmr in [1e-4, 0.1] {
        let threshold = rate_all_pairs(&embeddings, &subject, &[fmr], &[], 0).expect("pairs").points[0].threshold;
        let replicates = || bootstrap::at_threshold(&embeddings, &subject, &[], [&[], &[]], threshold, &draw);
        group.bench_function(format!("1,000 replicates at rate {fmr}"), |bencher| bencher.iter(replicates));
    }
    group.finish();
}

criterion_group!(benches, nearest, all_pairs);
criterion_main!(benches);
