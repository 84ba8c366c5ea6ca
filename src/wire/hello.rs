//! The greeting: how two processes find out that both speak dsync, which version, and what is to be done.
//!
//! Each side first writes a hello: eight bytes of magic, then tagged values as in a request. The asking side does not
//! wait for the peer's: its request follows at once, so a run begins after half a round trip. The magic holds a NUL
//! and a line end of each kind, which a terminal in the way would have mangled; whatever stands before it was
//! printed by a login script, and is shown to the user as that.
//!
//! A process of the peer's that is to join a connection with its channel gets no request: the asking side's hello says
//! which connection, and the process says whether it did.

use crate::request::Request;
use crate::tree::Escaped;
use crate::wire::codec::{Cursor, Put};
use crate::wire::request::{self, REQUEST_LIMIT};
use crate::wire::{Token, WireError};
use bytes::Bytes;
use std::io::{self, Read, Write};

/// How each side begins.
pub const MAGIC: [u8; 8] = *b"dsync\0\r\n";
/// The longest hello accepted, in bytes.
const HELLO_LIMIT: u64 = 4096;
/// How much text before the magic is shown.
const NOISE_SHOWN: usize = 200;
/// How much is searched for the magic before giving up.
const NOISE_LIMIT: usize = 64 << 10;

/// The protocol version of this program. The oldest it still speaks is the same.
pub const VERSION: u32 = 1;

const TAG_VERSIONS: u64 = 1;
const TAG_SEED: u64 = 2;
const TAG_PROGRAM: u64 = 3;
const TAG_JOIN: u64 = 4;

/// The longest reason accepted for not joining, in bytes.
const REFUSAL_LIMIT: u64 = 4096;

/// What one side tells the other before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The oldest and the newest protocol version it speaks.
    pub versions: (u32, u32),
    /// The seed of the strong sums; the asking side's counts.
    pub seed: u64,
    /// The program's version, for people.
    pub program: String,
    /// Instead of a request: the connection that the peer is to join.
    pub join: Option<Join>,
}

/// Which connection a process joins, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Join {
    /// What that connection's invitation held.
    pub token: Token,
    /// The number its channel is to have, 1 to 7; a peer checks it.
    pub number: u8,
}

impl Hello {
    /// The hello of this program.
    pub fn new(seed: u64) -> Hello {
        Hello {
            versions: (VERSION, VERSION),
            seed,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            join: None,
        }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut values = Vec::new();
        let mut versions = Vec::new();
        versions.put_varint(self.versions.0.into());
        versions.put_varint(self.versions.1.into());
        for (tag, value) in [
            (TAG_VERSIONS << 1 | 1, &versions[..]),
            (TAG_SEED << 1 | 1, &self.seed.to_le_bytes()),
            (TAG_PROGRAM << 1, self.program.as_bytes()),
        ] {
            values.put_varint(tag);
            values.put_bytes(value);
        }
        if let Some(join) = &self.join {
            values.put_varint(TAG_JOIN << 1 | 1);
            values.put_bytes(&[&join.token[..], &[join.number]].concat());
        }
        let mut out = MAGIC.to_vec();
        put_block(&mut out, &values);
        out
    }

    /// Reads the peer's hello and checks that a common version exists. Returns it with the number of bytes it took.
    pub fn read(reader: &mut impl Read) -> Result<(Hello, u64), WireError> {
        expect_magic(reader)?;
        let block = read_block(reader, "greeting", HELLO_LIMIT)?;
        let taken = (MAGIC.len() + 4 + block.len()) as u64;
        Ok((Hello::decode(block)?, taken))
    }

    fn decode(block: Bytes) -> Result<Hello, WireError> {
        let mut cursor = Cursor::new(block);
        let mut hello =
            Hello { versions: (0, 0), seed: 0, program: "of unknown version".to_owned(), join: None };
        while !cursor.is_empty() {
            let tag = cursor.varint()?;
            let value = cursor.bytes("greeting", HELLO_LIMIT)?;
            match tag >> 1 {
                TAG_VERSIONS => {
                    let mut value = Cursor::new(value);
                    hello.versions = (value.u32()?, value.u32()?);
                }
                TAG_SEED => {
                    let bytes = value.as_ref().try_into().map_err(|_| WireError::Malformed("seed"))?;
                    hello.seed = u64::from_le_bytes(bytes);
                }
                TAG_JOIN => {
                    let mut value = Cursor::new(value);
                    hello.join = Some(Join { token: value.token()?, number: value.byte()? });
                }
                TAG_PROGRAM => hello.program = Escaped(&value).to_string(),
                number if tag & 1 != 0 => return Err(WireError::UnknownOption(number)),
                _ => {}
            }
        }
        let (oldest, newest) = hello.versions;
        if oldest > VERSION || newest < VERSION {
            let theirs = if oldest == newest { newest.to_string() } else { format!("{oldest} to {newest}") };
            return Err(WireError::Version { ours: VERSION.to_string(), theirs, peer: hello.program });
        }
        Ok(hello)
    }
}

/// The bytes of a request, as they follow the asking side's hello.
pub fn encode_request(request: &Request) -> Vec<u8> {
    let (mut body, mut out) = (Vec::new(), Vec::new());
    request::encode(request, &mut body);
    put_block(&mut out, &body);
    out
}

/// Reads the request that follows the asking side's hello.
pub fn read_request(reader: &mut impl Read) -> Result<Request, WireError> {
    request::decode(read_block(reader, "request", REQUEST_LIMIT)?)
}

/// The bytes by which a process says that it has joined, or why it has not.
pub fn encode_joined(joined: Result<(), String>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut reason = joined.err().unwrap_or_default();
    reason.truncate(reason.floor_char_boundary(REFUSAL_LIMIT as usize));
    put_block(&mut out, reason.as_bytes());
    out
}

/// Reads whether a process has joined: nothing, or why it has not.
pub fn read_joined(reader: &mut impl Read) -> Result<Option<String>, WireError> {
    let reason = read_block(reader, "refusal", REFUSAL_LIMIT)?;
    Ok((!reason.is_empty()).then(|| Escaped(&reason).to_string()))
}

/// Writes a greeting in one piece.
pub fn write(writer: &mut impl Write, bytes: &[u8]) -> Result<(), WireError> {
    writer.write_all(bytes)?;
    Ok(writer.flush()?)
}

fn put_block(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
}

fn read_block(reader: &mut impl Read, what: &'static str, limit: u64) -> Result<Bytes, WireError> {
    let mut length = [0; 4];
    read_exact(reader, &mut length)?;
    let length = u32::from_le_bytes(length).into();
    if length > limit {
        return Err(WireError::TooLong { what, length, limit });
    }
    // Grows with what arrives, so a claimed length alone allocates nothing.
    let mut block = Vec::new();
    reader.take(length).read_to_end(&mut block)?;
    if block.len() as u64 != length { Err(WireError::Ended) } else { Ok(block.into()) }
}

/// Reads the magic. Anything else before it fails, with as much of it as helps to find who printed it.
fn expect_magic(reader: &mut impl Read) -> Result<(), WireError> {
    let mut seen: Vec<u8> = Vec::with_capacity(MAGIC.len());
    let mut byte = [0];
    while !seen.ends_with(&MAGIC) && seen.len() < NOISE_LIMIT {
        match reader.read(&mut byte) {
            Ok(0) if seen.is_empty() => return Err(WireError::Ended),
            Ok(0) => break,
            Ok(_) => seen.extend_from_slice(&byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    if seen == MAGIC { Ok(()) } else { Err(noise(&seen)) }
}

fn noise(seen: &[u8]) -> WireError {
    let text = seen.strip_suffix(&MAGIC).unwrap_or(seen);
    let shown = text.get(..NOISE_SHOWN).unwrap_or(text);
    WireError::Noise(String::from_utf8_lossy(shown).trim_end().to_owned())
}

fn read_exact(reader: &mut impl Read, buffer: &mut [u8]) -> Result<(), WireError> {
    reader.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => WireError::Ended,
        _ => WireError::Io(error),
    })
}
