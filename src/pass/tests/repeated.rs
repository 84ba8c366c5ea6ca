//! Passes one after the other on one link: each leaves it as it was.

use super::*;
use crate::wire::{DirId, FileId, Rank, Want};

/// Everything was received, and all credit is back: the next message is the other side's next, and as much can be sent
/// as at the beginning.
fn is_as_new(one: &mut Link, other: &mut Link) {
    for word in [&b"one"[..], b"two"] {
        one.sender.send(Message::Talk(word.into())).unwrap();
        let message = other.receiver.receive().unwrap().message;
        assert!(matches!(&message, Message::Talk(talk) if *talk == word), "{message:?}");
        other.sender.send(Message::Talk(word.into())).unwrap();
        let message = one.receiver.receive().unwrap().message;
        assert!(matches!(&message, Message::Talk(talk) if *talk == word), "{message:?}");
    }
    in_time(stoppers(one, other), || {
        for rank in Rank::CREDITED {
            for link in [&one, &other] {
                drop(link.sender.reserve(rank, u64::MAX).expect("the credit is not back"));
            }
        }
    });
}

fn all_of(at: &Path) -> View {
    let argument = at.join("").into_os_string().into_encoded_bytes();
    View::open(
        &[argument],
        None,
        &Options { recursive: true, ..Options::default() },
        crate::fs::Links::Trusted,
    )
    .unwrap()
    .0
}

/// Changes some of a tree in which there are many small files, and some large ones.
fn edit(at: &Path, name: &str, round: u64) {
    for number in 0..120 {
        put(at, &format!("{name}/small/{}/{number}", number % 7), format!("{number} in round {round}"));
    }
    for number in 0..3 {
        let file = format!("{name}/large/{number}");
        let mut content = fs::read(at.join(&file)).unwrap_or_else(|_| noise(1_500_000, number));
        let middle = content.len() / 2;
        content.splice(middle..middle, noise(1000, 100 + round));
        put(at, &file, &content);
    }
    put(at, &format!("{name}/new {round}"), noise(300_000, round));
}

fn repeated((mut left, mut right): (Link, Link), local: bool) {
    let (heard, at) = (Arc::<Heard>::default(), tempfile::tempdir().unwrap());
    let (one, other) = (at.path().join("one"), at.path().join("other"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&other).unwrap();
    let mut context = Context { local, ..context(&heard) };
    context.options.detail.progress = true;
    context.options.detail.changes = true;
    // Rounds follow each other within a second.
    context.options.ignore_times = true;
    for round in 0..3 {
        context.tell_progress = round % 2 == 0;
        edit(&one, "left", round);
        edit(&other, "right", round);
        let destination = |path: &Path| path.as_os_str().as_encoded_bytes().to_vec();
        let (read, written) =
            pass((&mut left, &mut right), &all_of(&one), Goal::Destination(&destination(&other)), &context);
        let totals = read.unwrap();
        assert_eq!(totals, written.unwrap());
        assert!(totals.failed == 0 && totals.transferred > 120, "{totals:?}");
        is_as_new(&mut left, &mut right);
        let (read, written) =
            pass((&mut right, &mut left), &all_of(&other), Goal::Destination(&destination(&one)), &context);
        assert_eq!(read.unwrap(), written.unwrap());
        is_as_new(&mut left, &mut right);
        assert_eq!(files(&one), files(&other));
    }
}

#[test]
fn forth_and_back_over_one_link() {
    repeated(Link::pair(), false);
    repeated(Link::pair(), true);
}

#[test]
fn forth_and_back_over_one_stream() {
    repeated(pumped(), false);
}

#[test]
fn planned_passes_follow_each_other() {
    for (local, (mut left, mut right)) in [(true, Link::pair()), (false, Link::pair()), (false, pumped())] {
        let (heard, at) = (Arc::<Heard>::default(), tempfile::tempdir().unwrap());
        let (one, other) = (at.path().join("one"), at.path().join("other"));
        let context = Context { local, ..context(&heard) };
        fs::create_dir(&other).unwrap();
        for round in 0..3 {
            edit(&one, "tree", round);
            for dir in ["tree/small/3", "tree/large"] {
                fs::create_dir_all(other.join(dir)).unwrap();
            }
            let small = (0..120).filter(|n| n % 7 == 3).map(|n| format!("tree/small/3/{n}"));
            let large = (0..3).map(|n| format!("tree/large/{n}"));
            let wanted: Vec<String> = small.chain(large).collect();
            let plan = Plan::new(&wanted.iter().map(|name| (name.as_str(), round == 0)).collect::<Vec<_>>());
            let (source, sink) = (&mut left, &mut right);
            let (read, written) = pass((source, sink), &plan.view(&one), plan.goal(&other), &context);
            assert_eq!(read.unwrap(), written.unwrap());
            is_as_new(&mut left, &mut right);
            let there = files(&other);
            assert_eq!(there.keys().cloned().collect::<Vec<_>>(), {
                let mut wanted = wanted.clone();
                wanted.sort();
                wanted
            });
            assert!(there.iter().all(|(name, content)| *content == fs::read(one.join(name)).unwrap()));
            // And nothing the other way.
            let none = Plan::default();
            let (read, written) =
                pass((&mut right, &mut left), &none.view(&other), none.goal(&one), &context);
            assert_eq!(read.unwrap().transferred, 0);
            written.unwrap();
            is_as_new(&mut left, &mut right);
        }
    }
}

/// It asks for more than there is credit for, and then is done without having listened.
#[test]
fn a_sink_that_does_not_care_any_more_keeps_nobody_waiting() {
    let (heard, at) = (Arc::<Heard>::default(), tempfile::tempdir().unwrap());
    let file = fs::File::create(at.path().join("huge")).unwrap();
    file.set_len(200 << 20).unwrap();
    let (mut link, mut sink) = Link::pair();
    let view = Plan::new(&[("huge", true)]).view(at.path());
    let context = context(&heard);
    let read = in_time(stoppers(&link, &sink), || {
        thread::scope(|scope| {
            let reading = scope.spawn(|| source::run(&mut link, &view, &[], &context));
            let mut held = Vec::new();
            loop {
                let received = sink.receiver.receive().unwrap();
                let listed = matches!(received.message, Message::Listed);
                held.push(received);
                if listed {
                    break;
                }
            }
            let want = Want { file: FileId(0), dir: DirId(0), index: 0, basis: None, refine: false, from: 0 };
            sink.sender.send(Message::Want(want)).unwrap();
            // Until there is no more credit.
            let mut bytes = 0;
            while bytes < 15 << 20 {
                let received = sink.receiver.receive().unwrap();
                bytes += received.message.cost();
                held.push(received);
            }
            sink.sender.send(Message::Close(DirId(0))).unwrap();
            sink.sender.send(Message::Finish(Totals::default())).unwrap();
            reading.join().unwrap()
        })
    });
    read.unwrap();
    assert!(!link.sender.is_stopped());
    while !matches!(sink.receiver.receive().unwrap().message, Message::Finish(_)) {}
}
