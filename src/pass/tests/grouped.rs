//! Names that are one file at the source, as a sink hears of them from a source that says what it likes.

use super::*;
use crate::tree::{Asked, Buckets, Gid, Group, Meta, Node, Uid};
use crate::wire::{BatchId, Begin, DirId, Fetched, FetchedFile, Listing, ListingEnd};
use bytes::Bytes;
use filetime::FileTime;
use std::os::unix::fs::MetadataExt;

/// A file of five bytes with this number.
fn named(name: &str, number: u32, last: bool) -> Entry {
    entry(name, Node::File { size: 5 }, number, last)
}

fn entry(name: &str, node: Node, number: u32, last: bool) -> Entry {
    let meta = Meta { mode: 0o644, mtime: FileTime::from_unix_time(1, 0), uid: Uid::ROOT, gid: Gid::ROOT };
    let mut entry = Entry::new(Name::new(name.as_bytes()).unwrap(), node, meta);
    entry.extra_mut().group = Some(Group { number, last });
    entry
}

/// What becomes of these entries at `at`, from a source that has only what `has` says; and how many files it was asked
/// for.
fn copied(at: &Path, heard: &Arc<Heard>, entries: Vec<Entry>, has: impl Fn(u32) -> bool) -> (Played, usize) {
    let (mut source, mut link) = Link::pair();
    let mut context = context(heard);
    (context.options.hard_links, context.options.links) = (true, true);
    context.options.detail.changes = true;
    let destination = at.as_os_str().as_encoded_bytes();
    in_time(stoppers(&source, &link), || {
        thread::scope(|scope| {
            let playing = scope.spawn(|| sink::run(&mut link, Goal::Destination(destination), &context));
            let listing = Listing {
                dir: DirId(0),
                parent: None,
                same: Buckets::default(),
                same_entries: 0,
                entries,
                owners: Vec::new(),
                asked: Asked::default(),
                end: Some(ListingEnd::Whole),
            };
            let begin = Begin { root: None, extra: None, single: false, bare: false, owners: Vec::new() };
            for message in [Message::Begin(begin), Message::Listing(listing), Message::Listed] {
                source.sender.send(message).unwrap();
            }
            let mut asked = 0;
            while let Ok(received) = source.receiver.receive() {
                let mut send = |batch: BatchId, indices: Vec<u32>| {
                    asked += indices.len();
                    let whole = FetchedFile::Whole { len: 5, sum: None, attached: 0 };
                    let of = |index: &u32| if has(*index) { whole } else { FetchedFile::Unreadable };
                    let files: Vec<FetchedFile> = indices.iter().map(of).collect();
                    let data =
                        Bytes::from(b"bytes".repeat(files.iter().filter(|file| **file == whole).count()));
                    source
                        .sender
                        .send(Message::Fetched(Fetched { batch, files, data, packed: false }))
                        .unwrap();
                };
                match received.message {
                    Message::Fetch(fetch) => send(fetch.batch, fetch.indices),
                    Message::Finish(_) => {
                        source.sender.send(Message::Finish(Totals::default())).unwrap();
                        break;
                    }
                    _ => {}
                }
            }
            (playing.join().unwrap(), asked)
        })
    })
}

fn inode(at: &Path, name: &str) -> u64 {
    fs::symlink_metadata(at.join(name)).unwrap().ino()
}

#[test]
fn a_name_takes_the_place_of_one_whose_content_is_not_to_be_had() {
    let (at, heard) = (tempfile::tempdir().unwrap(), Arc::<Heard>::default());
    let at = at.path();
    let entries = ["a", "b", "c", "d", "e"].iter().map(|name| named(name, 7, *name == "e")).collect();
    let (played, asked) = copied(at, &heard, entries, |index| index >= 2);
    assert_eq!(played.unwrap().transferred, 1);
    assert_eq!(asked, 3);
    assert_eq!(files(at).into_keys().collect::<Vec<_>>(), ["c", "d", "e"]);
    assert!(["d", "e"].iter().all(|name| inode(at, name) == inode(at, "c")));
    assert_eq!(fs::read(at.join("e")).unwrap(), b"bytes");
}

#[test]
fn if_none_can_be_had_the_run_ends() {
    let (at, heard) = (tempfile::tempdir().unwrap(), Arc::<Heard>::default());
    let entries = ["a", "b", "c"].iter().map(|name| named(name, 7, *name == "c")).collect();
    let (played, asked) = copied(at.path(), &heard, entries, |_| false);
    assert_eq!(played.unwrap().transferred, 0);
    assert_eq!(asked, 3);
    assert_eq!(files(at.path()).len(), 0);
}

/// Names are nothing but numbers to a sink, so whatever numbers come, each name becomes what was listed under it.
#[test]
fn senseless_numbers_do_no_harm() {
    let (at, heard) = (tempfile::tempdir().unwrap(), Arc::<Heard>::default());
    let at = at.path();
    let link = Node::Symlink { target: (*b"/etc/passwd").into() };
    let entries = vec![
        named("a", u32::MAX, true),
        named("b", u32::MAX, true),
        entry("c", link.clone(), 3, false),
        named("d", 3, false),
        named("e", 3, true),
        entry("f", link, 3, false),
        named("g", 3, false),
    ];
    let (played, _) = copied(at, &heard, entries, |_| true);
    assert_eq!(played.unwrap().failed, 0);
    for name in ["a", "b", "d", "e", "g"] {
        assert_eq!(fs::read(at.join(name)).unwrap(), b"bytes", "{name}");
        assert!(!at.join(name).is_symlink(), "{name}");
    }
    for name in ["c", "f"] {
        assert!(at.join(name).is_symlink(), "{name}");
    }
}

/// More names than may wait at once, of a file that is under way.
#[test]
fn names_that_wait_are_limited() {
    let (at, heard) = (tempfile::tempdir().unwrap(), Arc::<Heard>::default());
    let names: Vec<String> = (0..20_000).map(|n| format!("{n:05}")).collect();
    let entries = names.iter().map(|name| named(name, 1, false)).collect();
    let (played, asked) = copied(at.path(), &heard, entries, |_| true);
    assert_eq!(played.unwrap().failed, 0);
    assert_eq!(asked, 1);
    assert!(names.iter().all(|name| inode(at.path(), name) == inode(at.path(), "00000")));
}
