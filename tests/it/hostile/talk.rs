//! Greetings, frames and texts that no honest peer sends.

use super::peer::{Peer, file};
use super::victim::{Role, Way};
use super::{case, expect_refusals, unharmed};
use crate::support::tree::noise;
use dsync::report::{
    Action, Change, Counts, Event, Item, Problem, ProblemClass, ProgressReading, Role as Side, TimeChange,
    Totals,
};
use dsync::tree::{Kind, RelPath};
use dsync::wire::{Abort, AbortKind, DirId, Message};

const FLAGS: &[&str] = &["-r", "-l", "-t"];

/// Compressed data that unfolds to more than a frame holds: zstd's format (RFC 8878), a window of 1 MiB and then
/// blocks that repeat one byte 128 KiB times.
fn bomb() -> Vec<u8> {
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50];
    for _ in 0..1000 {
        // Block_Type 1 (RLE), Block_Size 2^17, not the last.
        let header: u32 = (1 << 17) << 3 | 1 << 1;
        bytes.extend_from_slice(&header.to_le_bytes()[..3]);
        bytes.push(14);
    }
    bytes
}

#[test]
fn frames_that_no_encoder_makes() {
    for role in [Role::Source, Role::Sink] {
        let framed = |kind: u8, payload: &[u8]| {
            let len = u32::try_from(payload.len()).unwrap().to_le_bytes();
            [&[kind], &len[..], payload].concat()
        };
        let raw = |bytes: Vec<u8>| move |peer: &mut Peer| peer.raw(&bytes);
        expect_refusals(
            role,
            FLAGS,
            vec![
                case("the longest length", "frame of 4294967295", raw(vec![0, 0xff, 0xff, 0xff, 0xff])),
                case("one more than allowed", "frame of 4194305", raw(vec![0, 1, 0, 0x40, 0])),
                case("an unknown kind of frame", "malformed frame", raw(framed(0x80, &[14]))),
                case("an unknown message", "kind is unknown", raw(framed(0, &[99]))),
                case("a message cut short", "ends early", raw(framed(0, &[10]))),
                case("nothing that unfolds", "does not decompress", raw(framed(1, b"no zstd at all"))),
                case("a bomb", "decompressed frame", raw(framed(1, &bomb()))),
                case("noise", "the peer sent", raw(noise(10_000, 7))),
            ],
        );
    }
}

/// Text of the peer's cannot act on the user's terminal, and numbers of the peer's cannot upset the accounts.
#[test]
fn what_a_peer_says_is_shown_harmlessly() {
    let evil = "\x1b]0;owned\x07\u{9b}2J\r\x08";
    let events = [
        Event::Notice(evil.into()),
        Event::Remote(evil.as_bytes().to_vec()),
        Event::Problem(Problem {
            doing: evil.into(),
            path: evil.as_bytes().to_vec(),
            cause: evil.into(),
            class: ProblemClass::Failed,
            role: Side::Sink,
        }),
        Event::Item(Item {
            path: RelPath::new(evil.as_bytes().to_vec()).unwrap(),
            kind: Kind::Symlink,
            target: Some(evil.as_bytes().to_vec()),
            leader: Some(RelPath::new(evil.as_bytes().to_vec()).unwrap()),
            size: u64::MAX,
            change: Change {
                atime: false,
                acls: false,
                xattrs: false,
                action: Action::Create,
                new: true,
                content: true,
                size: true,
                time: TimeChange::Source,
                perms: true,
                owner: true,
                group: true,
            },
            facts: None,
        }),
        Event::Deleted { path: RelPath::new(evil.as_bytes().to_vec()).unwrap(), kind: Kind::File },
    ];
    for role in [Role::Source, Role::Sink] {
        let flags = ["-r", "-v", "--stats", "--progress"];
        let outcome = unharmed("events", role, Way::Client, &flags, |peer| {
            for event in &events {
                peer.send(Message::Event(event.clone()));
            }
            peer.send(Message::Progress(ProgressReading {
                total_bytes: u64::MAX,
                total_files: u64::MAX,
                total_known: true,
                done_bytes: u64::MAX,
                done_files: u64::MAX,
            }));
            let text = format!("{evil}\nsecond line");
            peer.send(Message::Abort(Abort { text, kind: AbortKind::Protocol }));
        });
        assert_eq!(outcome.code, Some(2), "{outcome}");
        for (name, text) in [("stdout", &outcome.output), ("stderr", &outcome.errors)] {
            // The bar may redraw its line, nothing else.
            let bad = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r'));
            assert_eq!(bad, None, "{role:?}: {name} is {text:?}");
            assert!(!text.contains("\r\u{8}") && !text.contains('\u{9b}'), "{role:?}: {name} is {text:?}");
        }
        assert!(outcome.errors.contains("owned"), "it is shown nevertheless\n{outcome}");
    }
}

/// Totals are the peer's to count, so they may be anything.
#[test]
fn absurd_totals_are_shown() {
    let counts = Counts {
        files: u64::MAX,
        directories: u64::MAX,
        symlinks: u64::MAX,
        devices: u64::MAX,
        specials: u64::MAX,
    };
    let most = u64::MAX;
    let absurd = Totals {
        listed: counts,
        total_size: most,
        created: counts,
        deleted: counts,
        transferred: most,
        transferred_size: most,
        literal: most,
        matched: most,
        listing_millis: most,
        vanished: most,
        failed: most,
        not_deleted: most,
    };
    let flags = ["-r", "-v", "--stats", "--progress"];
    let outcome = unharmed("of a sink", Role::Source, Way::Client, &flags, |peer| {
        peer.expect("the end of the listings", |message| matches!(message, Message::Listed).then_some(()));
        // The root and its one directory.
        peer.send(Message::Close(DirId(1)));
        peer.send(Message::Close(DirId(0)));
        peer.send(Message::Finish(absurd));
    });
    assert_eq!(outcome.code, Some(23), "{outcome}");
    assert!(outcome.output.contains("18,446,744,073,709,551,615"), "{outcome}");
    let outcome = unharmed("of a source", Role::Sink, Way::Client, &flags, |peer| {
        peer.begin_with(Vec::new());
        peer.send(Message::Listed);
        peer.expect("the sink's end", |message| matches!(message, Message::Finish(_)).then_some(()));
        peer.send(Message::Finish(absurd));
    });
    assert_eq!(outcome.code, Some(23), "{outcome}");
}

/// Sizes are what the source says, whatever arrives.
#[test]
fn absurd_sizes_are_listed() {
    let flags = ["-r", "-v", "--stats", "--progress"];
    let outcome = unharmed("sizes", Role::Sink, Way::Client, &flags, |peer| {
        peer.begin_with(vec![file("a", u64::MAX), file("b", u64::MAX), file("old", u64::MAX)]);
        for _ in 0..3 {
            let want = peer.expect_want();
            let unreadable = Some(dsync::wire::ContentEnd::Unreadable);
            peer.send(super::peer::content(want.file, Vec::new(), unreadable));
        }
        peer.send(Message::Listed);
        peer.expect("the sink's end", |message| matches!(message, Message::Finish(_)).then_some(()));
        peer.send(Message::Finish(Default::default()));
    });
    assert_eq!(outcome.code, Some(0), "{outcome}");
}
