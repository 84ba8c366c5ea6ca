//! A peer that says what it likes.

use dsync::tree::{Buckets, Entry, FINGERPRINT_LEN, Fingerprint, Gid, Meta, Name, Node, Owner, Uid};
use dsync::wire::frame::{FrameDecoder, FrameEncoder, HEADER};
use dsync::wire::hello::{self, Hello};
use dsync::wire::{
    Begin, Content, ContentEnd, ContentOp, DirId, Expand, Fetch, FileId, Listing, ListingEnd, Mention,
    Message, Rank, WINDOWS, Want,
};
use filetime::FileTime;
use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Write};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// One end of a connection. It keeps no account of credit.
pub(crate) struct Peer {
    writer: Box<dyn Write + Send>,
    encoder: FrameEncoder,
    arrived: Receiver<Message>,
    /// What came before it was asked for.
    early: VecDeque<Message>,
}

impl Peer {
    /// A peer that writes to `writer` and reads from what `open` opens, which may wait for the other end.
    /// `is_server` says that a request follows the other end's hello.
    pub(crate) fn new(
        writer: Box<dyn Write + Send>,
        open: impl FnOnce() -> Box<dyn Read + Send> + Send + 'static,
        is_server: bool,
    ) -> Peer {
        let (sender, arrived) = mpsc::channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(open());
            // An end of any kind shows as the end of the channel.
            let _ = read(&mut reader, is_server, |message| drop(sender.send(message)));
        });
        let early = VecDeque::new();
        Peer { writer, encoder: FrameEncoder::new(None).unwrap(), arrived, early }
    }

    /// Writes bytes as they are. The other end may have gone already, which its exit code will tell.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let _ = self.writer.write_all(bytes).and_then(|()| self.writer.flush());
    }

    /// Sends messages made by hand, in one frame that is not compressed.
    pub(crate) fn payload(&mut self, payload: &[u8]) {
        self.frame(0, payload);
    }

    /// Sends messages made by hand that go with content, in one frame that is not compressed.
    pub(crate) fn content_payload(&mut self, payload: &[u8]) {
        self.frame(2, payload);
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) {
        let len = u32::try_from(payload.len()).unwrap().to_le_bytes();
        self.raw(&[&[kind], &len[..], payload].concat());
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, message: Message) {
        self.send_all([message]);
    }

    /// Sends messages in as few frames as they fit in.
    pub(crate) fn send_all(&mut self, messages: impl IntoIterator<Item = Message>) {
        let (mut messages, mut out) = (messages.into_iter().collect::<VecDeque<_>>(), Vec::new());
        while !messages.is_empty() {
            self.encoder.frame(&mut messages, &mut out).unwrap();
        }
        self.raw(&out);
    }

    /// Waits for a message that `wanted` takes, letting others pass.
    #[track_caller]
    pub(crate) fn expect<T>(&mut self, what: &str, wanted: impl Fn(&Message) -> Option<T>) -> T {
        loop {
            let early = self.early.pop_front().map(Ok);
            match early.unwrap_or_else(|| self.arrived.recv_timeout(Duration::from_secs(10))) {
                Ok(message) => {
                    if let Some(found) = wanted(&message) {
                        return found;
                    }
                }
                Err(error) => panic!("waiting for {what}: {error}"),
            }
        }
    }

    /// The next message; `None` if the other end has ended.
    pub(crate) fn next(&mut self) -> Option<Message> {
        self.early.pop_front().or_else(|| self.arrived.recv_timeout(Duration::from_secs(10)).ok())
    }

    /// Sends listings as fast as credit for them comes back, of which half is always left. Returns what else arrives.
    pub(crate) fn list(&mut self, listings: impl IntoIterator<Item = Message>) -> Vec<Message> {
        let (mut owed, mut arrived) = (0_u64, Vec::new());
        for message in listings {
            owed += message.cost();
            self.send(message);
            while owed > u64::from(WINDOWS.listing) / 2 {
                match self.next() {
                    Some(Message::Credit { rank: Rank::Listing, bytes }) => owed = owed.saturating_sub(bytes),
                    Some(Message::Abort(_)) | None => return arrived,
                    Some(other) => arrived.push(other),
                }
            }
        }
        arrived
    }

    /// Begins a transfer of the contents of a directory.
    pub(crate) fn begin(&mut self) {
        self.send(Message::Begin(Begin {
            extra: None,
            root: Some(meta(0o755)),
            single: false,
            bare: false,
            owners: Vec::new(),
        }));
    }

    /// Begins, and lists a root with these entries and no more.
    pub(crate) fn begin_with(&mut self, entries: Vec<Entry>) {
        self.begin();
        self.send(listing(0, None, entries, true));
    }

    /// Waits for a request for content.
    pub(crate) fn expect_want(&mut self) -> Want {
        self.expect("a want", |message| match message {
            Message::Want(want) => Some(want.clone()),
            _ => None,
        })
    }

    /// Waits for a request for a batch.
    pub(crate) fn expect_fetch(&mut self) -> Fetch {
        self.expect("a request for a batch", |message| match message {
            Message::Fetch(fetch) => Some(fetch.clone()),
            _ => None,
        })
    }

    /// Waits for a request for content, and for all block sums that belong to it.
    pub(crate) fn expect_signed(&mut self) -> Want {
        let want = self.expect_want();
        let mut missing = want.basis.map_or(0, |header| header.block_count());
        // Files are signed by several threads, so something about another may come between.
        let mut early = VecDeque::new();
        while missing > 0 {
            match self.next().expect("sums") {
                Message::Sums(part) if part.file == want.file => missing -= part.weak.len() as u64,
                other => early.push_back(other),
            }
        }
        early.append(&mut self.early);
        self.early = early;
        want
    }

    /// Asks the other end to list everything, and waits until it has listed its root.
    pub(crate) fn expect_root(&mut self) -> Vec<Entry> {
        self.expect("the mention of the root", |message| match message {
            Message::Mention(mention) => (mention.dir.0 == 0).then_some(()),
            _ => None,
        });
        self.send(Message::Expand(Expand { dir: DirId(0), below: true, sums: Vec::new() }));
        self.expect("the root's listing", root_entries)
    }
}

/// The entries, if this is the listing of the root.
pub(crate) fn root_entries(message: &Message) -> Option<Vec<Entry>> {
    match message {
        Message::Listing(listing) if listing.dir.0 == 0 => Some(listing.entries.clone()),
        _ => None,
    }
}

fn read(reader: &mut impl Read, is_server: bool, mut each: impl FnMut(Message)) -> io::Result<()> {
    Hello::read(reader).map_err(io::Error::other)?;
    if is_server {
        hello::read_request(reader).map_err(io::Error::other)?;
    }
    let mut decoder = FrameDecoder::new()?;
    loop {
        let mut header = [0; HEADER];
        reader.read_exact(&mut header)?;
        let mut payload = vec![0; FrameDecoder::payload_len(header).map_err(io::Error::other)?];
        reader.read_exact(&mut payload)?;
        decoder.messages(header, payload, |message, _| each(message)).map_err(io::Error::other)?;
    }
}

pub(crate) fn meta(mode: u32) -> Meta {
    Meta { mode, mtime: FileTime::from_unix_time(1_700_000_000, 0), uid: Uid::ROOT, gid: Gid::ROOT }
}

pub(crate) fn file(name: &str, size: u64) -> Entry {
    Entry::new(Name::new(name.as_bytes()).unwrap(), Node::File { size }, meta(0o644))
}

pub(crate) fn directory(name: &str) -> Entry {
    Entry::new(Name::new(name.as_bytes()).unwrap(), Node::Directory, meta(0o755))
}

/// A directory with a fingerprint that is no directory's.
pub(crate) fn mention(dir: u32, parent: Option<(u32, u32)>) -> Message {
    Message::Mention(Mention {
        acls: Vec::new(),
        dir: DirId(dir),
        parent: parent.map(|(dir, index)| (DirId(dir), index)),
        fingerprint: Some(Fingerprint([7; FINGERPRINT_LEN])),
        owned_by: vec![Owner { uid: Uid::ROOT, gid: Gid::ROOT }],
        owners: Vec::new(),
    })
}

/// A part of a listing; the last one if `end`, and then complete.
pub(crate) fn listing(dir: u32, parent: Option<(u32, u32)>, entries: Vec<Entry>, end: bool) -> Message {
    Message::Listing(Listing {
        dir: DirId(dir),
        parent: parent.map(|(dir, index)| (DirId(dir), index)),
        same: Buckets::default(),
        same_entries: 0,
        entries,
        owners: Vec::new(),
        asked: Default::default(),
        end: end.then_some(ListingEnd::Whole),
    })
}

pub(crate) fn content(file: FileId, ops: Vec<ContentOp>, end: Option<ContentEnd>) -> Message {
    Message::Content(Content { attached: Default::default(), file, ops, end, packed: false })
}

/// LEB128, as on the wire.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A listing of the root with names as they are, all of them empty files.
pub(crate) fn raw_listing(names: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![2, 2, 0, 0];
    out.extend(varint(names.len() as u64));
    for name in names {
        // Mode, owner and time as before; no byte of the name before.
        out.extend([0x38, 0]);
        out.extend(varint(name.len() as u64));
        out.extend_from_slice(name);
        out.push(0);
    }
    out
}
