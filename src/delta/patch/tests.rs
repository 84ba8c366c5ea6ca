use super::*;
use crate::delta::StrongKind;
use proptest::prelude::*;

const CHOICE: SumChoice = SumChoice { kind: StrongKind::Xxh3, seed: 9 };

fn patch(basis: &[u8]) -> Patch<&[u8], Vec<u8>> {
    Patch::new(CHOICE, basis, basis.len() as u64, Vec::new())
}

#[test]
fn writes_and_hashes() {
    let basis: Vec<u8> = (0..700_000_u32).map(|n| (n >> 3) as u8).collect();
    let mut patch = patch(&basis);
    patch.apply(Op::Literal(b"new ")).unwrap();
    patch.apply(Op::Copy { offset: 1, len: 600_000 }).unwrap();
    patch.apply(Op::Copy { offset: 5, len: 0 }).unwrap();
    patch.apply(Op::Copy { offset: 0, len: 700_000 }).unwrap();
    assert_eq!(patch.prefix(), 1_300_004);
    let Patched { output: written, sums, unsummed } = patch.finish().unwrap();
    assert_eq!(unsummed, []);
    let expected = [b"new ", &basis[1..600_001], &basis].concat();
    assert!(written == expected);
    let mut hasher = SegmentHasher::new(CHOICE, BlockLen::SEGMENT);
    hasher.push(&expected);
    assert_eq!(sums, hasher.finish());
}

/// An output that counts what is done to it.
#[derive(Default)]
struct Writes(Vec<(u64, usize)>);

impl Output for Writes {
    fn write_at(&mut self, data: &[u8], position: u64) -> io::Result<()> {
        self.0.push((position, data.len()));
        Ok(())
    }
}

#[test]
fn what_the_output_holds_is_not_written() {
    let held = Held { len: 90, ..Held::default() };
    let mut patch = Patch::new(CHOICE, &[0_u8; 100][..], 100, Writes::default()).over(held);
    patch.apply(Op::Copy { offset: 0, len: 10 }).unwrap();
    patch.apply(Op::Copy { offset: 20, len: 5 }).unwrap();
    patch.apply(Op::Literal(&[1; 5])).unwrap();
    patch.apply(Op::Copy { offset: 20, len: 80 }).unwrap();
    assert_eq!(patch.into_output().0, [(10, 5), (15, 5), (20, 80)]);
}

/// A basis of which some bytes may not be read any more.
struct Unreadable(Vec<u8>, std::ops::Range<u64>);

impl Basis for Unreadable {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        assert!(offset + buf.len() as u64 <= self.1.start || offset >= self.1.end, "{offset} {}", buf.len());
        self.0.as_slice().read_at(offset, buf)
    }
}

#[test]
fn held_segments_whose_sums_are_known_are_not_read() {
    let basis: Vec<u8> = (0..1050_u32).map(|n| (n % 251) as u8).collect();
    let segments = |data: &[u8]| {
        let mut hasher = SegmentHasher::new(CHOICE, block_len(100));
        hasher.push(data);
        hasher.finish()
    };
    let held = Held { len: 1050, sums: Some(segments(&basis)), in_place: None };
    let mut new = basis.clone();
    new[210..220].fill(7);
    let basis = Unreadable(basis, 300..1000);
    let mut patch = Patch::new(CHOICE, basis, 1050, Writes::default()).over(held).refined(block_len(100));
    patch.apply(Op::Copy { offset: 0, len: 210 }).unwrap();
    patch.apply(Op::Literal(&new[210..220])).unwrap();
    patch.apply(Op::Copy { offset: 220, len: 830 }).unwrap();
    let Patched { output, sums, unsummed } = patch.finish().unwrap();
    assert_eq!((output.0, unsummed), (vec![(210, 10)], vec![]));
    assert_eq!(sums, segments(&new));
}

#[test]
fn refuses_copies_outside_the_basis() {
    let mut patch = patch(b"12345");
    for (offset, len) in [(0, 6), (5, 1), (6, 0), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
        let result = patch.apply(Op::Copy { offset, len });
        assert!(matches!(result, Err(DeltaError::OutsideBasis { .. })), "{offset} {len}");
    }
    patch.apply(Op::Copy { offset: 5, len: 0 }).unwrap();
    assert_eq!(patch.prefix(), 0);
}

#[test]
fn a_basis_that_shrank_is_an_error() {
    let mut patch = Patch::new(CHOICE, &b"123"[..], 5, Vec::new());
    let result = patch.apply(Op::Copy { offset: 1, len: 4 });
    assert!(matches!(result, Err(DeltaError::ReadBasis { offset: 1, len: 4, .. })));
}

fn gap(len: u64) -> Op<'static> {
    Op::Gap { len, offset: 0, basis_len: 5 }
}

fn block_len(len: u64) -> BlockLen {
    BlockLen::new(len).unwrap()
}

/// A file that may have gaps, of segments of a megabyte.
fn refined(basis: &[u8]) -> Patch<&[u8], Vec<u8>> {
    patch(basis).refined(BlockLen::SEGMENT)
}

#[test]
fn gaps_are_filled_in_order_and_exactly() {
    let mut patch = refined(b"12345");
    for op in [Op::Literal(b"ab"), gap(3), Op::Copy { offset: 0, len: 2 }, gap(6), Op::Literal(b"z")] {
        patch.apply(op).unwrap();
    }
    assert_eq!((patch.prefix(), patch.open_gaps()), (2, 2));
    assert_eq!(patch.next_round(block_len(4)).unwrap().len(), 2);
    assert_eq!(patch.prefix(), 2);
    patch.apply(Op::Literal(b"cd")).unwrap();
    assert_eq!(patch.prefix(), 4);
    assert!(matches!(patch.apply(Op::Literal(b"ef")), Err(DeltaError::OutsideGap { .. })));
    patch.apply(Op::Copy { offset: 4, len: 1 }).unwrap();
    assert_eq!((patch.prefix(), patch.open_gaps()), (7, 1));
    assert!(matches!(patch.next_round(block_len(2)), Err(DeltaError::RoundIncomplete)));
    patch.apply(gap(4)).unwrap();
    patch.apply(Op::Literal(b"xy")).unwrap();
    assert!(matches!(patch.apply(Op::Literal(b"!")), Err(DeltaError::OutsideGap { .. })));
    assert!(matches!(patch.next_round(block_len(3)), Err(DeltaError::BlockLen(3))));
    assert_eq!(patch.next_round(block_len(2)).unwrap().len(), 1);
    assert_eq!(patch.prefix(), 7);
    patch.apply(Op::Literal(b"wwww")).unwrap();
    assert_eq!(patch.prefix(), 14);
    let Patched { output, unsummed, sums } = patch.finish().unwrap();
    assert_eq!(output, b"abcd512wwwwxyz");
    assert_eq!(sums.len(), 14);
    assert_eq!((unsummed.len(), unsummed[0].clone()), (1, 0..1));
}

#[test]
fn segments_with_gaps_are_named() {
    let basis = vec![0; 4 << 20];
    let mut patch = refined(&basis);
    for (copied, left) in [(100, 1), ((1 << 20) - 101, 10), (3 << 20, 1 << 20)] {
        patch.apply(Op::Copy { offset: 0, len: copied }).unwrap();
        patch.apply(gap(left)).unwrap();
    }
    patch.next_round(block_len(4)).unwrap();
    for len in [1, 10, 1 << 20] {
        patch.apply(Op::Copy { offset: 0, len }).unwrap();
    }
    assert_eq!(patch.finish().unwrap().unsummed, [0..2, 4..6]);
}

#[test]
fn what_is_not_filled_is_no_file() {
    let mut patch = refined(b"12345");
    assert!(matches!(patch.next_round(block_len(4)), Err(DeltaError::RoundIncomplete)));
    patch.apply(gap(1)).unwrap();
    assert!(matches!(patch.finish(), Err(DeltaError::RoundIncomplete)));
}

#[test]
fn refuses_gaps_where_nothing_is_refined() {
    let mut patch = patch(b"12345");
    assert!(matches!(patch.apply(gap(1)), Err(DeltaError::TooManyGaps)));
    assert!(matches!(patch.next_round(block_len(1)), Err(DeltaError::RoundIncomplete)));
    patch.apply(Op::Literal(b"x")).unwrap();
    assert_eq!(patch.finish().unwrap().output, b"x");
}

#[test]
fn refuses_gaps_without_measure() {
    let mut patch = refined(b"12345");
    for (len, offset, basis_len) in [(1, 0, 6), (1, 5, 1), (1, u64::MAX, 1), (1, 1, u64::MAX)] {
        let result = patch.apply(Op::Gap { len, offset, basis_len });
        assert!(matches!(result, Err(DeltaError::OutsideBasis { .. })), "{offset} {basis_len}");
    }
    for (len, basis_len) in [(0, 1), (1, 0), (21, 5), (u64::MAX, 5)] {
        let result = patch.apply(Op::Gap { len, offset: 0, basis_len });
        assert!(matches!(result, Err(DeltaError::TooManyGaps)), "{len} {basis_len}");
    }
    let zeros = vec![0; 1 << 20];
    let mut patch = refined(&zeros);
    (0..MAX_GAPS).for_each(|_| patch.apply(gap(1)).unwrap());
    assert!(matches!(patch.apply(gap(1)), Err(DeltaError::TooManyGaps)));
}

#[test]
fn refuses_gaps_that_have_the_basis_read_over_and_over() {
    let zeros = vec![0; 1000];
    let wide = |times| {
        let mut patch = refined(&zeros);
        (0..times).for_each(|_| patch.apply(Op::Gap { len: 1, offset: 0, basis_len: 1000 }).unwrap());
        patch.next_round(block_len(500)).map(|covers| covers.len())
    };
    assert_eq!(wide(16).unwrap(), 16);
    assert!(matches!(wide(17), Err(DeltaError::TooManyGaps)));
}

#[test]
fn the_first_round_too_has_to_be_finer() {
    let mut patch = patch(b"12345").refined(block_len(9));
    patch.apply(gap(3)).unwrap();
    assert!(matches!(patch.next_round(block_len(5)), Err(DeltaError::BlockLen(5))));
    patch.next_round(block_len(4)).unwrap();
}

#[test]
fn refuses_endless_files() {
    struct Nothing;
    impl Basis for Nothing {
        fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
            Err(io::ErrorKind::Other.into())
        }
    }
    let mut patch = Patch::new(CHOICE, Nothing, u64::MAX, Vec::new());
    let result = patch.apply(Op::Copy { offset: 0, len: u64::MAX });
    assert!(matches!(result, Err(DeltaError::OutputTooLong)));
}

proptest! {
    #[test]
    fn arbitrary_operations_never_panic(
        basis in prop::collection::vec(any::<u8>(), 0..100),
        claimed in prop_oneof![0_u64..200, any::<u64>()],
        copies in prop::collection::vec((prop_oneof![0_u64..120, any::<u64>()], prop_oneof![0_u64..120, any::<u64>()]), 0..8),
    ) {
        let mut patch = Patch::new(CHOICE, &basis[..], claimed, Vec::new());
        for (offset, len) in copies {
            let before = patch.prefix();
            match patch.apply(Op::Copy { offset, len }) {
                Ok(()) => prop_assert_eq!(patch.prefix(), before + len),
                Err(DeltaError::ReadBasis { .. }) => break,
                Err(_) => prop_assert_eq!(patch.prefix(), before),
            }
            patch.apply(Op::Literal(b"x")).unwrap();
        }
        let position = patch.prefix();
        let Patched { output, sums, .. } = patch.finish().unwrap();
        prop_assert_eq!(output.len() as u64, position);
        prop_assert_eq!(sums.len(), position);
    }

    #[test]
    fn arbitrary_gaps_never_panic(
        claimed in prop_oneof![0_u64..200, any::<u64>()],
        ops in prop::collection::vec((0..4_u8, prop_oneof![0_u64..120, any::<u64>()], prop_oneof![0_u64..120, any::<u64>()]), 0..20),
    ) {
        let mut patch = Patch::new(CHOICE, &[][..], claimed.min(1 << 30), Vec::new()).refined(block_len(1 << 20));
        for (kind, a, b) in ops {
            let _ = match kind {
                0 => patch.apply(Op::Literal(&vec![1; a.min(200) as usize])),
                1 => patch.next_round(BlockLen::new(a.clamp(1, 1 << 20)).unwrap()).map(|_| ()),
                _ => patch.apply(Op::Gap { len: a, offset: b % 50, basis_len: b }),
            };
            prop_assert!(patch.open_gaps() <= 20);
        }
        let _ = patch.finish();
    }
}
