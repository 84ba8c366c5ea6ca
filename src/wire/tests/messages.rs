//! Messages as bytes and back.

use super::samples::{any_message, each, file, listing, name, shown};
use crate::delta::StrongLen;
use crate::tree::{MAX_BUCKETS, MAX_NAME, Node};
use crate::wire::codec::{self, Cursor, Put};
use crate::wire::{
    Content, ContentEnd, ContentOp, FileId, MAX_TALK, MENTIONED_OWNERS, Message, Rank, WINDOWS, WireError,
};
use bytes::Bytes;
use proptest::prelude::*;

pub(super) fn encoded(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    codec::encode(message, &mut out).unwrap();
    out
}

fn decoded(bytes: &[u8]) -> Result<Message, WireError> {
    let mut cursor = Cursor::new(Bytes::copy_from_slice(bytes));
    let message = codec::decode(&mut cursor)?;
    assert!(cursor.is_empty(), "{} bytes are left", cursor.len());
    Ok(message)
}

#[track_caller]
fn refused(bytes: &[u8]) -> String {
    match decoded(bytes) {
        Ok(message) => panic!("taken for {message:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_message_survives() {
    for (name, message) in each() {
        let back = decoded(&encoded(&message)).unwrap();
        assert_eq!(shown(&[back]), shown(&[message]), "{name}");
    }
}

#[test]
fn each_message_cut_short_is_refused() {
    for (name, message) in each() {
        let bytes = encoded(&message);
        for len in 0..bytes.len() {
            assert!(decoded(&bytes[..len]).is_err(), "{name} cut to {len} of {}", bytes.len());
        }
    }
}

#[test]
fn what_is_only_for_one_process_is_not_encoded() {
    let null = std::fs::File::open("/dev/null").unwrap();
    let open = Content {
        attached: Bytes::new(),
        file: FileId(0),
        ops: vec![ContentOp::File(std::sync::Arc::new(null.into()))],
        end: None,
        packed: false,
    };
    let end = Content {
        attached: Bytes::new(),
        file: FileId(0),
        ops: Vec::new(),
        end: Some(ContentEnd::Local),
        packed: false,
    };
    for content in [open, end] {
        assert!(codec::encode(&Message::Content(content), &mut Vec::new()).is_err());
    }
}

/// A listing of the root with `count` entries that follow as raw bytes.
fn raw_listing(count: u64, entries: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 2, 0, 0];
    bytes.put_varint(count);
    bytes.extend_from_slice(entries);
    bytes
}

/// An empty file with all attributes as before.
fn raw_entry(shared: u64, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x38];
    bytes.put_varint(shared);
    bytes.put_bytes(rest);
    bytes.push(0);
    bytes
}

#[test]
fn raw_listings_are_what_the_tests_take_them_for() {
    assert!(decoded(&raw_listing(1, &raw_entry(0, b"a"))).is_ok());
    let two = [raw_entry(0, b"ab"), raw_entry(1, b"c")].concat();
    assert!(decoded(&raw_listing(2, &two)).is_ok());
}

#[test]
fn names_that_could_leave_their_directory_are_refused() {
    let long = [b'x'; MAX_NAME + 1];
    for bad in [&b""[..], b".", b"..", b"/", b"/etc", b"a/b", b"../x", b"a\0b", &long, &[b'x'; 2000]] {
        let text = refused(&raw_listing(1, &raw_entry(0, bad)));
        assert!(text.contains("name"), "{text}");
    }
    // Put together from two valid ones.
    for (first, shared, rest) in
        [(&b".x"[..], 1, &b"."[..]), (b"a", 1, b"/b"), (b"a", 0, b""), (b".a", 1, b"")]
    {
        let entries = [raw_entry(0, first), raw_entry(shared, rest)].concat();
        refused(&raw_listing(2, &entries));
    }
    let too_long_together = [raw_entry(0, &[b'x'; MAX_NAME]), raw_entry(MAX_NAME as u64, b"y")].concat();
    refused(&raw_listing(2, &too_long_together));
    // More is shared than there is.
    refused(&raw_listing(1, &raw_entry(1, b"a")));
    refused(&raw_listing(1, &raw_entry(u64::MAX, b"a")));
}

#[test]
fn talk_is_as_long_as_it_may_be_and_no_longer() {
    let talk = |len: u64| encoded(&Message::Talk(vec![7; usize::try_from(len).unwrap()].into()));
    assert!(decoded(&talk(MAX_TALK)).is_ok());
    assert!(refused(&talk(MAX_TALK + 1)).contains("talk"));
    let longest = Message::Talk(vec![7; usize::try_from(MAX_TALK).unwrap()].into());
    assert_eq!(longest.rank(), Rank::Listing);
    assert!(longest.cost() < u64::from(WINDOWS.listing) / 4);
}

#[test]
fn listings_out_of_order_are_refused() {
    for (first, second) in [("b", "a"), ("a", "a"), ("ab", "a")] {
        let entries = [raw_entry(0, first.as_bytes()), raw_entry(0, second.as_bytes())].concat();
        assert!(refused(&raw_listing(2, &entries)).contains("not sorted"));
    }
}

#[test]
fn entries_that_no_system_has_are_refused() {
    let mut long_link = file("a", 0);
    long_link.node = Node::Symlink { target: vec![b'x'; 1 << 20].into() };
    assert!(refused(&encoded(&listing(vec![long_link]))).contains("symlink target of 1048576"));
    let mut nul_link = file("a", 0);
    nul_link.node = Node::Symlink { target: (*b"a\0b").into() };
    refused(&encoded(&listing(vec![nul_link])));
    let mut odd_mode = file("a", 0);
    odd_mode.meta.mode = 0o10_000;
    refused(&encoded(&listing(vec![odd_mode])));
    // A whole second of nanoseconds; kind 7.
    refused(&raw_listing(1, &[0x18, 0, 1, b'a', 0, 0x80, 0x94, 0xeb, 0xdc, 0x03, 0]));
    refused(&raw_listing(1, &[0x3f, 0, 1, b'a', 0]));
}

#[test]
fn numbers_are_held_to_their_width() {
    let mut bytes = vec![10];
    bytes.put_varint(u64::from(u32::MAX));
    assert!(decoded(&bytes).is_ok());
    let mut bytes = vec![10];
    bytes.put_varint(1 << 32);
    assert!(refused(&bytes).contains("32 bits"));
    // Eleven bytes, and ten whose last holds more than the 64th bit.
    refused(&[10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]);
    refused(&[10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]);
}

#[test]
fn counts_and_lengths_beyond_the_frame_allocate_nothing() {
    let huge = |kind: u8, before: &[u8], number: u64| {
        let mut bytes = [&[kind], before].concat();
        bytes.put_varint(number);
        bytes.extend_from_slice(&[0; 100]);
        refused(&bytes)
    };
    for number in [51, 1 << 20, u64::from(u32::MAX), 1 << 62, u64::MAX] {
        huge(1, &[0], number); // owners
        huge(2, &[2, 0, 0], number); // entries
        huge(5, &[0], number); // weak sums
        huge(5, &[0, 0], number.max(101)); // strong sums
        huge(8, &[0, 0], number); // operations
        huge(8, &[0, 0, 1, 0], number.max(101)); // a literal
        huge(8, &[0, 0, 1, 2, 0], number.max(101)); // a rewrite
        huge(9, &[0, 0, 0, 1], number); // segments
        huge(11, &[], number.max(101)); // an event
        huge(17, &[0, 0], number); // a directory's owners
        huge(18, &[0, 0], number); // sums of buckets
        huge(2, &[10, 0], number.max(101)); // buckets
    }
}

/// A frame of 4 MiB could hold a million entries or operations, each of which takes many times its bytes.
#[test]
fn no_message_holds_more_than_its_window_has_credit_for() {
    let mut ops = vec![8, 0, 0];
    ops.put_varint(1 << 20);
    ops.resize(4 << 20, 0);
    assert!(refused(&ops).contains("list of operations of 1048576"));
    let mut owners = vec![1, 0];
    owners.put_varint(1 << 20);
    owners.resize(4 << 20, 0);
    assert!(refused(&owners).contains("list of owners of 1048576"));
    let mut sums = vec![18, 0, 0];
    sums.put_varint(MAX_BUCKETS as u64 + 1);
    sums.resize(4 << 20, 0);
    assert!(refused(&sums).contains("list of buckets of 65537"));
    let mut buckets = vec![2, 10, 0];
    buckets.put_varint(MAX_BUCKETS as u64 / 8 + 1);
    buckets.resize(4 << 20, 0);
    assert!(refused(&buckets).contains("list of buckets of 8193"));
    let mut owned_by = vec![17, 0, 0];
    owned_by.put_varint(MENTIONED_OWNERS as u64 + 1);
    owned_by.resize(4 << 20, 0);
    assert!(refused(&owned_by).contains("list of owners of 17"));
    let entries = raw_listing(1 << 20, &vec![0; 4 << 20]);
    assert!(refused(&entries).contains("list of entries of 1048576"));
}

#[test]
fn signatures_that_would_not_fit_are_refused() {
    let want = |basis: u64, block: u64, strong: u64| {
        let mut bytes = vec![4, 0, 0, 0, 1];
        [basis, block, strong].into_iter().for_each(|number| bytes.put_varint(number));
        decoded(&bytes)
    };
    assert!(want(1 << 30, 1 << 12, 8).is_ok());
    for (basis, block, strong) in [
        (1000, 0, 8),
        (1000, (16 << 20) + 1, 8),
        (1000, 700, u64::from(StrongLen::MIN) - 1),
        (1000, 700, u64::from(StrongLen::MAX) + 1),
        ((1 << 20) + 1, 1, 8),
        (u64::MAX, 16 << 20, 8),
    ] {
        assert!(want(basis, block, strong).is_err(), "{basis} {block} {strong}");
    }
}

#[test]
fn unknown_kinds_are_refused() {
    for kind in (26..=255).chain([0]) {
        assert!(decoded(&[kind, 0, 0, 0]).is_err());
    }
    assert!(decoded(&[13, 4, 0]).is_err(), "a rank without credit");
    assert!(decoded(&[8, 0, 3, 0]).is_err(), "an end");
    assert!(decoded(&[8, 0, 0, 1, 3, 0]).is_err(), "an operation");
    let asked = |bytes: &[u8]| decoded(&[&[2, 16 | 3, 0], bytes, &[0, 0]].concat());
    assert!(asked(&[0, 2, 1, b'a', 1, b'b']).is_ok());
    assert!(asked(&[0, 2, 1, b'b', 1, b'a']).is_err(), "names that are not sorted");
    assert!(asked(&[0, 1, 2, b'.', b'.']).is_err(), "a name that leads out");
    assert!(asked(&[1, 0, 0]).is_err(), "the root as what is absent");
    assert!(asked(&[1, 4, b'.', b'.', b'/', b'a', 0]).is_err(), "a path that leads out");
}

/// Holding a message costs at least what it takes in memory, so that the windows bound that too.
#[test]
fn everything_of_variable_length_costs_credit() {
    for (name, message) in each() {
        let len = encoded(&message).len() as u64;
        let credited = message.rank().credited().is_some();
        assert!(!credited || message.cost() >= len, "{name} costs {} for {len} bytes", message.cost());
        assert!(message.cost() <= WINDOWS.most(Rank::Listing), "{name}");
    }
    let many = vec![file(name("f").as_bytes(), 1)];
    assert!(listing(many).cost() > listing(Vec::new()).cost());
}

proptest! {
    #[test]
    fn any_message_survives(message in any_message()) {
        let back = decoded(&encoded(&message)).unwrap();
        prop_assert_eq!(shown(&[back]), shown(&[message]));
    }

    #[test]
    fn any_message_cut_short_is_refused(message in any_message(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&message);
        prop_assert!(decoded(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn any_bytes_are_harmless(kind in 0_u8..22, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut cursor = Cursor::new([&[kind], &bytes[..]].concat().into());
        let _ = codec::decode(&mut cursor);
    }

    /// A byte changed anywhere in a valid message is harmless, and what is then read can be written again.
    #[test]
    fn a_changed_byte_is_harmless(
        message in any_message(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encoded(&message);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let mut cursor = Cursor::new(bytes.into());
        if let Ok(message) = codec::decode(&mut cursor) {
            let back = decoded(&encoded(&message)).unwrap();
            prop_assert_eq!(shown(&[back]), shown(&[message]));
        }
    }

    #[test]
    fn numbers_survive(unsigned in any::<u64>(), signed in any::<i64>(), shift in 0..64_u32) {
        let (unsigned, signed) = (unsigned >> shift, signed >> shift);
        let mut out = Vec::new();
        out.put_varint(unsigned);
        out.put_signed(signed);
        let mut cursor = Cursor::new(out.into());
        prop_assert_eq!(cursor.varint().unwrap(), unsigned);
        prop_assert_eq!(cursor.signed().unwrap(), signed);
        prop_assert!(cursor.is_empty());
    }
}
