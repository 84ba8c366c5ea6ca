//! Throughput of the delta engine, over a basis of 64 MiB that is too large for the cache: signing, searching each
//! kind of new file, and patching. Numbers are bytes of the basis (sign) or of the new file (search, patch) a second.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dsync::delta::{
    BlockLen, Op, Output, Patch, Search, SearchOptions, SegmentHasher, Signature, Signer, StrongKind,
    StrongLen, SumChoice,
};
use std::convert::Infallible;
use std::hint::black_box;
use std::io;

const SIZE: usize = 64 << 20;
const CHUNK: usize = 1 << 20;
const XXH3: SumChoice = SumChoice { kind: StrongKind::Xxh3, seed: 1 };
const MD5: SumChoice = SumChoice { kind: StrongKind::Md5, seed: 1 };

/// Incompressible bytes, always the same for the same seed (xorshift64).
fn noise(len: usize, mut state: u64) -> Vec<u8> {
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(len / 8).flatten().collect()
}

fn sign(basis: &[u8], choice: SumChoice, block_len: Option<BlockLen>) -> Signature {
    let size = basis.len() as u64;
    let (block_len, _) = BlockLen::for_basis(size, size, block_len);
    let strong_len = StrongLen::for_search(size * size.div_ceil(u64::from(block_len.get())));
    let mut signer = Signer::new(choice, block_len, strong_len);
    basis.chunks(CHUNK).for_each(|chunk| signer.push(chunk));
    signer.finish()
}

/// Searches `new` and counts its literal bytes.
fn search(mut search: Search, new: &[u8]) -> usize {
    let mut literal = 0;
    let mut out = |op: Op<'_>| {
        if let Op::Literal(data) = op {
            literal += data.len();
        }
        Ok::<(), Infallible>(())
    };
    for chunk in new.chunks(CHUNK) {
        let Ok(()) = search.push(chunk, &mut out);
    }
    let Ok(_) = search.finish(&mut out);
    literal
}

/// Replaces 37 bytes in the middle of each `every` bytes.
fn edited(basis: &[u8], every: usize) -> Vec<u8> {
    let mut new = basis.to_vec();
    for piece in new.chunks_mut(every) {
        piece.iter_mut().skip(every / 2).take(37).for_each(|byte| *byte ^= 0x55);
    }
    new
}

fn bench_sign(c: &mut Criterion) {
    let basis = noise(SIZE, 1);
    let mut group = c.benchmark_group("sign");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);
    group.bench_function("xxh3", |b| b.iter(|| sign(black_box(&basis), XXH3, None)));
    group.bench_function("xxh3, blocks of 704", |b| {
        b.iter(|| sign(black_box(&basis), XXH3, BlockLen::new(704).ok()));
    });
    group.bench_function("md5", |b| b.iter(|| sign(black_box(&basis), MD5, None)));
    group.bench_function("file sum", |b| {
        b.iter(|| {
            let mut hasher = SegmentHasher::new(XXH3, BlockLen::SEGMENT);
            basis.chunks(CHUNK).for_each(|chunk| hasher.push(black_box(chunk)));
            hasher.finish().root(XXH3)
        });
    });
    group.finish();
}

fn bench_search(c: &mut Criterion) {
    let basis = noise(SIZE, 1);
    let signature = sign(&basis, XXH3, None);
    let block_len = signature.header().block_len.get() as usize;
    let zeros = vec![0; SIZE];
    let cases = [
        ("identical", &signature, basis.clone()),
        ("6 edits", &signature, edited(&basis, 10 << 20)),
        ("an edit every 10 blocks", &signature, edited(&basis, 10 * block_len)),
        ("an edit in 2 of 3 blocks", &signature, edited(&basis, block_len * 3 / 2)),
        ("shifted", &signature, [b"x", &basis[..]].concat()),
        ("unrelated", &signature, noise(SIZE, 2)),
        ("zeros, shifted", &sign(&zeros, XXH3, None), [b"x", &zeros[..]].concat()),
        ("unrelated, blocks of 704", &sign(&basis, XXH3, BlockLen::new(704).ok()), noise(SIZE, 2)),
    ];
    let mut group = c.benchmark_group("search");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);
    for (name, signature, new) in cases {
        let start = || Search::new(signature.clone(), XXH3, SearchOptions::default());
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter_batched(start, |s| search(s, black_box(&new)), BatchSize::LargeInput);
        });
    }
    group.finish();
}

/// Takes what it is given and does nothing with it.
struct Discard;

impl Output for Discard {
    fn write_at(&mut self, data: &[u8], _: u64) -> io::Result<()> {
        black_box(data);
        Ok(())
    }
}

fn bench_patch(c: &mut Criterion) {
    let basis = noise(SIZE, 1);
    let mut group = c.benchmark_group("patch");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);
    group.bench_function("copies of 1 MiB", |b| {
        b.iter(|| {
            let mut patch = Patch::new(XXH3, &basis[..], SIZE as u64, Discard);
            for offset in (0..SIZE as u64).step_by(CHUNK) {
                let copied = patch.apply(Op::Copy { offset, len: CHUNK as u64 });
                assert!(copied.is_ok());
            }
            patch.finish().map(|patched| patched.sums).ok()
        });
    });
    group.bench_function("literals of 256 KiB", |b| {
        b.iter(|| {
            let mut patch = Patch::new(XXH3, &[][..], 0, Discard);
            for data in basis.chunks(CHUNK / 4) {
                assert!(patch.apply(Op::Literal(data)).is_ok());
            }
            patch.finish().map(|patched| patched.sums).ok()
        });
    });
    group.finish();
}

criterion_group!(benches, bench_sign, bench_search, bench_patch);
criterion_main!(benches);
