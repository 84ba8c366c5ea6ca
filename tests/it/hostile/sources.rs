//! Sources that list and send what they must not, to a sink.

use super::peer::{Peer, content, directory, file, listing, mention, meta, raw_listing};
use super::victim::{Role, Victim, Way};
use super::{Case, case, expect_refusals, unharmed};
use crate::support::scene::Scene;
use crate::support::tree::Tree;
use dsync::delta::{BlockLen, StrongLen, Sum};
use dsync::report::Event;
use dsync::tree::{Aspects, Buckets, Entry, Fingerprinter, Name, Node, RelPath};
use dsync::wire::{
    BatchId, Begin, Content, ContentEnd, ContentOp, DirId, Expand, Fetch, Fetched, FetchedFile, FileId,
    Identified, Listing, ListingEnd, Mention, Message, Verdict, Want,
};

const FLAGS: &[&str] = &["-r", "-l", "-t"];

fn refused(cases: Vec<Case>) {
    expect_refusals(Role::Sink, FLAGS, cases);
}

#[test]
fn names_that_lead_elsewhere() {
    let long = vec![b'x'; 2000];
    let names: [&[u8]; 9] = [
        b"..",
        b".",
        b"",
        b"a/b",
        b"/etc/passwd",
        b"../outside/secret",
        b"dir/../../outside",
        b"a\0b",
        &long,
    ];
    let cases = names.map(|name| {
        let bytes = raw_listing(&[name]);
        let shown = name.escape_ascii().to_string();
        case(shown.chars().take(30).collect::<String>(), "name", move |peer| {
            peer.begin();
            peer.payload(&bytes);
        })
    });
    refused(cases.into());
}

#[test]
fn entries_in_no_order() {
    let within = |names: [&'static [u8]; 2]| {
        move |peer: &mut Peer| {
            peer.begin();
            peer.payload(&raw_listing(&names));
        }
    };
    let across = |first: &'static str, second: &'static str| {
        move |peer: &mut Peer| {
            peer.begin();
            peer.send(listing(0, None, vec![file(first, 0)], false));
            peer.send(listing(0, None, vec![file(second, 0)], true));
        }
    };
    refused(vec![
        case("unsorted", "not sorted", within([b"keep", b"dir"])),
        case("twice the same", "not sorted", within([b"keep", b"keep"])),
        case("unsorted over two parts", "not sorted", across("keep", "dir")),
        case("the same in two parts", "not sorted", across("keep", "keep")),
    ]);
}

#[test]
fn listings_of_what_was_not_listed() {
    let after_root = |messages: fn() -> Vec<Message>| {
        move |peer: &mut Peer| {
            peer.begin_with(vec![directory("dir"), file("keep", 4)]);
            peer.send_all(messages());
        }
    };
    refused(vec![
        case(
            "no such place",
            "no listed directory",
            after_root(|| vec![listing(1, Some((0, 7)), vec![], true)]),
        ),
        case("of a file", "no listed directory", after_root(|| vec![listing(1, Some((0, 1)), vec![], true)])),
        case("no such parent", "not open", after_root(|| vec![listing(1, Some((9, 0)), vec![], true)])),
        case("below itself", "not open", after_root(|| vec![listing(1, Some((1, 0)), vec![], true)])),
        case("out of turn", "out of turn", after_root(|| vec![listing(5, Some((0, 0)), vec![], true)])),
        case("the root twice", "out of turn", after_root(|| vec![listing(0, None, vec![], true)])),
        case("a second root", "second root", after_root(|| vec![listing(1, None, vec![], true)])),
        case(
            "a directory twice",
            "no listed directory",
            after_root(|| {
                vec![
                    listing(1, Some((0, 0)), vec![], false),
                    listing(1, Some((0, 0)), vec![], true),
                    listing(2, Some((0, 0)), vec![], true),
                ]
            }),
        ),
        case(
            "two at once",
            "out of turn",
            after_root(|| {
                vec![listing(1, Some((0, 0)), vec![], false), listing(2, Some((0, 0)), vec![], true)]
            }),
        ),
    ]);
}

#[test]
fn mentions_of_what_cannot_be() {
    let refused_after = |messages: fn() -> Vec<Message>| {
        move |peer: &mut Peer| {
            peer.begin_with(vec![directory("dir"), file("keep", 4)]);
            peer.send_all(messages());
        }
    };
    refused(vec![
        case("before the beginning", "before the beginning", |peer| peer.send(mention(0, None))),
        case("of a file", "no listed directory", refused_after(|| vec![mention(1, Some((0, 1)))])),
        case("out of turn", "out of turn", refused_after(|| vec![mention(2, Some((0, 0)))])),
        case("of a second root", "second root", refused_after(|| vec![mention(1, None)])),
        case("below itself", "not open", refused_after(|| vec![mention(1, Some((1, 0)))])),
        case(
            "within a listing",
            "out of turn",
            refused_after(|| vec![listing(1, Some((0, 0)), vec![], false), mention(2, Some((1, 0)))]),
        ),
        case(
            "of a directory that its listing then does not have",
            "no listed directory",
            refused_after(|| {
                let (above, below) = (mention(1, Some((0, 0))), mention(2, Some((1, 5))));
                vec![above, below, listing(1, Some((0, 0)), vec![directory("sub")], true)]
            }),
        ),
        case(
            "of a directory, but of none in it",
            "before all directories",
            refused_after(|| {
                let listed = listing(1, Some((0, 0)), vec![directory("a"), directory("b")], true);
                vec![mention(1, Some((0, 0))), Message::Listed, listed]
            }),
        ),
        case("of more than is ever kept", "too many directories are mentioned", |peer| {
            peer.begin();
            peer.send(mention(0, None));
            peer.list((1..70_000).map(|number| mention(number, Some((0, number)))));
        }),
        case("what only a sink asks", "only a sink sends", |peer| {
            peer.begin();
            peer.send(Message::Expand(Expand { dir: DirId(0), below: true, sums: Vec::new() }));
        }),
    ]);
}

#[test]
fn beginnings_and_ends_in_no_order() {
    refused(vec![
        case("a listing before the beginning", "before the beginning", |peer| {
            peer.send(listing(0, None, vec![file("keep", 4)], true));
        }),
        case("two beginnings", "began twice", |peer| {
            peer.begin();
            peer.begin();
        }),
        case("the end of the listings first", "too early", |peer| peer.send(Message::Listed)),
        case("the end of the listings before the root", "too early", |peer| {
            peer.begin();
            peer.send(Message::Listed);
        }),
        case("a listing after the last", "out of turn", |peer| {
            peer.begin_with(vec![file("new", 4)]);
            peer.expect_fetch();
            peer.send(Message::Listed);
            peer.send(listing(1, Some((0, 0)), vec![], true));
        }),
        case("the end of the listings with a directory not listed", "before all directories", |peer| {
            peer.begin_with(vec![directory("dir")]);
            peer.send(Message::Listed);
        }),
        case("the end of the listings within one", "too early", |peer| {
            peer.begin();
            peer.send(listing(0, None, vec![], false));
            peer.send(Message::Listed);
        }),
        case("the listings end twice", "ended twice", |peer| {
            peer.begin_with(vec![file("new", 4)]);
            peer.expect_fetch();
            peer.send(Message::Listed);
            peer.send(Message::Listed);
        }),
        case("the end before anything", "too early", |peer| peer.send(Message::Finish(Default::default()))),
        case("the end with a request open", "too early", |peer| {
            peer.begin_with(vec![file("new", 4)]);
            peer.expect_fetch();
            peer.send(Message::Listed);
            peer.send(Message::Finish(Default::default()));
        }),
        case("the end with more requests open than are made at once", "too early", |peer| {
            peer.begin_with((0..5000).map(|n| file(&format!("{n:05}"), LARGE)).collect());
            peer.expect_want();
            peer.send(Message::Finish(Default::default()));
        }),
        case("the end with a directory not listed", "too early", |peer| {
            peer.begin_with(vec![directory("dir")]);
            peer.send(Message::Finish(Default::default()));
        }),
    ]);
}

#[test]
fn entries_that_must_not_be_listed() {
    let staged = || file(&dsync::fs::stage_name(&Name::new(*b"n").unwrap()).to_string(), 1);
    let root = |entry: fn() -> Entry| move |peer: &mut Peer| peer.begin_with(vec![entry()]);
    let long_link = || {
        let node = Node::Symlink { target: vec![b'x'; 1 << 20].into() };
        Entry::new(Name::new(*b"long").unwrap(), node, meta(0o777))
    };
    refused(vec![
        case("a staged file", "must not be", root(staged)),
        case("a history", "must not be", root(|| directory(".dsync"))),
        case("a link of 1 MiB", "symlink target", root(long_link)),
    ]);
    let listed = case("a directory without -r", "must not be", root(|| directory("dir")));
    expect_refusals(Role::Sink, &["-l", "-t"], vec![listed]);
}

/// Bytes of a file that goes in no batch.
const LARGE: u64 = 1 << 20;

/// Lists a file and waits to be asked for it.
fn wanted(peer: &mut Peer, name: &str, size: u64) -> Want {
    peer.begin_with(vec![file(name, size)]);
    peer.expect_signed()
}

#[test]
fn content_that_nobody_can_use() {
    let literal = |text: &'static str| ContentOp::Literal(text.as_bytes().into());
    let complete = Some(ContentEnd::Complete { len: 4, sum: Sum([0; 16]) });
    refused(vec![
        case("not asked for", "not asked for", move |peer| {
            peer.begin();
            peer.send(content(FileId(0), vec![literal("x")], None));
        }),
        case("before the beginning", "not asked for", move |peer| {
            peer.send(content(FileId(0), vec![literal("x")], complete));
        }),
        case("of another file", "not asked for", move |peer| {
            let want = wanted(peer, "new", LARGE);
            peer.send(content(FileId(want.file.0 + 1), vec![literal("x")], None));
        }),
        case("a copy beyond the basis", "does not fit", |peer| {
            let want = wanted(peer, "old", 6000);
            let basis = want.basis.expect("there is a basis").basis_len;
            peer.send(content(want.file, vec![ContentOp::Copy { offset: basis - 1, len: 2 }], None));
        }),
        case("a copy beyond all numbers", "does not fit", |peer| {
            let want = wanted(peer, "old", 6000);
            peer.send(content(want.file, vec![ContentOp::Copy { offset: 2, len: u64::MAX }], None));
        }),
        case("a copy without a basis", "does not fit", |peer| {
            let want = wanted(peer, "new", LARGE);
            peer.send(content(want.file, vec![ContentOp::Copy { offset: 0, len: 1 }], None));
        }),
        case("a rewrite of what is not written", "does not fit", |peer| {
            let want = wanted(peer, "new", LARGE);
            peer.send(content(
                want.file,
                vec![ContentOp::Rewrite { offset: 0, data: b"x"[..].into() }],
                None,
            ));
        }),
        case("a rewrite beyond any file", "beyond any file", move |peer| {
            let want = wanted(peer, "new", LARGE);
            peer.send(content(want.file, vec![literal("test")], complete));
            peer.expect("that it does not verify", |message| {
                matches!(message, Message::Again(_)).then_some(())
            });
            peer.send(content(
                want.file,
                vec![ContentOp::Rewrite { offset: i64::MAX as u64, data: b"x"[..].into() }],
                None,
            ));
        }),
        case("more literals while repairing", "does not fit", move |peer| {
            let want = wanted(peer, "new", LARGE);
            peer.send(content(want.file, vec![literal("test")], complete));
            peer.send(content(want.file, vec![literal("test")], complete));
        }),
        case("after its end", "not asked for", |peer| {
            let want = wanted(peer, "new", LARGE);
            peer.send(content(want.file, vec![], Some(ContentEnd::Unreadable)));
            peer.send(content(want.file, vec![], Some(ContentEnd::Unreadable)));
        }),
        case("too many files at once", "too many files", move |peer| {
            peer.begin_with((0..1500).map(|n| file(&format!("{n:05}"), LARGE)).collect());
            let wants: Vec<Want> = (0..1500).map(|_| peer.expect_want()).collect();
            for want in wants {
                peer.send(content(want.file, vec![literal("x")], None));
            }
        }),
        case("a verdict on what has no counterpart", "nobody asked for", |peer| {
            let want = wanted(peer, "new", LARGE);
            peer.send(Message::Verdict(Verdict { file: want.file, same: true }));
        }),
        case("a verdict on what is to be sent", "nobody asked for", |peer| {
            let want = wanted(peer, "old", 6000);
            peer.send(Message::Verdict(Verdict { file: want.file, same: true }));
        }),
        case("a digest of what is to be sent", "nobody asked for", |peer| {
            let want = wanted(peer, "new", LARGE);
            peer.send(Message::Identified(Identified { file: want.file, digest: None }));
        }),
        case("a verdict on nothing", "not asked for", |peer| {
            peer.begin();
            peer.send(Message::Verdict(Verdict { file: FileId(3), same: true }));
        }),
    ]);
}

#[test]
fn batches_that_nobody_asked_for() {
    let whole = |len| FetchedFile::Whole { attached: 0, len, sum: Some(Sum([0; 16])) };
    let fetched = |batch, files: Vec<FetchedFile>, data: usize| {
        Message::Fetched(Fetched { batch, files, data: vec![b'x'; data].into(), packed: false })
    };
    let asked = |peer: &mut Peer| {
        peer.begin_with((0..3).map(|n| file(&n.to_string(), 4)).collect());
        let fetch = peer.expect_fetch();
        assert_eq!(fetch.indices, [0, 1, 2]);
        fetch.batch
    };
    refused(vec![
        case("no batch at all", "not asked for", move |peer| {
            peer.begin();
            peer.send(fetched(BatchId(0), vec![whole(1)], 1));
        }),
        case("another batch", "not asked for", move |peer| {
            let BatchId(batch) = asked(peer);
            peer.send(fetched(BatchId(batch + 1), vec![whole(1)], 1));
        }),
        case("nothing of a batch", "not asked for", move |peer| {
            let batch = asked(peer);
            peer.send(fetched(batch, vec![], 0));
        }),
        case("more files than a batch has", "not asked for", move |peer| {
            let batch = asked(peer);
            peer.send(fetched(batch, vec![FetchedFile::Unreadable; 2], 0));
            peer.send(fetched(batch, vec![FetchedFile::Unreadable; 2], 0));
        }),
        case("a batch twice", "not asked for", move |peer| {
            let batch = asked(peer);
            peer.send(fetched(batch, vec![FetchedFile::Unreadable; 3], 0));
            peer.send(fetched(batch, vec![FetchedFile::Unreadable; 3], 0));
        }),
        case("less content than is told", "beyond the end of the frame", move |peer| {
            let batch = asked(peer);
            peer.send(fetched(batch, vec![whole(u32::MAX)], 10));
        }),
        case("more files than any batch has", "list of files", move |peer| {
            let batch = asked(peer);
            peer.send(fetched(batch, vec![FetchedFile::Longer; 257], 0));
        }),
    ]);
}

/// Attributes travel as bytes beside content: what is none, or would set something else, ends the run before it is set.
#[test]
fn attributes_that_no_entry_has() {
    let attached = |name: &[u8], value_len: usize| {
        let mut bytes = vec![u8::try_from(name.len()).unwrap()];
        bytes.extend_from_slice(name);
        bytes.extend(crate::hostile::peer::varint(value_len as u64));
        bytes.resize(bytes.len() + value_len, b'v');
        bytes
    };
    let bad = [
        ("an ACL", attached(b"system.posix_acl_access", 4)),
        ("no name", attached(b"", 4)),
        ("a name that ends early", attached(b"user.\0a", 4)),
        ("a value that is too long", attached(b"user.a", (64 << 10) + 1)),
        ("less than is told", vec![6, b'u']),
        ("twice", [attached(b"user.a", 1), attached(b"user.a", 1)].concat()),
    ];
    let mut cases = Vec::new();
    for (what, bytes) in bad {
        let (one, other) = (bytes.clone(), bytes);
        cases.push(case(format!("{what}, with content"), "extended attributes", move |peer| {
            let want = wanted(peer, "new", LARGE);
            let end = Some(ContentEnd::Complete { len: 4, sum: Sum([0; 16]) });
            let content =
                Content { file: want.file, ops: vec![], attached: one.clone().into(), end, packed: false };
            peer.send(Message::Content(content));
        }));
        cases.push(case(format!("{what}, in a batch"), "extended attributes", move |peer| {
            peer.begin_with(vec![file("new", 4)]);
            let batch = peer.expect_fetch().batch;
            let attached = u32::try_from(other.len()).unwrap();
            let files = vec![FetchedFile::Whole { attached, len: 0, sum: Some(Sum([0; 16])) }];
            peer.send(Message::Fetched(Fetched { batch, files, data: other.clone().into(), packed: false }));
        }));
    }
    cases.push(case("attributes in place of a file", "not asked for", move |peer| {
        peer.begin_with(vec![file("new", 4)]);
        let batch = peer.expect_fetch().batch;
        let files = vec![FetchedFile::Xattrs { attached: 0 }];
        peer.send(Message::Fetched(Fetched { batch, files, data: Default::default(), packed: false }));
    }));
    refused(cases);
}

/// A file of a batch that does not have its sum, or has become longer, is asked for by itself, and not believed then
/// either.
#[test]
fn files_of_a_batch_that_do_not_verify() {
    for first in [FetchedFile::Whole { attached: 0, len: 4, sum: Some(Sum([0; 16])) }, FetchedFile::Longer] {
        let outcome = unharmed(&format!("{first:?}"), Role::Sink, Way::Client, FLAGS, |peer| {
            peer.begin_with(vec![file("new", 4)]);
            let batch = peer.expect_fetch().batch;
            let data = if first == FetchedFile::Longer { &b""[..] } else { b"test" };
            peer.send(Message::Fetched(Fetched {
                batch,
                files: vec![first],
                data: data.into(),
                packed: false,
            }));
            let want = peer.expect_want();
            assert_eq!((want.dir, want.index, want.basis), (DirId(0), 0, None));
            let complete = Some(ContentEnd::Complete { len: 4, sum: Sum([0; 16]) });
            peer.send(content(want.file, vec![ContentOp::Literal(b"test"[..].into())], complete));
            for _ in 0..2 {
                peer.send(content(want.file, vec![], complete));
            }
            peer.send(Message::Listed);
            peer.expect("the sink's end", |message| matches!(message, Message::Finish(_)).then_some(()));
            peer.send(Message::Finish(Default::default()));
        });
        assert_eq!(outcome.code, Some(23), "{outcome}");
        assert!(outcome.errors.contains("verifying"), "{outcome}");
    }
}

/// What was appended to a file is taken back if it is not what the source has, or the rest does not come.
#[test]
fn a_file_that_was_appended_to_is_as_it_was() {
    let flags = [FLAGS, &["--append"]].concat();
    let wrong = ContentEnd::Complete { len: 4, sum: Sum([0; 16]) };
    for end in [wrong, ContentEnd::Unreadable] {
        let outcome = unharmed(&format!("{end:?}"), Role::Sink, Way::Client, &flags, |peer| {
            let want = wanted(peer, "old", 80_000);
            assert!(want.basis.is_none() && want.from > 0, "{want:?}");
            peer.send(content(want.file, vec![ContentOp::Literal(b"test"[..].into())], None));
            peer.send(content(want.file, vec![], Some(end)));
            peer.send(Message::Listed);
            peer.expect("the sink's end", |message| matches!(message, Message::Finish(_)).then_some(()));
            peer.send(Message::Finish(Default::default()));
        });
        let expected = if end == wrong { 23 } else { 0 };
        assert_eq!(outcome.code, Some(expected), "{outcome}");
    }
}

/// Gaps that cannot be, and rounds that come to no end. The sink has 70,000 bytes of the file, in blocks of 4096.
#[test]
fn rounds_that_nobody_can_tell() {
    let gap = |len, offset, basis_len| ContentOp::Gap { len, offset, basis_len };
    let round = |block_len| {
        let (block_len, strong_len) = (BlockLen::new(block_len).unwrap(), StrongLen::new(4).unwrap());
        Some(ContentEnd::Round { block_len, strong_len })
    };
    let literal = |len| ContentOp::Literal(vec![b'x'; len].into());
    let complete = Some(ContentEnd::Complete { len: 100, sum: Sum([0; 16]) });
    let said = move |rounds: Vec<(Vec<ContentOp>, Option<ContentEnd>)>| {
        move |peer: &mut Peer| {
            let want = wanted(peer, "large", 80_000);
            for (ops, end) in &rounds {
                peer.send(content(want.file, ops.clone(), *end));
            }
        }
    };
    let one = |op, end| said(vec![(vec![op], end)]);
    let one_of_many = |op, end| said(vec![(vec![op; 300], end)]);
    let then = |op, end| said(vec![(vec![gap(100, 0, 100)], round(64)), (vec![op], end)]);
    refused(vec![
        case("a gap beyond the basis", "does not fit", one(gap(10, 69_999, 2), None)),
        case("a gap beyond all numbers", "does not fit", one(gap(10, 2, u64::MAX), None)),
        case("a gap of nothing", "does not fit", one(gap(0, 0, 10), None)),
        case("a gap that refers to nothing", "does not fit", one(gap(10, 0, 0), None)),
        case("a gap longer than any", "does not fit", one(gap(u64::MAX, 0, 10), None)),
        case("gaps without measure", "does not fit", said(vec![(vec![gap(100_000, 0, 10); 3], None)])),
        case("too many gaps", "does not fit", said(vec![(vec![gap(1, 0, 1); (1 << 16) + 1], None)])),
        case("a round without gaps", "round that does not fit", one(literal(3), round(64))),
        case("an end with gaps", "end that does not fit", one(gap(100, 0, 100), complete)),
        case("more than a gap holds", "does not fit", then(literal(101), None)),
        case("less than a gap holds", "end that does not fit", then(literal(99), complete)),
        case("a gap that is never filled", "round that does not fit", then(gap(99, 0, 100), round(32))),
        case("a round that is no finer", "round that does not fit", then(gap(100, 0, 100), round(33))),
        case(
            "a first round that is no finer",
            "round that does not fit",
            one(gap(9000, 0, 9000), round(2049)),
        ),
        case(
            "gaps that have the basis read over and over",
            "round that does not fit",
            one_of_many(gap(1, 0, 70_000), round(2048)),
        ),
        case("a gap where none was asked for", "does not fit", move |peer| {
            let want = wanted(peer, "old", 6000);
            peer.send(content(want.file, vec![gap(10, 0, 10)], None));
        }),
        case("a round where none was asked for", "round that does not fit", move |peer| {
            let want = wanted(peer, "old", 6000);
            peer.send(content(want.file, vec![literal(3)], round(64)));
        }),
        case("a round after the end", "not asked for", |peer| {
            let want = wanted(peer, "new", LARGE);
            peer.send(content(want.file, vec![], Some(ContentEnd::Unreadable)));
            let (block_len, strong_len) = (BlockLen::new(9).unwrap(), StrongLen::new(4).unwrap());
            peer.send(content(want.file, vec![], Some(ContentEnd::Round { block_len, strong_len })));
        }),
    ]);
}

#[test]
fn content_and_verdicts_where_contents_are_compared() {
    let checked = |peer: &mut Peer| {
        peer.begin_with(vec![file("old", 5000)]);
        peer.expect("a check", |message| match message {
            Message::Check(check) => Some(check.file),
            _ => None,
        })
    };
    let cases = vec![
        case("content instead of a verdict", "not asked for", move |peer| {
            let file = checked(peer);
            peer.send(content(file, vec![ContentOp::Literal(b"x"[..].into())], None));
        }),
        case("two verdicts", "nobody asked for", move |peer| {
            let file = checked(peer);
            for _ in 0..2 {
                peer.send(Message::Verdict(Verdict { file, same: false }));
            }
        }),
    ];
    expect_refusals(Role::Sink, &["-r", "-c"], cases);
}

/// A file that does not verify is asked for again twice at most, and what its end claims is not believed: it is not
/// installed, and the run goes on.
#[test]
fn content_that_never_verifies() {
    for (len, rewritten, rounds) in
        [(4, 0, 2), (0, 1 << 19, 2), (1 << 38 | 1, 0, 1), (1 << 62, 0, 1), (u64::MAX, 0, 1)]
    {
        let outcome = unharmed(&format!("{len} bytes"), Role::Sink, Way::Client, FLAGS, |peer| {
            let want = wanted(peer, "new", LARGE);
            let complete = Some(ContentEnd::Complete { len, sum: Sum([0; 16]) });
            peer.send(content(want.file, vec![ContentOp::Literal(b"test"[..].into())], complete));
            for _ in 0..rounds {
                let rewrite = ContentOp::Rewrite { offset: rewritten, data: b"x"[..].into() };
                peer.send(content(want.file, vec![rewrite], complete));
            }
            peer.send(Message::Listed);
            peer.expect("the sink's end", |message| matches!(message, Message::Finish(_)).then_some(()));
            peer.send(Message::Finish(Default::default()));
        });
        assert_eq!(outcome.code, Some(23), "{len}\n{outcome}");
        assert!(outcome.errors.contains("verifying"), "{len}\n{outcome}");
    }
}

/// Of the files that do not verify only so many are kept open to be repaired; the others are given up.
#[test]
fn more_to_repair_than_is_kept_open() {
    const EACH: usize = 64;
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    let (kept, all) = (EACH * threads, (EACH + 16) * threads);
    let outcome = unharmed("many that do not verify", Role::Sink, Way::Client, FLAGS, |peer| {
        peer.begin_with((0..all).map(|n| file(&format!("{n:05}"), LARGE)).collect());
        let complete = Some(ContentEnd::Complete { len: 4, sum: Sum([0; 16]) });
        let wants: Vec<Want> = (0..all).map(|_| peer.expect_want()).collect();
        for want in wants {
            peer.send(content(want.file, vec![ContentOp::Literal(b"test"[..].into())], complete));
        }
        let again = |message: &Message| match message {
            Message::Again(again) => Some(again.file),
            _ => None,
        };
        let repaired: Vec<FileId> = (0..kept).map(|_| peer.expect("a file in repair", again)).collect();
        for file in repaired {
            peer.send(content(file, vec![], Some(ContentEnd::Unreadable)));
        }
        peer.send(Message::Listed);
        peer.expect("the sink's end", |message| matches!(message, Message::Finish(_)).then_some(()));
        peer.send(Message::Finish(Default::default()));
    });
    assert_eq!(outcome.code, Some(23), "{outcome}");
    let given_up = outcome.errors.matches("too much has to be repaired at once").count();
    assert_eq!(given_up, all - kept, "{outcome}");
}

#[test]
fn words_of_the_other_role() {
    let words: [fn() -> Message; 6] = [
        || {
            Message::Fetch(Fetch {
                what: dsync::wire::FetchWhat::Content,
                batch: BatchId(0),
                dir: Default::default(),
                indices: vec![0],
            })
        },
        || {
            Message::Want(Want {
                file: FileId(0),
                dir: Default::default(),
                index: 0,
                basis: None,
                refine: false,
                from: 0,
            })
        },
        || Message::Close(Default::default()),
        || {
            let (dir, segment_len, segments) = (Default::default(), BlockLen::SEGMENT, Vec::new());
            Message::Again(dsync::wire::Again { file: FileId(0), dir, index: 0, segment_len, segments })
        },
        || {
            let (dir, sum) = (Default::default(), Sum([0; 16]));
            Message::Check(dsync::wire::Check { file: FileId(0), dir, index: 0, sum })
        },
        || {
            let (file, dir) = (FileId(0), Default::default());
            Message::Identify(dsync::wire::Identify { file, dir, index: 0 })
        },
    ];
    refused(
        words
            .map(|word| case(format!("{:?}", word()), "only a sink sends", move |peer| peer.send(word())))
            .into(),
    );
}

/// The sink is full of requests that nobody answers, and the source goes on listing.
#[test]
fn more_than_there_is_credit_for() {
    refused(vec![case("listings", "more than it was allowed", |peer| {
        peer.begin();
        for part in 0..60 {
            let entries = (0..400).map(|n| file(&format!("{part:03}{n:03}"), 4)).collect();
            peer.send(listing(0, None, entries, false));
        }
    })]);
}

/// More directories are mentioned that are not the same, one beside the other, than any source keeps, and no listing of
/// them comes.
#[test]
fn directories_that_are_asked_for_and_never_listed() {
    let scene = Scene::new().tree("to", &Tree::new());
    let (mut peer, victim) = Victim::start(&scene, Role::Sink, Way::Server, &["-r", "-n"]);
    peer.begin();
    peer.send(mention(0, None));
    let part = |part: u32| {
        let names = (0..1000).map(|n| directory(&format!("{:06}", part * 1000 + n)));
        listing(0, None, names.collect(), part == 69)
    };
    peer.list((0..70).map(part).chain((0..70_000).map(|n| mention(n + 1, Some((0, n))))));
    let outcome = victim.finish();
    outcome.assert_orderly("never listed");
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.errors.contains("too many directories are mentioned"), "{outcome}");
}

/// What is to be said after a directory whose listing never comes is held back only up to a bound.
#[test]
fn lines_behind_a_directory_that_never_comes_are_let_through() {
    let scene = Scene::new().tree("to", &Tree::new());
    let (mut peer, victim) = Victim::start(&scene, Role::Sink, Way::Server, &["-r", "-n", "-v"]);
    peer.begin();
    let root = vec![directory("never"), directory("other")];
    peer.send_all([mention(0, None), listing(0, None, root, true), mention(1, Some((0, 0)))]);
    let part = |entries: std::ops::Range<u32>| {
        let long = entries.map(|n| file(&format!("{n:0200}"), 0)).collect();
        listing(2, Some((0, 1)), long, false)
    };
    peer.list((0..300).map(|n| part(n * 400..(n + 1) * 400)));
    peer.send(listing(2, Some((0, 1)), vec![file("last", 0)], true));
    peer.expect("the last line", |message| match message {
        Message::Event(Event::Item(item)) => (item.path.as_bytes() == b"other/last").then_some(()),
        _ => None,
    });
    let peak = victim.peak_memory();
    assert!(peak < 48 << 10, "{peak} KiB");
}

/// A directory is found to be the same after everything was listed, and what is in it was never mentioned.
#[test]
fn nothing_is_said_of_what_is_in_a_directory_that_is_the_same() {
    let scene = Scene::new().tree("to", &Tree::new().directory("dir/sub"));
    let (mut peer, victim) = Victim::start(&scene, Role::Sink, Way::Server, &["-r", "-l"]);
    let aspects = Aspects { file_time: true, ..Aspects::default() };
    let (path, sub) = (RelPath::root().join(&Name::new(*b"dir").unwrap()), directory("sub"));
    let fingerprint = Fingerprinter::new(1, aspects).of(&path, std::iter::once((&sub, 0)));
    let Message::Mention(below) = mention(1, Some((0, 0))) else { unreachable!() };
    peer.begin();
    peer.send_all([
        mention(0, None),
        Message::Mention(Mention { fingerprint: Some(fingerprint), ..below }),
        Message::Listed,
        listing(0, None, vec![directory("dir")], true),
    ]);
    let outcome = victim.finish();
    drop(peer);
    outcome.assert_orderly("nothing is said");
    assert!(outcome.errors.contains("before all directories"), "{outcome}");
}

/// Without `--delete` nothing is deleted; with it, only what a whole listing of that very directory does not have.
#[test]
fn deletion_is_the_sinks_own_business() {
    let all = || {
        let files = [file("keep", 4), file("large", 70_000), file("old", 5000)];
        existing([vec![directory("dir")], files.into()].concat())
    };
    let (without, with): (&[&str], &[&str]) = (&["-r", "-l"], &["-r", "-l", "--delete"]);
    for (name, flags, contents, complete, entries) in [
        ("nobody asked for it", without, true, true, Vec::new()),
        ("the listing is not complete", with, true, false, Vec::new()),
        ("the root was not named with its contents", with, false, true, Vec::new()),
        ("a directory's own listing never came", with, true, true, all()),
    ] {
        for way in [Way::Server, Way::Client] {
            unharmed(name, Role::Sink, way, flags, |peer| {
                let root = contents.then(|| meta(0o755));
                peer.send(Message::Begin(Begin {
                    extra: None,
                    root,
                    single: false,
                    bare: false,
                    owners: Vec::new(),
                }));
                peer.send(Message::Listing(Listing {
                    dir: Default::default(),
                    parent: None,
                    same: Default::default(),
                    same_entries: 0,
                    entries: entries.clone(),
                    owners: Vec::new(),
                    asked: Default::default(),
                    end: Some(if complete { ListingEnd::Whole } else { ListingEnd::Broken }),
                }));
                peer.send_all([Message::Listed, Message::Finish(Default::default())]);
            });
        }
    }
}

/// A source that calls everything the same has nothing done: nothing is changed, and nothing is deleted.
#[test]
fn what_is_said_to_be_the_same_stays() {
    for way in [Way::Server, Way::Client] {
        unharmed("all the same", Role::Sink, way, &["-r", "-l", "--delete"], |peer| {
            peer.begin();
            peer.send(mention(0, None));
            let buckets = expect_sums(peer);
            assert!(buckets > 1, "{buckets}");
            peer.send(part((&[0xff], 4), vec![], true));
            peer.send(mention(1, Some((0, 0))));
            peer.expect("what is asked of the directory below", |message| match message {
                Message::Expand(expand) => (expand.dir.0 == 1).then_some(()),
                _ => None,
            });
            peer.send(listing(1, Some((0, 0)), existing(vec![file("inner", 8)]), true));
            peer.send_all([Message::Listed, Message::Finish(Default::default())]);
        });
    }
}

/// Somebody replaces a directory after it was looked at, and so long before its listing comes that its handle was given
/// up: nothing is deleted, there or in what has its name now, nor said to be.
#[test]
fn a_directory_that_is_another_by_now_loses_nothing() {
    let names: Vec<String> = (0..300).map(|number| format!("{number:03}")).collect();
    let tree = names.iter().fold(Tree::new(), |tree, name| tree.file(format!("{name}/inner"), "x"));
    let scene = Scene::new().tree("to", &tree).tree("other", &Tree::new().file("inner", "of another"));
    let (mut peer, victim) = Victim::start(&scene, Role::Sink, Way::Server, &["-r", "--delete", "-v"]);
    peer.begin_with(names.iter().map(|name| directory(name)).collect());
    for place in 0..300 {
        peer.send(mention(place + 1, Some((0, place))));
    }
    peer.expect("what is asked of the last directory", |message| match message {
        Message::Expand(expand) => (expand.dir.0 == 300).then_some(()),
        _ => None,
    });
    let at = scene.path("to/000");
    std::fs::rename(&at, scene.path("moved")).unwrap();
    std::os::unix::fs::symlink(scene.path("other"), &at).unwrap();
    peer.send(listing(1, Some((0, 0)), vec![], true));
    for place in 1..300 {
        peer.send(listing(place + 1, Some((0, place)), existing(vec![file("inner", 1)]), true));
    }
    peer.send(Message::Listed);
    let (mut deleted, mut problems) = (0, 0);
    loop {
        match peer.next().expect("the sink's end") {
            Message::Event(Event::Deleted { .. }) => deleted += 1,
            Message::Event(Event::Problem(_)) => problems += 1,
            Message::Finish(totals) => {
                assert_eq!(totals.deleted.total(), 0);
                break;
            }
            _ => {}
        }
    }
    assert_eq!((deleted, problems), (0, 1));
    peer.send(Message::Finish(Default::default()));
    victim.finish().assert_orderly("a directory that is another");
    assert_eq!(scene.read("moved/inner"), b"x");
    assert_eq!(scene.read("other/inner"), b"of another");
}

/// Of files this large few are signed ahead. One that cannot be read makes room for the next, too.
#[test]
fn huge_files_that_cannot_be_read_are_asked_for_one_after_another() {
    let names = ["a", "b", "c", "d", "e"];
    let tree = names.iter().fold(Tree::new(), |tree, name| tree.file(*name, [b'x'; 300]));
    let scene = Scene::new().tree("to", &tree);
    let (mut peer, victim) = Victim::start(&scene, Role::Sink, Way::Server, &["-r"]);
    peer.begin_with(names.iter().map(|name| file(name, 1 << 30)).collect());
    for _ in names {
        let want = peer.expect_signed();
        peer.send(content(want.file, vec![], Some(ContentEnd::Unreadable)));
    }
    peer.send(Message::Listed);
    peer.expect("the sink's end", |message| matches!(message, Message::Finish(_)).then_some(()));
    peer.send(Message::Finish(Default::default()));
    victim.finish().assert_orderly("huge files");
}

/// How many buckets the sink has put its root into.
fn expect_sums(peer: &mut Peer) -> usize {
    peer.expect("what is asked of the root", |message| match message {
        Message::Expand(expand) => (expand.dir.0 == 0).then_some(expand.sums.len()),
        _ => None,
    })
}

/// A part of the listing of the root, with these buckets the same, which hold so many entries.
fn part((same, same_entries): (&[u8], u64), entries: Vec<Entry>, end: bool) -> Message {
    match listing(0, None, entries, end) {
        Message::Listing(listing) => {
            Message::Listing(Listing { same: Buckets::from_bytes(same), same_entries, ..listing })
        }
        other => other,
    }
}

#[test]
fn buckets_that_cannot_be() {
    let after = |messages: fn() -> Vec<Message>| {
        move |peer: &mut Peer| {
            peer.begin();
            peer.send(mention(0, None));
            assert!((2..=8).contains(&expect_sums(peer)), "a byte of buckets");
            peer.send_all(messages());
        }
    };
    refused(vec![
        case("of what was not compared", "not asked about", |peer| {
            peer.begin();
            peer.send(part((&[0xff], 4), vec![file("new", 4)], true));
        }),
        case("more than there are", "not asked about", after(|| vec![part((&[0xff; 2], 4), vec![], true)])),
        case(
            "in a later part",
            "within a listing",
            after(|| {
                vec![
                    part((&[], 0), vec![file("a", 0)], false),
                    part((&[0xff], 4), vec![file("keep", 4)], true),
                ]
            }),
        ),
        case("fewer entries", "another number of entries", after(|| vec![part((&[0xff], 3), vec![], true)])),
        case("more entries", "another number of entries", after(|| vec![part((&[0xff], 5), vec![], true)])),
        case("entries of none", "another number of entries", after(|| vec![part((&[0], 1), vec![], true)])),
        case(
            "the same, and listed",
            "said to be the same",
            after(|| vec![part((&[0xff], 4), vec![file("keep", 4)], true)]),
        ),
    ]);
}

/// Entries as they are at the destination, so that nothing is asked for.
fn existing(mut entries: Vec<Entry>) -> Vec<Entry> {
    for entry in &mut entries {
        entry.meta.mtime = crate::support::tree::LONG_AGO;
    }
    entries
}
