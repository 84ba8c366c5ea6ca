//! How much is found, and at what cost.

use super::*;

const L: usize = 100;

fn searched(basis: &[u8], new: &[u8]) -> (Vec<Told>, SearchStats) {
    searched_in_place(basis, new, None)
}

fn searched_in_place(basis: &[u8], new: &[u8], in_place: Option<Reach>) -> (Vec<Told>, SearchStats) {
    let signature = sign(XXH3, basis, L);
    let found = search(&signature, XXH3, in_place, new, &[4096]);
    assert!(patched(XXH3, basis, &found.0).0 == new);
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
    let new = [&basis[..300], &basis[700..800], &basis[400..700], &basis[300..400], &basis[800..]].concat();
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
        for in_place in [None, Some(Reach(0))] {
            let (told, stats) = searched_in_place(&basis, &new, in_place);
            assert!(literal_bytes(&told) <= 2 * L + 3 || in_place.is_some(), "{period}");
            assert!(stats.strong_sums <= 2 * 1000 + 10, "{period} {in_place:?} {stats:?}");
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
    let (told, stats) = search(&builder.finish().unwrap().next().unwrap(), XXH3, None, &new, &[65_536]);
    assert_eq!(literal_bytes(&told), new.len());
    let hashed = stats.strong_sums * L as u64;
    assert!(hashed <= 8 * new.len() as u64 + 70 * L as u64, "{stats:?}");
}

#[test]
fn in_place_takes_nothing_from_beyond_its_reach() {
    let basis = noise(20_000);
    let inserted = [&basis[..5050], b"inserted", &basis[5050..]].concat();
    let (told, _) = searched_in_place(&basis, &inserted, Some(Reach(7)));
    assert_eq!(told[0], Told::Copy(0, 5000));
    assert_eq!(literal_bytes(&told), inserted.len() - 5000);
    let (told, _) = searched_in_place(&basis, &inserted, Some(Reach(8)));
    assert_eq!(literal_bytes(&told), L + 8);
    assert_eq!(patched_in_place(XXH3, &basis, &told, Reach(8)).0, inserted);

    let deleted = [&basis[..5050], &basis[7020..]].concat();
    let (told, _) = searched_in_place(&basis, &deleted, Some(Reach(0)));
    assert_eq!(literal_bytes(&told), 130);
    assert_eq!(patched_in_place(XXH3, &basis, &told, Reach(0)).0, deleted);
}

#[test]
fn an_error_of_the_receiver_ends_the_search() {
    let signature = sign(XXH3, &noise(1000), L);
    let mut search = Search::new(signature, XXH3, SearchOptions::default());
    assert_eq!(search.push(&[1; 1000], &mut |_| Err("full")), Err("full"));
}
