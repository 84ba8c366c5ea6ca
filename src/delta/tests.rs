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
    in_place: bool,
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

    fn keep(&mut self, data: &[u8], position: u64) -> io::Result<()> {
        let position = position as usize;
        assert_eq!(self.0.borrow()[position..position + data.len()], *data);
        Ok(())
    }
}

fn patched_in_place(choice: SumChoice, basis: &[u8], told: &[Told]) -> (Vec<u8>, SegmentSums) {
    let file = RefCell::new(basis.to_vec());
    let mut patch = Patch::new(choice, InPlace(&file), basis.len() as u64, InPlace(&file));
    told.iter().for_each(|op| patch.apply(op.op()).unwrap());
    let sums = patch.finish().unwrap().sums;
    let mut file = file.into_inner();
    file.truncate(sums.len() as usize);
    (file, sums)
}

fn segment_sums(choice: SumChoice, data: &[u8]) -> SegmentSums {
    let mut hasher = SegmentHasher::new(choice);
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

mod properties {
    use super::*;

    /// A stretch of a file; several make one.
    fn stretch() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            prop::collection::vec(0_u8..2, 0..300),
            (any::<u8>(), 0_usize..400).prop_map(|(byte, len)| vec![byte; len]),
            (0_usize..400).prop_map(|len| vec![0; len]),
            (prop::collection::vec(any::<u8>(), 1..40), 1_usize..12)
                .prop_map(|(piece, times)| piece.repeat(times)),
        ]
    }

    fn file() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(stretch(), 0..6).prop_map(|stretches| stretches.concat())
    }

    /// One change. Places and lengths are fractions of the file, in 65536ths.
    #[derive(Clone, Debug)]
    pub(super) enum Edit {
        Insert(u16, Vec<u8>),
        Replace(u16, Vec<u8>),
        Delete(u16, u16),
        Move(u16, u16, u16),
        Repeat(u16, u16),
        Zero(u16, u16),
        Truncate(u16),
    }

    pub(super) fn edit() -> impl Strategy<Value = Edit> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..60);
        prop_oneof![
            (any::<u16>(), bytes()).prop_map(|(at, data)| Edit::Insert(at, data)),
            (any::<u16>(), bytes()).prop_map(|(at, data)| Edit::Replace(at, data)),
            (any::<u16>(), 0..9000_u16).prop_map(|(at, len)| Edit::Delete(at, len)),
            (any::<u16>(), any::<u16>(), any::<u16>()).prop_map(|(at, len, to)| Edit::Move(at, len, to)),
            (any::<u16>(), any::<u16>()).prop_map(|(at, len)| Edit::Repeat(at, len)),
            (any::<u16>(), any::<u16>()).prop_map(|(at, len)| Edit::Zero(at, len)),
            (40_000..=u16::MAX).prop_map(Edit::Truncate),
        ]
    }

    pub(super) fn edited(file: &[u8], edits: &[Edit]) -> Vec<u8> {
        let mut file = file.to_vec();
        for edit in edits {
            let place = |fraction: u16| file.len() * usize::from(fraction) / 65_536;
            let range = |at: u16, len: u16| place(at)..(place(at) + place(len)).min(file.len());
            match edit {
                Edit::Insert(at, data) => drop(file.splice(place(*at)..place(*at), data.iter().copied())),
                Edit::Replace(at, data) => {
                    let end = (place(*at) + data.len()).min(file.len());
                    drop(file.splice(place(*at)..end, data.iter().copied()));
                }
                Edit::Delete(at, len) => drop(file.drain(range(*at, *len))),
                Edit::Move(at, len, to) => {
                    let moved: Vec<u8> = file.drain(range(*at, *len)).collect();
                    let to = file.len() * usize::from(*to) / 65_536;
                    drop(file.splice(to..to, moved));
                }
                Edit::Repeat(at, len) => {
                    let again = file[range(*at, *len)].to_vec();
                    drop(file.splice(place(*at)..place(*at), again));
                }
                Edit::Zero(at, len) => {
                    let range = range(*at, *len);
                    file[range].fill(0);
                }
                Edit::Truncate(to) => file.truncate(place(*to)),
            }
        }
        file
    }

    fn chunks() -> impl Strategy<Value = Vec<usize>> {
        prop_oneof![Just(vec![1 << 20]), Just(vec![1]), prop::collection::vec(1_usize..200, 1..8)]
    }

    fn choice() -> impl Strategy<Value = SumChoice> {
        (any::<bool>(), any::<u64>()).prop_map(|(md5, seed)| SumChoice {
            kind: if md5 { StrongKind::Md5 } else { StrongKind::Xxh3 },
            seed,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn what_was_searched_is_what_is_patched(
            basis in file(),
            edits in prop::collection::vec(edit(), 0..6),
            block_len in prop_oneof![1_usize..70, 1_usize..700],
            chunks in chunks(),
            choice in choice(),
        ) {
            let new = edited(&basis, &edits);
            let signature = sign(choice, &basis, block_len);
            let sums = segment_sums(choice, &new);

            let (told, _) = search(&signature, choice, false, &new, &chunks);
            let (written, written_sums) = patched(choice, &basis, &told);
            prop_assert_eq!(&written, &new);
            prop_assert_eq!(&written_sums, &sums);

            let (told, _) = search(&signature, choice, true, &new, &chunks);
            let (written, written_sums) = patched_in_place(choice, &basis, &told);
            prop_assert_eq!(&written, &new);
            prop_assert_eq!(&written_sums, &sums);
        }

        #[test]
        fn chunks_do_not_matter(
            basis in file(),
            edits in prop::collection::vec(edit(), 0..6),
            block_len in 1_usize..70,
            chunks in chunks(),
            in_place in any::<bool>(),
        ) {
            let new = edited(&basis, &edits);
            let signature = sign(XXH3, &basis, block_len);
            prop_assert_eq!(
                search(&signature, XXH3, in_place, &new, &chunks),
                search(&signature, XXH3, in_place, &new, &[usize::MAX])
            );
        }

        #[test]
        fn signatures_survive_being_sent_in_parts(
            basis in file(),
            block_len in 1_usize..70,
            blocks in 0_usize..20,
        ) {
            let signature = sign(XXH3, &basis, block_len);
            let mut builder = SignatureBuilder::new(signature.header()).unwrap();
            for part in signature.parts(blocks) {
                builder.push(part).unwrap();
            }
            prop_assert_eq!(builder.finish().unwrap().next().unwrap(), signature);
        }

        #[test]
        fn any_signature_can_be_searched(
            blocks in prop::collection::vec((0_u32..3, any::<[u8; 5]>()), 0..50),
            short in 0_u64..8,
            new in stretch(),
            in_place in any::<bool>(),
        ) {
            let header = SignatureHeader {
                basis_len: (blocks.len() as u64 * 8).saturating_sub(short),
                block_len: BlockLen::new(8).unwrap(),
                strong_len: StrongLen::new(5).unwrap(),
            };
            let (weak, strong): (Vec<u32>, Vec<[u8; 5]>) = blocks.into_iter().unzip();
            let mut builder = SignatureBuilder::new(header).unwrap();
            builder.push(SignaturePart { weak: &weak, strong: &strong.concat() }).unwrap();
            let signature = builder.finish().unwrap().next().unwrap();
            let (told, _) = search(&signature, XXH3, in_place, &new, &[100]);
            let len: u64 = told.iter().map(|op| match op {
                Told::Copy(_, len) => *len,
                Told::Literal(data) => data.len() as u64,
                Told::Gap(..) => 0,
            }).sum();
            prop_assert_eq!(len, new.len() as u64);
        }
    }
}

/// A file told in rounds, both sides of it.
mod rounds {
    use super::*;

    /// What came of it.
    struct Outcome {
        /// The operations, round by round.
        rounds: Vec<Vec<Told>>,
        /// Bytes of block sums, all rounds.
        sums: usize,
        stats: Vec<SearchStats>,
    }

    impl Outcome {
        fn literal(&self) -> usize {
            self.rounds.iter().map(|told| literal_bytes(told)).sum()
        }
    }

    /// One round at the source: what is said of these gaps.
    fn tell(
        new: &[u8],
        basis_len: u64,
        in_place: bool,
        gaps: &[Gap],
        signatures: impl Iterator<Item = Signature>,
        mut round: Option<&mut Round>,
        stats: &mut Vec<SearchStats>,
    ) -> Vec<Told> {
        let mut told = Vec::new();
        for (gap, signature) in gaps.iter().zip(signatures) {
            let mut out = |sifted: Sifted<'_>| {
                told.push(match sifted {
                    Sifted::Op(Op::Copy { offset, len }) => Told::Copy(offset, len),
                    Sifted::Op(Op::Literal(data)) => Told::Literal(data.to_vec()),
                    Sifted::Op(Op::Gap { len, offset, basis_len }) => Told::Gap(len, offset, basis_len),
                    Sifted::Passed { at, len } => Told::Literal(new[at as usize..][..len as usize].to_vec()),
                });
                Ok::<(), Infallible>(())
            };
            let mut search = GapSearch::new(*gap, signature, XXH3, in_place, basis_len, round.as_deref_mut());
            let end = (new.len() as u64).min(gap.end()) as usize;
            for chunk in new[gap.at as usize..end].chunks(5000) {
                let Ok(()) = search.push(chunk, &mut out);
            }
            let Ok(done) = search.finish(&mut out);
            stats.push(done);
        }
        told
    }

    /// What the sink answers: the sums of what is covered, as the basis is now.
    fn sums(
        basis: &impl Basis,
        covers: &[Cover],
        block_len: BlockLen,
        strong_len: StrongLen,
    ) -> Vec<Signature> {
        let sign = |cover: &Cover| {
            let mut signer = Signer::new(XXH3, block_len, strong_len);
            for range in cover.ranges() {
                let mut data = vec![0; (range.end - range.start) as usize];
                basis.read_at(range.start, &mut data).unwrap();
                signer.push(&data);
            }
            signer.finish()
        };
        covers.iter().map(sign).collect()
    }

    /// Updates a basis in rounds, by way of `output`, which fills `written`; what is told to be there has to be there at
    /// any moment.
    fn run(
        basis: impl Basis + Copy,
        (output, written): (impl Output, &RefCell<Vec<u8>>),
        (old_len, in_place, top): (usize, bool, u64),
        new: &[u8],
    ) -> Outcome {
        let (basis_len, mut block_len) = (old_len as u64, BlockLen::new(top).unwrap());
        let mut strong_len = StrongLen::for_search(basis_len * basis_len.div_ceil(top));
        let mut patch = Patch::new(XXH3, basis, basis_len, output).signed_in(block_len);
        let (mut rounds, mut stats, mut sum_bytes) = (Vec::new(), Vec::new(), 0);
        let (mut gaps, mut covers) = (vec![Gap::whole(basis_len)], vec![Cover::whole(basis_len)]);
        let file = loop {
            let mut builder = match rounds.len() {
                0 => SignatureBuilder::new(SignatureHeader { basis_len, block_len, strong_len }),
                _ => SignatureBuilder::for_gaps(&gaps, block_len, strong_len),
            }
            .unwrap();
            for signature in sums(&basis, &covers, block_len, strong_len) {
                for part in signature.parts(3) {
                    sum_bytes += part.weak.len() * 4 + part.strong.len();
                    builder.push(part).unwrap();
                }
            }
            let mut round = Round::new(block_len, rounds.is_empty(), in_place, basis_len, MAX_GAPS);
            let signatures = builder.finish().unwrap();
            let told = tell(new, basis_len, in_place, &gaps, signatures, round.as_mut(), &mut stats);
            for op in &told {
                assert_begun(patch.prefix(), written, new);
                patch.apply(op.op()).unwrap();
            }
            assert_begun(patch.prefix(), written, new);
            rounds.push(told);
            let Some((next, finer, strong)) = round.map(Round::finish).filter(|(gaps, ..)| !gaps.is_empty())
            else {
                break patch;
            };
            (gaps, block_len, strong_len) = (next, finer, strong);
            assert_eq!(patch.open_gaps(), gaps.len());
            covers = patch.next_round(block_len).unwrap();
            let expected: Vec<Cover> = gaps.iter().map(|gap| Cover::of_gap(gap, block_len)).collect();
            assert_eq!(covers, expected);
        };
        assert_eq!(file.prefix(), new.len() as u64);
        let Patched { sums, unsummed, .. } = file.finish().unwrap();
        assert_eq!(sums.len(), new.len() as u64);
        let wanted = segment_sums(XXH3, new);
        for (number, (have, want)) in (0_u64..).zip(sums.sums().iter().zip(wanted.sums())) {
            assert!(have == want || unsummed.iter().any(|range| range.contains(&number)));
        }
        Outcome { rounds, sums: sum_bytes, stats }
    }

    fn assert_begun(prefix: u64, written: &RefCell<Vec<u8>>, new: &[u8]) {
        let (prefix, written) = (prefix as usize, written.borrow());
        assert!(written.get(..prefix).is_some_and(|begun| *begun == new[..prefix]), "{prefix} bytes");
    }

    /// An output that is not the basis.
    struct Staged<'a>(&'a RefCell<Vec<u8>>);

    impl Output for Staged<'_> {
        fn write_at(&mut self, data: &[u8], position: u64) -> io::Result<()> {
            self.0.borrow_mut().write_at(data, position)
        }
    }

    /// Updates `basis`, both ways, and checks that it becomes `new`. Returns what the way that was asked for took.
    fn refined(basis: &[u8], new: &[u8], top: u64, in_place: bool) -> Outcome {
        let (old, staged) = (RefCell::new(basis.to_vec()), RefCell::new(Vec::new()));
        if in_place {
            let outcome = run(InPlace(&old), (InPlace(&old), &old), (basis.len(), true, top), new);
            assert!(old.borrow()[..new.len()] == *new);
            outcome
        } else {
            let outcome = run(InPlace(&old), (Staged(&staged), &staged), (basis.len(), false, top), new);
            assert!(*staged.borrow() == new);
            outcome
        }
    }

    const TOP: u64 = 16 << 10;

    #[test]
    fn scattered_edits_cost_little() {
        let basis = noise(1 << 20);
        let mut new = basis.clone();
        for at in (0..10).map(|n| n * 100_000 + 5000) {
            new[at..at + 37].iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        for in_place in [false, true] {
            let outcome = refined(&basis, &new, TOP, in_place);
            assert_eq!(outcome.rounds.len(), 3);
            assert!(outcome.literal() <= 10 * 2 * 128, "{}", outcome.literal());
            assert!(outcome.sums <= 2500, "{}", outcome.sums);
            assert!(outcome.rounds.iter().all(|told| told.len() <= 40));
        }
    }

    #[test]
    fn an_insertion_and_a_removal_cost_little() {
        let basis = noise(1 << 20);
        let inserted = [&basis[..300_000], &[7; 1237], &basis[300_000..700_000], &basis[704_321..]].concat();
        let outcome = refined(&basis, &inserted, TOP, false);
        assert!(outcome.literal() <= 1237 + 4 * 128, "{}", outcome.literal());
        assert!(outcome.sums <= 1500, "{}", outcome.sums);
        let removed = [&basis[..300_000], &basis[900_000..]].concat();
        let outcome = refined(&basis, &removed, TOP, false);
        assert!(outcome.literal() <= 2 * 128, "{}", outcome.literal());
        assert!(outcome.sums <= 1500, "{}", outcome.sums);
    }

    #[test]
    fn edits_in_every_long_block_are_found_between() {
        let basis = noise(1 << 20);
        let mut new = basis.clone();
        new.iter_mut().step_by(5000).for_each(|byte| *byte ^= 1);
        let outcome = refined(&basis, &new, TOP, false);
        assert!(outcome.literal() <= 210 * 128, "{}", outcome.literal());
    }

    #[test]
    fn the_rest_is_searched_for_shorter_blocks_where_long_ones_find_nothing() {
        let basis = noise(1 << 20);
        let mut new = basis.clone();
        new.iter_mut().step_by(1500).for_each(|byte| *byte ^= 1);
        for in_place in [false, true] {
            let outcome = refined(&basis, &new, 4096, in_place);
            assert!(outcome.literal() <= 700 * 256, "{}", outcome.literal());
            let [first, _] = &outcome.rounds[..] else { panic!("{}", outcome.rounds.len()) };
            assert_eq!(first[..], [Told::Gap(1 << 20, 0, 1 << 20)]);
        }
        let prepended = [seeded_noise(5, 300_000), basis.clone()].concat();
        assert_eq!(refined(&basis, &prepended, 4096, false).literal(), 300_000);
    }

    #[test]
    fn one_level_is_the_same_without_gaps() {
        let basis = noise(20_000);
        let new = [&basis[..5050], b"inserted", &basis[5050..]].concat();
        let outcome = refined(&basis, &new, 100, false);
        let (told, stats) = search(&sign(XXH3, &basis, 100), XXH3, false, &new, &[5000]);
        assert_eq!((outcome.rounds, outcome.stats), (vec![told], vec![stats]));
    }

    #[test]
    fn what_is_new_is_not_asked_about_for_long() {
        let basis = noise(1 << 20);
        let new = seeded_noise(99, 1 << 20);
        let outcome = refined(&basis, &new, TOP, false);
        assert_eq!(outcome.literal(), new.len());
        assert_eq!(outcome.rounds.len(), 2);
        assert!(outcome.sums <= 10_000, "{}", outcome.sums);
        let outcome = refined(&basis, &new, TOP, true);
        assert_eq!(outcome.rounds.len(), 2);
    }

    #[test]
    fn in_place_what_moved_is_no_gap() {
        let basis = noise(1 << 20);
        let removed = [&basis[..300_000], &basis[304_321..]].concat();
        let outcome = refined(&basis, &removed, TOP, true);
        assert!(outcome.literal() <= 3 * TOP as usize, "{}", outcome.literal());
        let inserted = [&basis[..300_000], b"inserted", &basis[300_000..]].concat();
        let outcome = refined(&basis, &inserted, 4096, true);
        assert_eq!((outcome.rounds.len(), outcome.sums), (1, 256 * 7));
    }

    #[test]
    fn zeros_and_repeated_blocks_stay_linear() {
        for period in [1, 7, 64, 100, 4096, 5000] {
            let basis: Vec<u8> = noise(period).into_iter().cycle().take(1 << 20).collect();
            let mut edited = basis.clone();
            edited[500_000] ^= 1;
            for new in [[b"odd", &basis[..]].concat(), edited] {
                let outcome = refined(&basis, &new, TOP, false);
                let hashed: u64 = outcome.stats.iter().map(|stats| stats.strong_sums).sum();
                assert!(outcome.literal() <= 300, "{period} {}", outcome.literal());
                assert!(hashed <= 600, "{period} {hashed}");
            }
        }
    }

    fn long_file() -> impl Strategy<Value = Vec<u8>> {
        let stretch = prop_oneof![
            3 => (1..=u64::MAX, 0_usize..20_000).prop_map(|(seed, len)| seeded_noise(seed, len)),
            1 => (0_usize..20_000).prop_map(|len| vec![0; len]),
            1 => (1..=u64::MAX, 1_usize..2000, 1_usize..12)
                .prop_map(|(seed, len, times)| seeded_noise(seed, len).repeat(times)),
        ];
        prop::collection::vec(stretch, 0..5).prop_map(|stretches| stretches.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn what_is_told_in_rounds_is_what_is_patched(
            basis in long_file(),
            edits in prop::collection::vec(properties::edit(), 0..12),
            other in long_file(),
            top in prop_oneof![Just(TOP), Just(4096), Just(2048), Just(512)],
        ) {
            let new = properties::edited(&basis, &edits);
            for in_place in [false, true] {
                refined(&basis, &new, top, in_place);
                refined(&basis, &other, top, in_place);
            }
        }
    }
}

/// How much is found, and at what cost.
mod effect {
    use super::*;

    const L: usize = 100;

    fn searched(basis: &[u8], new: &[u8]) -> (Vec<Told>, SearchStats) {
        searched_in_place(basis, new, false)
    }

    fn searched_in_place(basis: &[u8], new: &[u8], in_place: bool) -> (Vec<Told>, SearchStats) {
        let signature = sign(XXH3, basis, L);
        let found = search(&signature, XXH3, in_place, new, &[4096]);
        assert!(patched(XXH3, basis, &found.0).0 == new || in_place);
        found
    }

    #[test]
    fn an_identical_file_is_one_copy() {
        let basis = noise(5030);
        let (told, stats) = searched(&basis, &basis);
        assert_eq!(told, [Told::Copy(0, 5030)]);
        assert_eq!(stats, SearchStats { matched_blocks: 51, strong_sums: 51, ..SearchStats::default() });
    }

    #[test]
    fn a_file_shorter_than_a_block_is_one_copy() {
        let basis = noise(30);
        assert_eq!(searched(&basis, &basis).0, [Told::Copy(0, 30)]);
    }

    #[test]
    fn empty_files() {
        assert_eq!(searched(b"", b"").0, []);
        assert_eq!(searched(&noise(500), b"").0, []);
        assert_eq!(searched(b"", b"new").0, [Told::Literal(b"new".to_vec())]);
    }

    #[test]
    fn an_edit_in_place_costs_its_block_and_no_rolling() {
        let basis = noise(20_000);
        let mut new = basis.clone();
        for at in [550, 1733, 19_999] {
            new[at] ^= 1;
        }
        let (told, stats) = searched(&basis, &new);
        let literals: Vec<usize> = told.iter().map(|op| literal_bytes(std::slice::from_ref(op))).collect();
        assert_eq!(literals, [0, L, 0, L, 0, L]);
        assert_eq!(stats.rolled_bytes, 0);
    }

    #[test]
    fn an_insertion_costs_itself_and_the_block_it_splits() {
        let basis = noise(20_000);
        let new = [&basis[..5050], b"inserted", &basis[5050..]].concat();
        let (told, stats) = searched(&basis, &new);
        assert_eq!(literal_bytes(&told), L + 8);
        assert_eq!(told.len(), 3);
        assert_eq!(stats.rolled_bytes, 108);
    }

    #[test]
    fn a_deletion_costs_the_rest_of_the_blocks_it_cuts() {
        let basis = noise(20_000);
        let new = [&basis[..5050], &basis[7020..]].concat();
        let (told, _) = searched(&basis, &new);
        assert_eq!(
            told,
            [Told::Copy(0, 5000), Told::Literal(new[5000..5130].to_vec()), Told::Copy(7100, 12_900)]
        );
    }

    #[test]
    fn moved_blocks_are_found() {
        let basis = noise(1000);
        let new =
            [&basis[..300], &basis[700..800], &basis[400..700], &basis[300..400], &basis[800..]].concat();
        let (told, stats) = searched(&basis, &new);
        assert_eq!(literal_bytes(&told), 0);
        assert_eq!(told.len(), 5);
        assert_eq!(stats.rolled_bytes, 0);
    }

    #[test]
    fn what_moved_inside_a_longer_edit_is_found() {
        let basis = noise(4000);
        let mut new = basis.clone();
        new[1000..1500].copy_from_slice(&basis[3050..3550]);
        let (told, _) = searched(&basis, &new);
        assert_eq!(literal_bytes(&told), L);
    }

    #[test]
    fn appending_and_truncating() {
        let basis = noise(5030);
        let appended = [&basis[..], b"more"].concat();
        assert_eq!(
            searched(&basis, &appended).0,
            [Told::Copy(0, 5000), Told::Literal(appended[5000..].to_vec())]
        );
        let truncated = &basis[..4210];
        assert_eq!(
            searched(&basis, truncated).0,
            [Told::Copy(0, 4200), Told::Literal(truncated[4200..].to_vec())]
        );
    }

    #[test]
    fn zeros_with_a_byte_changed_stay_linear() {
        let basis = vec![0; 100_030];
        let mut new = basis.clone();
        new[50_050] = 1;
        let (told, stats) = searched(&basis, &new);
        assert_eq!(told.len(), 3);
        assert_eq!(literal_bytes(&told), L);
        assert!(stats.strong_sums <= 1003, "{stats:?}");
        assert_eq!(stats.rolled_bytes, 0);
    }

    #[test]
    fn one_repeated_block_oddly_shifted_stays_linear() {
        for period in [1, 7, 64, L, 130] {
            let basis: Vec<u8> = noise(period).into_iter().cycle().take(100_000).collect();
            let new = [b"odd", &basis[..]].concat();
            for in_place in [false, true] {
                let (told, stats) = searched_in_place(&basis, &new, in_place);
                assert!(literal_bytes(&told) <= 2 * L + 3 || in_place, "{period} {}", literal_bytes(&told));
                assert!(stats.strong_sums <= 2 * 1000 + 10, "{period} {in_place} {stats:?}");
            }
        }
    }

    #[test]
    fn sums_made_to_collide_cannot_make_the_search_quadratic() {
        let blocks = 1000_usize;
        let header = SignatureHeader {
            basis_len: (blocks * L) as u64,
            block_len: BlockLen::new(L as u64).unwrap(),
            strong_len: StrongLen::new(5).unwrap(),
        };
        let strong: Vec<u8> =
            (0..blocks as u32).flat_map(|n| [n.to_le_bytes(), [1; 4]].concat()[..5].to_vec()).collect();
        let mut builder = SignatureBuilder::new(header).unwrap();
        builder.push(SignaturePart { weak: &vec![0; blocks], strong: &strong }).unwrap();
        let new = vec![0; 1_000_000];
        let (told, stats) = search(&builder.finish().unwrap().next().unwrap(), XXH3, false, &new, &[65_536]);
        assert_eq!(literal_bytes(&told), new.len());
        let hashed = stats.strong_sums * L as u64;
        assert!(hashed <= 8 * new.len() as u64 + 70 * L as u64, "{stats:?}");
    }

    #[test]
    fn in_place_takes_nothing_from_before_the_position() {
        let basis = noise(20_000);
        let inserted = [&basis[..5050], b"inserted", &basis[5050..]].concat();
        let (told, _) = searched_in_place(&basis, &inserted, true);
        assert_eq!(told[0], Told::Copy(0, 5000));
        assert_eq!(literal_bytes(&told), inserted.len() - 5000);

        let deleted = [&basis[..5050], &basis[7020..]].concat();
        let (told, _) = searched_in_place(&basis, &deleted, true);
        assert_eq!(literal_bytes(&told), 130);
        assert_eq!(patched_in_place(XXH3, &basis, &told).0, deleted);
    }

    #[test]
    fn an_error_of_the_receiver_ends_the_search() {
        let signature = sign(XXH3, &noise(1000), L);
        let mut search = Search::new(signature, XXH3, SearchOptions::default());
        assert_eq!(search.push(&[1; 1000], &mut |_| Err("full")), Err("full"));
    }
}
