//! Sinks that ask for what they must not, of a source.

use super::peer::{Peer, content, listing, mention, root_entries, varint};
use super::victim::{Role, Victim, Way};
use super::{Case, case, expect_refusals, unharmed};
use crate::support::scene::Scene;
use crate::support::tree::{Tree, noise};
use dsync::delta::{BlockLen, SignatureHeader, StrongLen, Sum};
use dsync::tree::{BUCKET_SUM_LEN, BucketSum, Entry, Kind};
use dsync::wire::{
    Again, BatchId, Begin, Check, Confirm, ContentEnd, DirId, Expand, Fetch, Fetched, FileId, FileThere,
    Identified, Message, SumsPart, Verdict, Want,
};

const FLAGS: &[&str] = &["-r", "-l", "-t"];

fn refused(cases: Vec<Case>) {
    expect_refusals(Role::Source, FLAGS, cases);
}

fn place_of(entries: &[Entry], kind: Kind) -> u32 {
    let place = entries.iter().position(|entry| entry.kind() == kind).expect("there is one");
    u32::try_from(place).unwrap()
}

fn want(dir: u32, index: u32) -> Message {
    Message::Want(Want { file: FileId(0), dir: DirId(dir), index, basis: None, refine: false, from: 0 })
}

fn check(dir: u32, index: u32) -> Message {
    Message::Check(Check { file: FileId(0), dir: DirId(dir), index, sum: Sum([0; 16]) })
}

fn again(dir: u32, index: u32) -> Message {
    let (dir, segment_len, segments) = (DirId(dir), BlockLen::SEGMENT, Vec::new());
    Message::Again(Again { file: FileId(0), dir, index, segment_len, segments })
}

fn fetch(dir: u32, index: u32) -> Message {
    Message::Fetch(Fetch {
        what: dsync::wire::FetchWhat::Content,
        batch: BatchId(0),
        dir: DirId(dir),
        indices: vec![index],
    })
}

/// A request for a batch whose files are so far from one another, in bytes, since the library makes none that is wrong.
fn raw_fetch(steps: &[u32]) -> Vec<u8> {
    let mut bytes = vec![19, 0, 0, 0];
    bytes.extend(varint(steps.len() as u64));
    steps.iter().for_each(|step| bytes.extend(varint((*step).into())));
    bytes
}

#[test]
fn batches_that_cannot_be() {
    let raw = |steps: &'static [u32]| {
        move |peer: &mut Peer| {
            peer.expect_root();
            peer.payload(&raw_fetch(steps));
        }
    };
    refused(vec![
        case("more files than a batch has", "list of files", raw(&[0; 257])),
        case("places beyond all numbers", "not in order", raw(&[u32::MAX, 0])),
        case("places that come round", "not in order", raw(&[5, u32::MAX])),
    ]);
}

#[test]
fn requests_for_what_is_no_listed_file() {
    let mut cases = Vec::new();
    let first = ("want", want as fn(u32, u32) -> Message);
    for (what, ask) in [first, ("fetch", fetch), ("check", check), ("again", again)] {
        cases.push(case(format!("{what} of a directory never listed"), "not open", move |peer| {
            peer.expect_root();
            peer.send(ask(99, 0));
        }));
        for index in [4, 1000, u32::MAX] {
            cases.push(case(format!("{what} of entry {index}"), "no listed file", move |peer| {
                peer.expect_root();
                peer.send(ask(0, index));
            }));
        }
        for kind in [Kind::Directory, Kind::Symlink] {
            cases.push(case(format!("{what} of a {kind:?}"), "no listed file", move |peer| {
                let entries = peer.expect_root();
                peer.send(ask(0, place_of(&entries, kind)));
            }));
        }
    }
    refused(cases);
}

/// What is confirmed would be removed, so it must be asked for, and listed, and no directory, and only once.
#[test]
fn confirming_what_nobody_removes() {
    let confirm = |dir, index| {
        let there = FileThere { ino: 0, ctime: filetime::FileTime::zero() };
        Message::Confirm(Confirm { dir: DirId(dir), index, there })
    };
    refused(vec![case("without the option", "nobody removes", move |peer| {
        let entries = peer.expect_root();
        peer.send(confirm(0, place_of(&entries, Kind::File)));
    })]);
    let cases = vec![
        case("in a directory never listed", "not open", move |peer| {
            peer.expect("the listing of the root", root_entries);
            peer.send(confirm(99, 0));
        }),
        case("an entry never listed", "confirmed that is none", move |peer| {
            peer.expect("the listing of the root", root_entries);
            peer.send(confirm(0, 1000));
        }),
        case("a directory", "confirmed that is none", move |peer| {
            let entries = peer.expect("the listing of the root", root_entries);
            peer.send(confirm(0, place_of(&entries, Kind::Directory)));
        }),
    ];
    expect_refusals(Role::Source, &["-r", "-l", "-t", "--remove-source-files"], cases);
    let cases = vec![case("in a dry run", "nobody removes", move |peer| {
        let entries = peer.expect("the listing of the root", root_entries);
        peer.send(confirm(0, place_of(&entries, Kind::File)));
    })];
    expect_refusals(Role::Source, &["-r", "-l", "-t", "-n", "--remove-source-files"], cases);
}

/// Extended attributes are for runs that ask for them.
#[test]
fn attributes_that_are_not_to_be_had() {
    let ask = |dir, indices: &'static [u32]| {
        move |peer: &mut Peer| {
            peer.expect_root();
            let (batch, indices) = (BatchId(0), indices.to_vec());
            let what = dsync::wire::FetchWhat::Xattrs;
            peer.send(Message::Fetch(Fetch { batch, dir: DirId(dir), indices, what }));
        }
    };
    refused(vec![
        case("of an entry", "not to be had", ask(0, &[0])),
        case("of the root", "not to be had", ask(0, &[])),
        case("of an entry never listed", "not to be had", ask(0, &[1000])),
        case("of a directory never listed", "not open", ask(99, &[])),
    ]);
}

#[test]
fn listings_that_are_not_to_be_had() {
    let expand = |dir, below| Message::Expand(Expand { dir: DirId(dir), below, sums: Vec::new() });
    refused(vec![
        case("of no directory", "not to be had", move |peer| {
            peer.expect_root();
            peer.send(expand(99, false));
        }),
        case("twice", "not to be had", move |peer| {
            peer.expect_root();
            peer.send(expand(0, false));
        }),
        case("of what was sent with what is above", "not to be had", move |peer| {
            peer.expect_root();
            peer.send(expand(1, true));
        }),
        case("of what was closed", "not to be had", move |peer| {
            peer.expect_root();
            peer.send(Message::Close(DirId(0)));
            peer.send(expand(0, false));
        }),
    ]);
}

/// Sums that are nobody's, or too many to be of any use, have everything listed.
#[test]
fn sums_of_what_is_not_there() {
    for count in [2, 4, 5, 1000, 1 << 16] {
        for way in [Way::Server, Way::Client] {
            let outcome = unharmed(&format!("{count} sums"), Role::Source, way, FLAGS, |peer| {
                let listed = |message: &Message| matches!(message, Message::Listed).then_some(());
                peer.expect("the end of the listings", listed);
                let sums = vec![BucketSum([7; BUCKET_SUM_LEN]); count];
                peer.send(Message::Expand(Expand { dir: DirId(0), below: true, sums }));
                assert_eq!(peer.expect("the root's listing", root_entries).len(), 4, "{count}");
                let (below, root) = (Message::Close(DirId(1)), Message::Close(DirId(0)));
                peer.send_all([below, root, Message::Finish(Default::default())]);
            });
            assert_eq!(outcome.code, Some(0), "{outcome}");
        }
    }
}

#[test]
fn a_directory_that_was_closed_is_closed() {
    refused(vec![
        case("asked about", "not open", |peer| {
            let entries = peer.expect_root();
            peer.send(Message::Close(DirId(0)));
            peer.send(want(0, place_of(&entries, Kind::File)));
        }),
        case("closed twice", "not open", |peer| {
            peer.expect_root();
            peer.send(Message::Close(DirId(0)));
            peer.send(Message::Close(DirId(0)));
        }),
        case("never open", "not open", |peer| peer.send(Message::Close(DirId(77)))),
    ]);
}

/// A want with a signature of this shape, in bytes, since the library's types hold no impossible one.
fn raw_want(index: u32, shape: [u64; 3]) -> Vec<u8> {
    let mut bytes = vec![4, 0, 0];
    bytes.extend(varint(index.into()));
    bytes.push(1);
    shape.into_iter().for_each(|number| bytes.extend(varint(number)));
    bytes
}

#[test]
fn signatures_that_are_impossible() {
    let shaped = |shape: [u64; 3]| {
        move |peer: &mut Peer| {
            let entries = peer.expect_root();
            peer.content_payload(&raw_want(place_of(&entries, Kind::File), shape));
        }
    };
    let with_sums = |blocks: usize, strong: usize| {
        move |peer: &mut Peer| {
            let entries = peer.expect_root();
            peer.content_payload(&raw_want(place_of(&entries, Kind::File), [3000, 1000, 8]));
            peer.send(Message::Sums(SumsPart {
                file: FileId(0),
                weak: vec![0; blocks],
                strong: vec![0; strong].into(),
            }));
        }
    };
    refused(vec![
        case("blocks of no length", "block length", shaped([1000, 0, 8])),
        case("blocks longer than any", "block length", shaped([1000, (16 << 20) + 1, 8])),
        case("too many blocks", "malformed signature", shaped([u64::MAX, 1, 8])),
        case("sums of no length", "sum length", shaped([1000, 700, 0])),
        case("sums longer than any", "sum length", shaped([1000, 700, 17])),
        case("sums nobody announced", "nobody asked for", |peer| {
            peer.expect_root();
            peer.send(Message::Sums(SumsPart { file: FileId(5), weak: vec![1], strong: vec![0; 8].into() }));
        }),
        case("more blocks than announced", "impossible signature", with_sums(4, 32)),
        case("sums that do not pair up", "impossible signature", with_sums(2, 15)),
        case("a second request while the first is incomplete", "asked for twice", |peer| {
            let index = place_of(&peer.expect_root(), Kind::File);
            peer.content_payload(&raw_want(index, [3000, 1000, 8]));
            peer.content_payload(&raw_want(index, [3000, 1000, 8]));
        }),
    ]);
}

/// Asks for a file of 6000 bytes by a signature that nothing matches; answers the gap that is left by `blocks` sums,
/// `times` over.
fn answer(peer: &mut Peer, close: bool, (blocks, strong): (usize, usize), times: usize) {
    let entries = peer.expect_root();
    let index = entries.iter().position(|entry| entry.name.as_bytes() == b"old").unwrap() as u32;
    let (block_len, strong_len) = (BlockLen::new(4096).unwrap(), StrongLen::new(4).unwrap());
    let basis = Some(SignatureHeader { basis_len: 8192, block_len, strong_len });
    peer.send(Message::Want(Want { file: FileId(3), dir: DirId(0), index, basis, refine: true, from: 0 }));
    let sums = |blocks, strong| {
        Message::Sums(SumsPart { file: FileId(3), weak: vec![1; blocks], strong: vec![0; strong].into() })
    };
    peer.send(sums(2, 8));
    let asked = peer.expect("a round", |message| match message {
        Message::Content(content) => match content.end {
            Some(ContentEnd::Round { block_len, .. }) => Some(block_len.get()),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(asked, 256);
    if close {
        peer.send(Message::Close(DirId(0)));
    }
    (0..times).for_each(|_| peer.send(sums(blocks, strong)));
}

/// The gap of all 6000 bytes has a range of 8192: 32 blocks of 256 bytes.
#[test]
fn sums_of_gaps_that_are_impossible() {
    refused(vec![
        case("more than were asked for", "impossible signature", |peer| answer(peer, false, (33, 66), 1)),
        case("sums that do not pair up", "impossible signature", |peer| answer(peer, false, (32, 65), 1)),
        case("sums of the wrong length", "impossible signature", |peer| answer(peer, false, (32, 160), 1)),
        case("sums once more", "nobody asked for", |peer| answer(peer, false, (32, 64), 2)),
        case("sums of what was closed", "nobody asked for", |peer| answer(peer, true, (32, 64), 1)),
    ]);
}

#[test]
fn an_end_too_early() {
    let finish = || Message::Finish(Default::default());
    refused(vec![
        case("at once", "too early", move |peer| peer.send(finish())),
        case("with nothing settled", "too early", move |peer| {
            peer.expect("the end of the listings", |message| {
                matches!(message, Message::Listed).then_some(())
            });
            peer.send(finish());
        }),
        case("while content is sent", "too early", move |peer| {
            let entries = peer.expect_root();
            let index = place_of(&entries, Kind::File);
            peer.send(want(0, index));
            peer.send(finish());
        }),
    ]);
}

#[test]
fn words_of_the_other_role() {
    let words: [fn() -> Message; 8] = [
        || {
            Message::Fetched(Fetched {
                batch: BatchId(0),
                files: Vec::new(),
                data: Default::default(),
                packed: false,
            })
        },
        || Message::Begin(Begin { extra: None, root: None, single: false, bare: false, owners: Vec::new() }),
        || listing(0, None, Vec::new(), true),
        || Message::Listed,
        || mention(0, None),
        || content(FileId(0), Vec::new(), None),
        || Message::Verdict(Verdict { file: FileId(0), same: true }),
        || Message::Identified(Identified { file: FileId(0), digest: None }),
    ];
    refused(
        words
            .map(|word| case(format!("{:?}", word()), "only a source sends", move |peer| peer.send(word())))
            .into(),
    );
}

/// Nothing is read of what is sent, until the requests pile up.
#[test]
fn more_than_there_is_credit_for() {
    refused(vec![case("wants", "more than it was allowed", |peer| {
        let entries = peer.expect_root();
        let index = place_of(&entries, Kind::File);
        for _ in 0..80 {
            peer.send_all((0..10_000).map(|_| want(0, index)));
        }
    })]);
}

/// A sink that asks for every listing, with sums nobody needs, and again and again for all files of a directory, and
/// takes no answers: what it makes the source hold is what it has credit for.
#[test]
fn everything_is_asked_for_at_once() {
    let files =
        |tree: Tree, dir: String| (0..4).fold(tree, |tree, n| tree.file(format!("{dir}/{n}"), "four"));
    let tree = (0..1000).fold(Tree::new(), |tree, dir| files(tree, format!("few/{dir:03}")));
    let tree = (0..256).fold(tree, |tree, n| tree.file(format!("all/{n:03}"), noise(4096, n)));
    let scene = Scene::new().tree("source", &tree);
    let (mut peer, victim) = Victim::start(&scene, Role::Source, Way::Server, FLAGS);
    peer.expect("the end of the listings", |message| matches!(message, Message::Listed).then_some(()));
    // The root, the directory of all files, and those of a few.
    let useless = vec![BucketSum([7; BUCKET_SUM_LEN]); 3000];
    let expand = |dir| Message::Expand(Expand { dir: DirId(dir), below: false, sums: useless.clone() });
    peer.send_all((0..1000).map(expand));
    let batch = |number| {
        let indices = (0..256).collect();
        Message::Fetch(Fetch {
            what: dsync::wire::FetchWhat::Content,
            batch: BatchId(number),
            dir: DirId(1),
            indices,
        })
    };
    peer.send_all((0..20_000).map(batch));
    peer.expect("content", |message| matches!(message, Message::Fetched(_)).then_some(()));
    let peak = victim.peak_memory();
    assert!(peak < 96 << 10, "{peak} KiB");
    peer.send_all((0..20_000).map(batch));
    let outcome = victim.finish();
    outcome.assert_orderly("everything at once");
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.errors.contains("more than it was allowed"), "{outcome}");
}

/// A sink that asks, gives no credit for the answers, and then calls everything settled.
#[test]
fn an_end_while_answers_wait_for_credit() {
    for way in [Way::Server, Way::Client] {
        unharmed("an end while answers wait", Role::Source, way, FLAGS, |peer| {
            // Listings that are asked for only now come after the end of the walk.
            let listed = |message: &Message| matches!(message, Message::Listed).then_some(());
            peer.expect("the end of the listings", listed);
            peer.send(Message::Expand(Expand { dir: DirId(0), below: true, sums: Vec::new() }));
            let entries = peer.expect("the root's listing", root_entries);
            let index = place_of(&entries, Kind::File);
            for _ in 0..30 {
                peer.send_all((0..10_000).map(|_| want(0, index)));
            }
            let (below, root) = (Message::Close(DirId(1)), Message::Close(DirId(0)));
            peer.send_all([below, root, Message::Finish(Default::default())]);
        });
    }
}

/// The worst signature there is: as many blocks as possible, one byte each, all with the same sums.
#[test]
fn a_signature_that_matches_everywhere_and_nowhere() {
    for way in [Way::Server, Way::Client] {
        let outcome = unharmed("worst signature", Role::Source, way, FLAGS, |peer| {
            let entries = peer.expect_root();
            let index = place_of(&entries, Kind::File);
            let basis = Some(SignatureHeader {
                basis_len: 1 << 20,
                block_len: BlockLen::new(1).unwrap(),
                strong_len: StrongLen::new(5).unwrap(),
            });
            peer.send(Message::Want(Want {
                file: FileId(0),
                dir: DirId(0),
                index,
                basis,
                refine: false,
                from: 0,
            }));
            for _ in 0..128 {
                let (weak, strong) = (vec![0x0041_0041; 8192], vec![0; 5 * 8192].into());
                peer.send(Message::Sums(SumsPart { file: FileId(0), weak, strong }));
            }
            peer.expect("the content", |message| match message {
                Message::Content(content) => content.end,
                _ => None,
            });
            peer.send(Message::Close(DirId(77)));
        });
        assert_eq!(outcome.code, Some(2), "{outcome}");
    }
}
