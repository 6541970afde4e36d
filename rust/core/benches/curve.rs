//! Speed of error rates over a tenth of IJB-C's number of scores: `cargo bench -p sdx-core --bench curve`.

#![allow(missing_docs)] // criterion's macro writes a function without any

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sdx_core::curve::{Curve, Policy};
use sdx_core::normals;

const PAIRS: usize = 1_565_849;

/// Cosines as float32 gives them, one pair in 800 mated.
fn rates(criterion: &mut Criterion) {
    let mated: Vec<bool> = (0..PAIRS).map(|pair| pair % 800 == 0).collect();
    let noise = normals::normals(6, 0, &[0], PAIRS).expect("6 MB fit in memory");
    let cosine = |(&mated, noise): (&bool, f32)| if mated { 0.6 + 0.2 * noise } else { 0.044 * noise };
    let score: Vec<f64> = mated.iter().zip(noise).map(cosine).map(f64::from).collect();
    let curve = Curve::new(&score, &mated).expect("pairs of both kinds");
    let mut group = criterion.benchmark_group("curve of 1,565,849 scores");
    for policy in [Policy::AtMost, Policy::Nearest] {
        group.bench_function(format!("at FMR 1e-4, {policy:?}"), |bencher| bencher.iter(|| curve.at_fmr(1e-4, policy)));
    }
    group.bench_function("equal error", |bencher| bencher.iter(|| curve.equal_error()));
    group.bench_function("area", |bencher| bencher.iter(|| curve.auc()));
    group.bench_function("200 points", |bencher| bencher.iter(|| curve.points(200)));
    group.sample_size(10).throughput(Throughput::Elements(PAIRS as u64));
    group.bench_function("sort", |bencher| bencher.iter(|| Curve::new(&score, &mated)));
    group.finish();
}

criterion_group!(benches, rates);
criterion_main!(benches);
