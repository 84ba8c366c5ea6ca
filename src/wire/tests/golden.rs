//! The bytes of each message as they were when protocol version 1 was fixed. A difference means that older and newer
//! programs would misunderstand each other: give the protocol a new version, or take the change back.
//!
//! With `DSYNC_UPDATE_GOLDEN` in the environment the files are written anew.

use super::messages::encoded;
use super::requests::everything;
use super::samples::{each, shown};
use crate::request::{Options, Part, Request};
use crate::wire::codec::{self, Cursor};
use crate::wire::hello::{self, Hello};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src/wire/tests/golden", &format!("{name}.hex")].iter().collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
    }
    text
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[track_caller]
fn compare(name: &str, now: &[u8]) -> Vec<u8> {
    if std::env::var_os("DSYNC_UPDATE_GOLDEN").is_some() {
        fs::write(path(name), hex(now)).unwrap();
    }
    let golden = fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(hex(now), golden, "{name} is written differently");
    bytes(&golden)
}

#[test]
fn messages_are_written_and_read_as_ever() {
    for (name, message) in each() {
        let golden = compare(name, &encoded(&message));
        let read = codec::decode(&mut Cursor::new(golden.into())).unwrap();
        assert_eq!(shown(&[read]), shown(&[message]), "{name} is read differently");
    }
}

#[test]
fn greetings_are_written_and_read_as_ever() {
    let hello = Hello { versions: (1, 1), seed: 0x0123_4567_89ab_cdef, program: "0.1.0".into(), join: None };
    let golden = compare("hello", &hello.encode());
    assert_eq!(Hello::read(&mut &golden[..]).unwrap(), (hello, golden.len() as u64));
    let pull = Request {
        part: Part::Source { arguments: vec![b"src/".to_vec(), b"a b".to_vec()] },
        options: Options::default(),
    };
    let push = Request { part: Part::Sink { destination: b"to/\xff".to_vec() }, options: everything() };
    let part = Part::Replica { root: b"tree".to_vec(), landmarks: vec![[7; 16], [8; 16]] };
    let replica = Request { part, options: Options::default() };
    for (name, request) in [("request-source", pull), ("request-sink", push), ("request-replica", replica)] {
        let golden = compare(name, &hello::encode_request(&request));
        assert_eq!(hello::read_request(&mut &golden[..]).unwrap(), request, "{name} is read differently");
    }
}

#[test]
fn no_golden_file_is_forgotten() {
    let known: Vec<PathBuf> = each()
        .iter()
        .map(|(name, _)| *name)
        .chain(["hello", "request-source", "request-sink", "request-replica"])
        .map(path)
        .collect();
    for entry in fs::read_dir(path("x").parent().unwrap()).unwrap() {
        let entry = entry.unwrap().path();
        assert!(known.contains(&entry), "{} belongs to nothing", entry.display());
    }
}
