//! A file told in rounds, both sides of it.

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

/// One round at the source: what is said of these gaps. With the sums of the new file, only what is not where it was is
/// searched.
fn tell(
    (new, summed): (&[u8], Option<&SegmentSums>),
    basis_len: u64,
    in_place: Option<Reach>,
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
        let unmoved = summed.map(|sums| signature.unmoved(sums)).unwrap_or_default();
        let mut search = GapSearch::new(*gap, signature, XXH3, in_place, basis_len, round.as_deref_mut());
        let (mut at, end) = (gap.at, (new.len() as u64).min(gap.end()));
        for range in unmoved.into_iter().chain(std::iter::once(end..end)) {
            for chunk in new[at as usize..range.start as usize].chunks(5000) {
                let Ok(()) = search.push(chunk, &mut out);
            }
            if !range.is_empty() {
                let Ok(()) = search.unmoved(range.end - range.start, &mut out);
            }
            at = range.end;
        }
        let Ok(done) = search.finish(&mut out);
        stats.push(done);
    }
    told
}

/// What the sink answers: the sums of what is covered, as the basis is now.
fn sums(basis: &impl Basis, covers: &[Cover], block_len: BlockLen, strong_len: StrongLen) -> Vec<Signature> {
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

/// One of the ways to update a file.
#[derive(Clone, Copy, Debug)]
struct Way {
    in_place: Option<Reach>,
    /// Whether the output begins as the basis and its sums are known.
    held: bool,
    /// Whether the new file is summed before it is searched.
    ahead: bool,
}

/// Updates a basis in rounds, by way of `output`, which fills `written`; what is told to be there has to be there at
/// any moment.
fn run(
    basis: impl Basis + Copy,
    (output, written): (impl Output, &RefCell<Vec<u8>>),
    (old_len, way, top): (usize, Way, u64),
    new: &[u8],
) -> Outcome {
    let (basis_len, mut block_len) = (old_len as u64, BlockLen::new(top).unwrap());
    let segment_sums = |data: &[u8]| {
        let mut hasher = SegmentHasher::new(XXH3, block_len);
        hasher.push(data);
        hasher.finish()
    };
    let (wanted, in_place) = (segment_sums(new), way.in_place);
    let len = if way.held || in_place.is_some() { basis_len } else { 0 };
    let mut held = Held { len, sums: None, in_place };
    if way.held {
        let mut old = vec![0; old_len];
        basis.read_at(0, &mut old).unwrap();
        held.sums = Some(segment_sums(&old));
    }
    let mut strong_len = StrongLen::for_search(basis_len * basis_len.div_ceil(top));
    let mut patch = Patch::new(XXH3, basis, basis_len, output).over(held).refined(block_len);
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
        let mut round = Round::new(block_len, rounds.is_empty(), in_place.is_some(), basis_len, MAX_GAPS);
        let signatures = builder.finish().unwrap();
        let summed = Some(&wanted).filter(|_| way.ahead && rounds.is_empty());
        let told = tell((new, summed), basis_len, in_place, &gaps, signatures, round.as_mut(), &mut stats);
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

/// Updates `basis`, in all ways, and checks that it becomes `new`. Returns what the simplest of those asked for took.
fn refined(basis: &[u8], new: &[u8], top: u64, in_place: bool) -> Outcome {
    refined_within(basis, new, top, in_place.then_some(Reach(0)))
}

/// The same, in place as far as is given.
fn refined_within(basis: &[u8], new: &[u8], top: u64, in_place: Option<Reach>) -> Outcome {
    let mut outcomes = [(false, false), (true, false), (false, true), (true, true)].map(|(held, ahead)| {
        let (way, old) = (Way { in_place, held, ahead }, RefCell::new(basis.to_vec()));
        if in_place.is_some() {
            let outcome = run(InPlace(&old), (InPlace(&old), &old), (basis.len(), way, top), new);
            assert!(old.borrow()[..new.len()] == *new, "{way:?}");
            outcome
        } else {
            let staged = RefCell::new(if held { basis.to_vec() } else { Vec::new() });
            let outcome = run(InPlace(&old), (Staged(&staged), &staged), (basis.len(), way, top), new);
            assert!(staged.borrow()[..new.len()] == *new, "{way:?}");
            outcome
        }
    });
    let [simplest, ..] = &mut outcomes;
    std::mem::replace(simplest, Outcome { rounds: Vec::new(), sums: 0, stats: Vec::new() })
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
    let (told, stats) = search(&sign(XXH3, &basis, 100), XXH3, None, &new, &[5000]);
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
    let outcome = refined_within(&basis, &inserted, 4096, Some(Reach(8)));
    assert!(outcome.literal() <= 4096 + 300, "{}", outcome.literal());
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
        reach in properties::reach(),
    ) {
        let new = properties::edited(&basis, &edits);
        for in_place in [None, Some(reach), Some(Reach(20_000))] {
            refined_within(&basis, &new, top, in_place);
            refined_within(&basis, &other, top, in_place);
        }
    }
}
