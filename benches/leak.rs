//! How fast tokens are found in memory: beside `memmem` alone, and beside reading the bytes.
//!
//! `cargo bench --bench leak`. Compare the rows of one run, as ratios: the machine's memory decides
//! the rest.

use std::{hint::black_box, io::Write, time::Duration};

use api_tokens::{
    Prefix,
    leak::{Encoding, Finder, Redactor},
    prefix,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use memchr::memmem;

const LIVE: Prefix = prefix!("acme_live");

/// More than the processor's caches hold.
const LEN: usize = 64 << 20;

/// Source code, which has many of the bytes that the encodings look for.
fn text() -> Vec<u8> {
    let source = [
        include_str!("../src/issuer.rs"),
        include_str!("../src/management/page/list.rs"),
        include_str!("../tests/data/authorization-cases.json"),
        include_str!("../README.md"),
    ]
    .concat();
    // The examples of the docs are tokens.
    let source = source.replace("acme_live", "acme-live");
    source.bytes().cycle().take(LEN).collect()
}

fn memory(c: &mut Criterion) {
    let text = text();
    let mut group = c.benchmark_group("memory");
    group.throughput(Throughput::BytesDecimal(LEN as u64));
    group.sample_size(20).measurement_time(Duration::from_secs(3));

    group.bench_function("read", |b| b.iter(|| read(black_box(&text))));

    let memmem = memmem::Finder::new("acme_live_");
    group.bench_function("memmem", |b| b.iter(|| memmem.find(black_box(&text))));

    let finder = Finder::new([LIVE]);
    group.bench_function("plain", |b| b.iter(|| finder.find(black_box(&text))));

    for encoding in Encoding::ALL.into_iter().skip(1) {
        let finder = Finder::new([LIVE]).with_encoding(encoding);
        let name = format!("plain and {encoding}");
        group.bench_function(name, |b| b.iter(|| finder.find(black_box(&text))));
    }

    let finder = Finder::new([LIVE]).with_all_encodings();
    group.bench_function("all encodings", |b| b.iter(|| finder.find(black_box(&text))));

    let prefixes = (0..16).map(|number| Prefix::new(&format!("product{number:02}_live")).unwrap());
    let finder = Finder::new(prefixes);
    group.bench_function("plain, 16 prefixes", |b| b.iter(|| finder.find(black_box(&text))));

    let finder = Finder::new([LIVE]);
    group.bench_function("scan in pieces of 64 KiB", |b| {
        b.iter(|| {
            let mut scan = finder.scan();
            black_box(&text).chunks(64 << 10).map(|piece| scan.push(piece).len()).sum::<usize>()
        });
    });
    group.finish();
}

fn read(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks();
    words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
}

fn logs(c: &mut Criterion) {
    let finder = Finder::new([LIVE]);
    let line = "2026-11-26T08:00:00Z  INFO service::http: request done method=GET path=/v1/sources \
        status=200 project=acme token=Ky9Pf34qY6Nb3wWD took=0.8ms\n";
    let with_token = line.replace(
        "Ky9Pf34qY6Nb3wWD",
        "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ",
    );
    let mut group = c.benchmark_group("a line of a log");
    for (name, line) in [("without a token", line), ("with a token", &with_token)] {
        group.throughput(Throughput::BytesDecimal(line.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut redactor = Redactor::new(&finder, std::io::sink());
                redactor.write_all(black_box(line.as_bytes()))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, memory, logs);
criterion_main!(benches);
