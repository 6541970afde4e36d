//! Speed of random numbers, scores and the reader: `cargo bench -p sdx-core`.

#![allow(missing_docs)] // criterion's macro writes a function without any

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sdx_core::parse::{Limits, verification_bin};
use sdx_core::tenfold::{Protocol, tenfold_accuracy};
use sdx_core::{normals, philox, rates, uniforms};

/// A batch of 128 latents of 512 numbers, and a population of 10,000.
fn random(criterion: &mut Criterion) {
    for (name, rows) in [("batch", 128_u32), ("population", 10_000)] {
        let index: Vec<i64> = (0..i64::from(rows)).collect();
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(u64::from(rows) * 512));
        group.bench_function("philox", |bencher| bencher.iter(|| philox::philox(1, 0, &index, 512)));
        group.bench_function("uniforms", |bencher| bencher.iter(|| uniforms::uniforms(1, 0, &index, 512)));
        group.bench_function("normals", |bencher| bencher.iter(|| normals::normals(1, 0, &index, 512)));
        group.finish();
    }
}

/// LFW's size: 6,000 pairs.
fn scores(criterion: &mut Criterion) {
    let mated: Vec<bool> = (0..6000).map(|pair| pair / 300 % 2 == 0).collect();
    let noise = normals::normals(2, 0, &[0], 6000).expect("6,000 numbers fit in memory");
    let centre = |mated| if mated { 0.7 } else { 2.0 };
    let distance: Vec<f64> =
        mated.iter().zip(noise).map(|(&mated, noise)| centre(mated) + 0.3 * f64::from(noise)).collect();
    let mut group = criterion.benchmark_group("scores of 6,000 pairs");
    for (name, protocol) in [("insightface", Protocol::InsightFace), ("exact", Protocol::Exact)] {
        group.bench_function(name, |bencher| bencher.iter(|| tenfold_accuracy(&distance, &mated, protocol)));
    }
    group
        .bench_function("error rates", |bencher| bencher.iter(|| rates::error_rates(&distance, &mated, &[1e-3, 1e-2])));
    group.finish();
}

/// A set of 12,000 images of 5 kB, each shown about twice, as LFW's protocol does.
fn reader(criterion: &mut Criterion) {
    let words = philox::philox(3, 0, &(0..6000).collect::<Vec<i64>>(), 1250).expect("30 MB fit in memory");
    let image = |number: usize| words[1250 * (number % 6000)..][..1250].iter().flat_map(|word| word.to_le_bytes());
    let mut file = b"\x80\x02](".to_vec();
    for number in 0..12_000 {
        file.extend([b'T', 0x88, 0x13, 0, 0]);
        file.extend(image(number));
    }
    file.extend(b"e](");
    file.extend([0x88; 6000]);
    file.extend(b"e\x86.");
    let mut group = criterion.benchmark_group("verification set of 60 MB");
    group.throughput(Throughput::Bytes(u64::try_from(file.len()).unwrap_or(0))).sample_size(20);
    group.bench_function("parse", |bencher| bencher.iter(|| verification_bin::parse(&file, Limits::default())));
    group.finish();
}

criterion_group!(benches, random, scores, reader);
criterion_main!(benches);
