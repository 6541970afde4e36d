//! Speed of random numbers, scores, the reader, the pool and selection: `cargo bench -p sdx-core`.

#![allow(missing_docs)] // criterion's macro writes a function without any

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sdx_core::bootstrap::{self, Asked, Draw, Pairs};
use sdx_core::curve::{Curve, Policy};
use sdx_core::parse::{Limits, verification_bin};
use sdx_core::pool::{Arrivals, Config, Eviction, LatentPool, Lineages, Steer};
use sdx_core::select::{self, Chances, Diversity, Rules};
use sdx_core::tenfold::{Protocol, tenfold_accuracy};
use sdx_core::{normals, philox, uniforms};

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
    group.bench_function("error rates", |bencher| {
        bencher.iter(|| {
            let curve = Curve::new(&distance, &mated)?;
            Ok::<_, sdx_core::Error>((curve.at_fmr(1e-3, Policy::AtMost)?, curve.equal_error(), curve.auc()))
        });
    });
    group.finish();
}

/// 1,000 replicates of LFW's 6,000 pairs of 4,281 people.
fn resampling(criterion: &mut Criterion) {
    let mated: Vec<bool> = (0..6000).map(|pair| pair / 300 % 2 == 0).collect();
    let words = philox::philox(4, 0, &[0, 1], 6000).expect("12,000 words fit in memory");
    let person = |word: u32| i64::from(word % 4281);
    let first: Vec<i64> = words[..6000].iter().map(|&word| person(word)).collect();
    let away = |pair: usize| (first[pair] + 1 + i64::from(words[6000 + pair] % 4280)) % 4281;
    let second: Vec<i64> = (0..6000).map(|pair| if mated[pair] { first[pair] } else { away(pair) }).collect();
    let noise = normals::normals(2, 0, &[0], 6000).expect("6,000 numbers fit in memory");
    let centre = |mated| if mated { 0.7 } else { 2.0 };
    let distance: Vec<f64> =
        mated.iter().zip(noise).map(|(&mated, noise)| centre(mated) + 0.3 * f64::from(noise)).collect();
    let score: Vec<f64> = distance.iter().map(|distance| -distance).collect();
    let draw = Draw { seed: 0, stream: 12, replicates: 1000 };
    let asked = Asked { fmrs: &[1e-1, 1e-2, 1e-3], thresholds: &[] };
    let mut group = criterion.benchmark_group("1,000 subject replicates of 6,000 pairs");
    group.sample_size(10);
    let pairs = |score| Pairs { score, mated: &mated, first: &first, second: &second };
    group.bench_function("error rates", |bencher| {
        bencher.iter(|| bootstrap::of_pairs(&pairs(&score), &asked, &draw));
    });
    group.bench_function("exact accuracy", |bencher| {
        bencher.iter(|| bootstrap::of_accuracy(&pairs(&distance), Protocol::Exact, &draw));
    });
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

/// A full pool of 1,000,000 entries of 0 to 4 hops, and what a step of 128 images asks of it.
fn pool(criterion: &mut Criterion) {
    let size = 1_000_000;
    let numbers: Vec<i64> = (0..1_000_000).collect();
    let hops: Vec<i64> = numbers.iter().map(|number| number % 5).collect();
    let (index, scale) = (vec![7; 8 * size], vec![0.5; 8 * size]);
    let cosines = uniforms::uniforms(4, 0, &[0, 1], size).expect("8 MB fit in memory");
    let (similarity, reliability) = cosines.split_at(size);
    let group = vec![-1; size];
    let batch = |from: usize, count: usize| {
        let part = from..from + count;
        let wide = 8 * from..8 * (from + count);
        let (root, hops) = (&numbers[part.clone()], &hops[part.clone()]);
        let lineage = Lineages { root, hops, index: &index[wide.clone()], scale: &scale[wide] };
        let (similarity, reliability) = (&similarity[part.clone()], &reliability[part.clone()]);
        Arrivals { lineage, similarity, reliability, group: &group[part], images_seen: 0 }
    };
    let mut group = criterion.benchmark_group("pool of 1,000,000");
    for (name, eviction) in [("easiest", Eviction::Easiest), ("oldest", Eviction::Oldest), ("random", Eviction::Random)]
    {
        let (steer, smoothing) = (Steer::Mean, 0.5);
        let config = Config { capacity: size, students: 1, steer, smoothing, eviction, seed: 1, stream: 0 };
        let mut pool = LatentPool::new(config).expect("a setting within its range");
        pool.push(&batch(0, size)).expect("110 MB fit in memory");
        let mut number = 0;
        group.throughput(Throughput::Elements(128));
        group.bench_function(format!("push, observe, draw 128, evict {name}"), |bencher| {
            bencher.iter(|| {
                number += 1;
                let drawn = pool.draw(128, number, 0.1).expect("as many as that");
                let from = usize::try_from(number * 128).unwrap_or(0) % (size - 128);
                pool.observe(&drawn, &similarity[from..from + 128], number).expect("cosines");
                pool.push(&batch(from, 128)).expect("memory there already")
            });
        });
        if eviction == Eviction::Easiest {
            group.bench_function("hardest 128", |bencher| bencher.iter(|| pool.hardest(128)));
            group.sample_size(10).throughput(Throughput::Elements(1_000_000));
            group.bench_function("snapshot", |bencher| bencher.iter(|| pool.snapshot()));
            let snapshot = pool.snapshot().expect("80 MB fit in memory");
            group.bench_function("restore", |bencher| bencher.iter(|| LatentPool::restore(&snapshot)));
            group.bench_function("statistics", |bencher| bencher.iter(|| pool.statistics(number)));
            group.sample_size(100);
        }
    }
    group.finish();
}

/// 128 out of 512 candidates with embeddings of 512 numbers.
fn selection(criterion: &mut Criterion) {
    let priority = uniforms::uniforms(5, 0, &[0], 512).expect("512 numbers fit in memory");
    let vector = normals::normals(5, 1, &(0..512).collect::<Vec<i64>>(), 512).expect("1 MB fits in memory");
    let chances = Chances { alpha: 1.5, temperature: None, exploration: 0.1, seed: 1, stream: 0, number: 0 };
    let free = Rules { count: 128, ..Rules::default() };
    let apart = Rules { diversity: Some(Diversity { vector: &vector, cosine: 0.5 }), ..free };
    let mut group = criterion.benchmark_group("128 of 512");
    group.bench_function("top", |bencher| bencher.iter(|| select::top(&priority, &free)));
    group.bench_function("sample", |bencher| bencher.iter(|| select::sample(&priority, &chances, &free)));
    group.bench_function("top, apart", |bencher| bencher.iter(|| select::top(&priority, &apart)));
    group.finish();
}

criterion_group!(benches, random, scores, resampling, reader, pool, selection);
criterion_main!(benches);
