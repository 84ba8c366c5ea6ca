//! Peers that do not keep to what was planned.

use super::*;
use crate::tree::{Buckets, Gid, Meta, Node, Uid};
use crate::wire::{Begin, Closed, DirId, Listing, ListingEnd, Mention};
use filetime::FileTime;

fn entry(name: &str, node: Node) -> Entry {
    let meta = Meta { mode: 0o644, mtime: FileTime::from_unix_time(1, 0), uid: Uid::ROOT, gid: Gid::ROOT };
    Entry::new(Name::new(name.as_bytes()).unwrap(), node, meta)
}

fn file(name: &str) -> Entry {
    entry(name, Node::File { size: 5 })
}

fn listing(dir: u32, parent: Option<(u32, u32)>, entries: Vec<Entry>) -> Message {
    Message::Listing(Listing {
        dir: DirId(dir),
        parent: parent.map(|(dir, index)| (DirId(dir), index)),
        same: Buckets::default(),
        same_entries: 0,
        entries,
        owners: Vec::new(),
        asked: Default::default(),
        end: Some(ListingEnd::Whole),
    })
}

fn begin() -> Message {
    Message::Begin(Begin { extra: None, root: None, single: false, bare: false, owners: Vec::new() })
}

/// What a sink with this plan says to such a source, until it has finished or the link closes; and what it returns.
fn told(plan: &Plan, at: &Path, heard: &Arc<Heard>, messages: Vec<Message>) -> (Vec<Message>, Played) {
    let (mut source, mut link) = Link::pair();
    let context = context(heard);
    in_time(stoppers(&source, &link), || {
        thread::scope(|scope| {
            let playing = scope.spawn(|| sink::run(&mut link, plan.goal(at), &context));
            for message in messages {
                if source.sender.send(message).is_err() {
                    break;
                }
            }
            let mut said = Vec::new();
            while let Ok(received) = source.receiver.receive() {
                let finished = matches!(received.message, Message::Finish(_));
                said.push(received.message);
                if finished {
                    source.sender.send(Message::Finish(Totals::default())).unwrap();
                    break;
                }
            }
            (said, playing.join().unwrap())
        })
    })
}

fn tree() -> tempfile::TempDir {
    let at = tempfile::tempdir().unwrap();
    put(at.path(), "dir/f", "old");
    put(at.path(), "wanted", "old");
    put(at.path(), "other", "old");
    at
}

#[test]
fn what_nobody_planned_is_not_asked_for() {
    let (at, heard) = (tree(), Arc::<Heard>::default());
    let before = files(at.path());
    let plan = Plan::new(&[("wanted", false), ("dir", false)]);
    let link = entry("wanted", Node::Symlink { target: (*b"/etc").into() });
    let (said, played) = told(
        &plan,
        at.path(),
        &heard,
        vec![
            begin(),
            // Of what was planned, one is no file by now.
            listing(
                0,
                None,
                vec![entry("dir", Node::Directory), entry("fifo", Node::Fifo), file("other"), link],
            ),
            listing(1, Some((0, 0)), vec![file("f"), file("new")]),
            Message::Listed,
        ],
    );
    assert!(
        matches!(said[..], [Message::Close(DirId(1)), Message::Close(DirId(0)), Message::Finish(_)]),
        "{said:?}"
    );
    assert_eq!(played.unwrap(), Totals::default());
    assert_eq!(files(at.path()), before);
    assert_eq!(heard.said(), [""; 0]);
}

#[test]
fn a_file_that_is_listed_as_a_directory_stays() {
    let (at, heard) = (tree(), Arc::<Heard>::default());
    let before = files(at.path());
    let plan = Plan::new(&[("wanted", false), ("wanted/f", true)]);
    let (said, played) = told(
        &plan,
        at.path(),
        &heard,
        vec![
            begin(),
            listing(0, None, vec![entry("wanted", Node::Directory)]),
            listing(1, Some((0, 0)), vec![file("f")]),
            Message::Listed,
        ],
    );
    assert!(
        matches!(said[..], [Message::Close(DirId(1)), Message::Close(DirId(0)), Message::Finish(_)]),
        "{said:?}"
    );
    assert_eq!(played.unwrap().failed, 1);
    assert_eq!(files(at.path()), before);
    assert_eq!(heard.said(), ["opening directory wanted"]);
}

#[test]
fn what_breaks_the_rules_ends_the_pass() {
    let staged = crate::fs::stage_name(&Name::new(*b"wanted").unwrap()).to_string();
    let mention = Message::Mention(Mention {
        acls: Vec::new(),
        dir: DirId(0),
        parent: None,
        fingerprint: None,
        owned_by: Vec::new(),
        owners: Vec::new(),
    });
    let talk = || Message::Talk((*b"now").to_vec().into());
    for messages in [
        vec![begin(), mention, Message::Listed],
        vec![talk()],
        vec![begin(), talk()],
        vec![begin(), listing(0, None, vec![entry(".dsync", Node::Directory)])],
        vec![begin(), listing(0, None, vec![file(&staged)])],
        vec![begin(), Message::Finish(Totals::default())],
    ] {
        let (at, heard) = (tree(), Arc::<Heard>::default());
        let before = files(at.path());
        let (said, played) = told(&Plan::new(&[("wanted", false)]), at.path(), &heard, messages);
        assert!(matches!(played, Err(PassError::Protocol(_))), "{played:?} {said:?}");
        assert!(matches!(said.last(), Some(Message::Abort(abort)) if abort.kind == AbortKind::Protocol));
        assert_eq!(files(at.path()), before);
    }
}

#[test]
fn a_source_does_not_talk_within_a_pass() {
    let (at, heard) = (tree(), Arc::<Heard>::default());
    let (mut link, mut sink) = Link::pair();
    let view = Plan::new(&[("wanted", false)]).view(at.path());
    sink.sender.send(Message::Talk((*b"now").to_vec().into())).unwrap();
    let played = source::run(&mut link, &view, &[], &context(&heard));
    assert!(matches!(played, Err(PassError::Protocol(_))), "{played:?}");
    let last = std::iter::from_fn(|| sink.receiver.receive().map(|received| received.message).ok()).last();
    assert!(matches!(last, Some(Message::Abort(_))), "{last:?}");
    assert_eq!(link.sender.send(Message::Listed), Err(Closed));
}
