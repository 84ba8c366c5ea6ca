//! The greeting, and whatever else a stream may begin with.

use crate::wire::WireError;
use crate::wire::codec::Put;
use crate::wire::hello::{Hello, Join, VERSION, encode_joined, read_joined};
use proptest::prelude::*;

fn hello() -> Hello {
    Hello { versions: (VERSION, VERSION), seed: 0xfeed_0bee, program: "1.2.3".into(), join: None }
}

/// A hello with these bytes between the length and the end.
fn with_values(values: &[u8]) -> Vec<u8> {
    let len = u32::try_from(values.len()).unwrap().to_le_bytes();
    [b"dsync\0\r\n", &len[..], values].concat()
}

/// The values of a proper hello, with one more in front.
fn with_value(tag: u64, value: &[u8]) -> Vec<u8> {
    let mut values = Vec::new();
    values.put_varint(tag);
    values.put_bytes(value);
    values.extend_from_slice(&hello().encode()[12..]);
    with_values(&values)
}

fn read(bytes: &[u8]) -> Result<Hello, WireError> {
    Hello::read(&mut &bytes[..]).map(|(hello, _)| hello)
}

#[track_caller]
fn refused(bytes: &[u8]) -> WireError {
    read(bytes).expect_err("it is refused")
}

#[test]
fn a_hello_survives_and_what_follows_is_left() {
    let bytes = [hello().encode(), b"more".to_vec()].concat();
    let mut rest = &bytes[..];
    let (read, taken) = Hello::read(&mut rest).unwrap();
    assert_eq!(read, hello());
    assert_eq!(rest, b"more");
    assert_eq!(taken as usize, bytes.len() - 4);
}

#[test]
fn who_joins_says_so_and_gets_an_answer() {
    let joining = Hello { join: Some(Join { token: *b"0123456789abcdef", number: 7 }), ..hello() };
    assert_eq!(read(&joining.encode()).unwrap(), joining);
    for length in [0, 15, 16, 18] {
        // What is too long is read in part, which a peer of another version may mean so.
        assert_eq!(read(&with_value(4 << 1 | 1, &vec![0; length])).is_ok(), length > 16, "{length}");
    }
    let answer = |joined| read_joined(&mut &encode_joined(joined)[..]).unwrap();
    assert_eq!(answer(Ok(())), None);
    assert_eq!(answer(Err("not \x1b[2J here".into())).unwrap(), "not \\#033[2J here");
    assert_eq!(answer(Err("\u{f6}".repeat(5000))).unwrap().chars().count(), 2048);
    assert!(matches!(read_joined(&mut &b"\x01\x10\0\0"[..]), Err(WireError::TooLong { .. })));
    assert!(matches!(read_joined(&mut &b"\x05\0\0\0no"[..]), Err(WireError::Ended)));
}

#[test]
fn a_common_version_is_enough() {
    for versions in [(1, 1), (0, 1), (1, 7), (0, u32::MAX)] {
        assert!(read(&Hello { versions, ..hello() }.encode()).is_ok(), "{versions:?}");
    }
}

#[test]
fn without_a_common_version_both_are_named() {
    for (versions, theirs) in [((2, 2), "2"), ((2, 5), "2 to 5"), ((0, 0), "0")] {
        let text = refused(&Hello { versions, ..hello() }.encode()).to_string();
        assert_eq!(
            text,
            format!(
                "this dsync speaks protocol {VERSION} and the peer (dsync 1.2.3) speaks {theirs}; install the same \
                 version on both hosts"
            )
        );
    }
}

#[test]
fn the_version_may_not_be_missing() {
    assert!(matches!(refused(&with_values(b"")), WireError::Version { .. }));
}

#[test]
fn a_critical_tag_that_is_unknown_is_refused_and_another_skipped() {
    assert!(matches!(refused(&with_value(77 << 1 | 1, b"x")), WireError::UnknownOption(77)));
    assert_eq!(read(&with_value(77 << 1, b"x")).unwrap(), hello());
    assert_eq!(read(&with_value(u64::MAX - 1, b"")).unwrap(), hello());
}

#[test]
fn text_before_the_magic_is_shown() {
    let motd = [b"Welcome to prod!\nLast login: today\n".to_vec(), hello().encode()].concat();
    let error = refused(&motd);
    assert!(matches!(&error, WireError::Noise(text) if text == "Welcome to prod!\nLast login: today"));
    assert!(error.to_string().contains("Welcome to prod!"), "{error}");
}

#[test]
fn text_without_magic_is_shown_up_to_a_limit() {
    for len in [1, 199, 200, 201, 100_000] {
        let noise = vec![b'n'; len];
        match refused(&noise) {
            WireError::Noise(text) => assert_eq!(text.len(), len.min(200)),
            other => panic!("{other}"),
        }
    }
    // What looks like the beginning of the magic is no magic.
    assert!(matches!(refused(b"dsync\0\r"), WireError::Noise(_)));
    assert!(matches!(refused(b"dsydsync\0\r\n"), WireError::Noise(text) if text == "dsy"));
}

/// A terminal in the way turns line ends into others.
#[test]
fn a_mangled_magic_is_no_magic() {
    let mut bytes = hello().encode();
    bytes.remove(6);
    assert!(matches!(refused(&bytes), WireError::Noise(_)));
}

#[test]
fn an_end_too_early_is_an_end() {
    let bytes = hello().encode();
    assert!(matches!(refused(b""), WireError::Ended));
    for len in 8..bytes.len() {
        assert!(matches!(refused(&bytes[..len]), WireError::Ended), "{len}");
    }
}

#[test]
fn a_hello_too_long_is_refused_unread() {
    let mut bytes = with_values(b"");
    bytes[8..12].copy_from_slice(&4097_u32.to_le_bytes());
    assert!(matches!(refused(&bytes), WireError::TooLong { length: 4097, limit: 4096, .. }));
    bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(refused(&bytes), WireError::TooLong { .. }));
    let full = with_value(77 << 1, &vec![0; 4096 - hello().encode().len()]);
    assert_eq!(read(&full).unwrap(), hello());
}

#[test]
fn a_seed_has_eight_bytes() {
    for len in [0, 7, 9] {
        assert!(matches!(refused(&with_value(2 << 1 | 1, &vec![0; len])), WireError::Malformed("seed")));
    }
}

/// The program's version is text of the peer's and ends up on a terminal.
#[test]
fn the_programs_version_cannot_act_on_a_terminal() {
    let evil = Hello { versions: (2, 2), program: "\x1b[2J".into(), ..hello() };
    let text = refused(&evil.encode()).to_string();
    assert!(!text.contains('\x1b'), "{text:?}");
}

proptest! {
    #[test]
    fn any_hello_survives(seed in any::<u64>(), program in "[ -~&&[^\\\\]]{0,40}") {
        let hello = Hello { versions: (VERSION, VERSION), seed, program, join: None };
        prop_assert_eq!(read(&hello.encode()).unwrap(), hello);
    }

    #[test]
    fn any_bytes_are_harmless(values in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = read(&values);
        let _ = read(&with_values(&values));
    }

    #[test]
    fn a_changed_byte_is_harmless(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = hello().encode();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = read(&bytes);
    }
}
