//! The whole engine: sign, search and patch together.

use crate::delta::*;
use proptest::prelude::*;
use std::cell::RefCell;
use std::convert::Infallible;
use std::io;

const XXH3: SumChoice = SumChoice { kind: StrongKind::Xxh3, seed: 77 };

fn sign(choice: SumChoice, basis: &[u8], block_len: usize) -> Signature {
    let block_len = BlockLen::new(block_len as u64).unwrap();
    let mut signer = Signer::new(choice, block_len, StrongLen::new(8).unwrap());
    signer.push(basis);
    signer.finish()
}

/// An operation that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Copy(u64, u64),
    Literal(Vec<u8>),
    Gap(u64, u64, u64),
}

impl Told {
    fn op(&self) -> Op<'_> {
        match self {
            Self::Copy(offset, len) => Op::Copy { offset: *offset, len: *len },
            Self::Literal(data) => Op::Literal(data),
            Self::Gap(len, offset, basis_len) => {
                Op::Gap { len: *len, offset: *offset, basis_len: *basis_len }
            }
        }
    }
}

/// Searches `new` in chunks of these lengths, over and over; joins literals, whose division depends on the chunks.
fn search(
    signature: &Signature,
    choice: SumChoice,
    in_place: Option<Reach>,
    new: &[u8],
    chunks: &[usize],
) -> (Vec<Told>, SearchStats) {
    let mut told: Vec<Told> = Vec::new();
    let mut out = |op: Op<'_>| {
        match (op, told.last_mut()) {
            (Op::Literal([]) | Op::Gap { .. }, _) => panic!("{op:?}"),
            (Op::Literal(data), Some(Told::Literal(before))) => before.extend_from_slice(data),
            (Op::Literal(data), _) => told.push(Told::Literal(data.to_vec())),
            (Op::Copy { offset, len }, last) => {
                assert!(len > 0);
                assert!(
                    !matches!(last, Some(Told::Copy(start, len)) if *start + *len == offset),
                    "not merged"
                );
                told.push(Told::Copy(offset, len));
            }
        }
        Ok::<(), Infallible>(())
    };
    let mut search = Search::new(signature.clone(), choice, SearchOptions { in_place, position: 0 });
    let mut rest = new;
    for len in chunks.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, later) = rest.split_at((*len).min(rest.len()));
        let Ok(()) = search.push(chunk, &mut out);
        rest = later;
    }
    let Ok(stats) = search.finish(&mut out);
    (told, stats)
}

fn literal_bytes(told: &[Told]) -> usize {
    told.iter().map(|op| if let Told::Literal(data) = op { data.len() } else { 0 }).sum()
}

fn patched(choice: SumChoice, basis: &[u8], told: &[Told]) -> (Vec<u8>, SegmentSums) {
    let mut patch = Patch::new(choice, basis, basis.len() as u64, Vec::new());
    told.iter().for_each(|op| patch.apply(op.op()).unwrap());
    let Patched { output, sums, .. } = patch.finish().unwrap();
    (output, sums)
}

/// A file that is basis and output at once.
#[derive(Clone, Copy)]
struct InPlace<'a>(&'a RefCell<Vec<u8>>);

impl Basis for InPlace<'_> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.borrow().as_slice().read_at(offset, buf)
    }
}

impl Output for InPlace<'_> {
    fn write_at(&mut self, data: &[u8], position: u64) -> io::Result<()> {
        self.0.borrow_mut().write_at(data, position)
    }
}

fn patched_in_place(choice: SumChoice, basis: &[u8], told: &[Told], reach: Reach) -> (Vec<u8>, SegmentSums) {
    let file = RefCell::new(basis.to_vec());
    let held = Held { len: basis.len() as u64, sums: None, in_place: Some(reach) };
    let mut patch = Patch::new(choice, InPlace(&file), basis.len() as u64, InPlace(&file)).over(held);
    told.iter().for_each(|op| patch.apply(op.op()).unwrap());
    let sums = patch.finish().unwrap().sums;
    let mut file = file.into_inner();
    file.truncate(sums.len() as usize);
    (file, sums)
}

fn segment_sums(choice: SumChoice, data: &[u8]) -> SegmentSums {
    let mut hasher = SegmentHasher::new(choice, BlockLen::SEGMENT);
    hasher.push(data);
    hasher.finish()
}

/// Bytes without repetition.
fn noise(len: usize) -> Vec<u8> {
    seeded_noise(0x1234_5678_9abc_def1, len)
}

fn seeded_noise(mut state: u64, len: usize) -> Vec<u8> {
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

mod properties;

mod rounds;

mod effect;
