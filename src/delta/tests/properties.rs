//! What holds for any two files.

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

pub(super) fn reach() -> impl Strategy<Value = Reach> {
    prop_oneof![Just(0), 0_u64..2000].prop_map(Reach)
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
        reach in reach(),
    ) {
        let new = edited(&basis, &edits);
        let signature = sign(choice, &basis, block_len);
        let sums = segment_sums(choice, &new);

        let (told, _) = search(&signature, choice, None, &new, &chunks);
        let (written, written_sums) = patched(choice, &basis, &told);
        prop_assert_eq!(&written, &new);
        prop_assert_eq!(&written_sums, &sums);

        let (told, _) = search(&signature, choice, Some(reach), &new, &chunks);
        let (written, written_sums) = patched_in_place(choice, &basis, &told, reach);
        prop_assert_eq!(&written, &new);
        prop_assert_eq!(&written_sums, &sums);
    }

    #[test]
    fn chunks_do_not_matter(
        basis in file(),
        edits in prop::collection::vec(edit(), 0..6),
        block_len in 1_usize..70,
        chunks in chunks(),
        in_place in prop::option::of(reach()),
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
        in_place in prop::option::of(reach()),
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
