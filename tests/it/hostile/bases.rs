//! A basis that somebody changes after it was signed. What is installed has the file sum that the source told, or
//! nothing is.

use crate::faults::wait_for;
use crate::hostile::peer::{Peer, content, file};
use crate::hostile::victim::{Role, Victim, Way};
use crate::support::scene::Scene;
use crate::support::tree::{Tree, noise};
use dsync::delta::{BlockLen, SegmentHasher, SignatureHeader, StrongKind, StrongLen, Sum, SumChoice};
use dsync::wire::{Again, ContentEnd, ContentOp, DirId, FileId, Message, SumsPart, Want};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

const LEN: u64 = 3 << 20;
/// The seed that a peer's greeting has.
const SUMS: SumChoice = SumChoice { kind: StrongKind::Xxh3, seed: 1 };

fn signed_content() -> Vec<u8> {
    noise(LEN as usize, 7)
}

/// The end of a file with this content.
fn end(content: &[u8], segment_len: BlockLen) -> Option<ContentEnd> {
    let mut hasher = SegmentHasher::new(SUMS, segment_len);
    hasher.push(content);
    let sums = hasher.finish();
    Some(ContentEnd::Complete { len: sums.len(), sum: sums.root(SUMS) })
}

/// Lets the sink sign a file that it has already, and then changes it by `change`; says that its content is as it was,
/// and lets `go_on` answer. Returns the exit code and what is there in the end.
fn changed(
    flags: &[&str],
    change: impl FnOnce(&Path),
    go_on: impl FnOnce(&mut Peer, &Want, BlockLen),
) -> (Option<i32>, Vec<u8>) {
    changed_and_cut(flags, LEN, change, go_on)
}

/// The same where the source says that of the content only the first `len` bytes are left.
fn changed_and_cut(
    flags: &[&str],
    len: u64,
    change: impl FnOnce(&Path),
    go_on: impl FnOnce(&mut Peer, &Want, BlockLen),
) -> (Option<i32>, Vec<u8>) {
    let scene = Scene::new().tree("to", &Tree::new().file("large", signed_content()));
    let (mut peer, victim) = Victim::start(&scene, Role::Sink, Way::Server, flags);
    peer.begin_with(vec![file("large", LEN)]);
    let want = peer.expect_signed();
    let block_len = want.basis.expect("there is a basis").block_len;
    change(&scene.path("to/large"));
    let left = ContentOp::Copy { offset: 0, len };
    peer.send(content(want.file, vec![left], end(&signed_content()[..len as usize], block_len)));
    go_on(&mut peer, &want, block_len);
    peer.send(Message::Listed);
    peer.expect("the sink's end", |message| matches!(message, Message::Finish(_)).then_some(()));
    peer.send(Message::Finish(Default::default()));
    let outcome = victim.finish();
    outcome.assert_orderly("a changed basis");
    (outcome.code, scene.read("to/large"))
}

fn overwrite(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(b"changed", 2 << 20).unwrap();
}

fn cut(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(LEN / 2).unwrap();
}

fn expect_again(peer: &mut Peer) -> Again {
    peer.expect("that it does not verify", |message| match message {
        Message::Again(again) => Some(again.clone()),
        _ => None,
    })
}

#[test]
fn a_staged_copy_is_what_was_signed() {
    for change in [overwrite, cut, |path: &Path| std::fs::remove_file(path).unwrap()] {
        let (code, there) = changed(&["-r", "-t"], change, |_, _, _| {});
        assert_eq!(code, Some(0));
        assert!(there == signed_content());
    }
}

#[test]
fn in_place_a_change_is_noticed_and_repaired() {
    let (code, there) = changed(&["-r", "-t", "--inplace"], overwrite, |peer, want, block_len| {
        let (again, right) = (expect_again(peer), signed_content());
        assert_eq!(again.segment_len, block_len);
        let len = block_len.get() as usize;
        let sums: Vec<Sum> = right.chunks(len).map(|segment| SUMS.sum(segment)).collect();
        let differ: Vec<usize> = (0..sums.len()).filter(|n| sums[*n] != again.segments[*n]).collect();
        assert_eq!(differ, [(2 << 20) / len]);
        let at = differ[0] * len;
        let data = right[at..at + len].to_vec().into();
        let rewrite = ContentOp::Rewrite { offset: at as u64, data };
        peer.send(content(want.file, vec![rewrite], end(&right, block_len)));
    });
    assert_eq!(code, Some(0));
    assert!(there == signed_content());
}

#[test]
fn in_place_a_loss_is_noticed() {
    let (code, there) = changed(&["-r", "-t", "--inplace"], cut, |peer, want, _| {
        expect_again(peer);
        peer.send(content(want.file, vec![], Some(ContentEnd::Unreadable)));
    });
    assert_eq!(code, Some(0));
    assert_eq!(there.len() as u64, LEN / 2);
}

/// Once this run has written to the file itself, its times tell nothing of what others do.
#[test]
fn in_place_a_loss_is_noticed_after_something_was_written() {
    let scene = Scene::new().tree("to", &Tree::new().file("large", signed_content()));
    let (mut peer, victim) = Victim::start(&scene, Role::Sink, Way::Server, &["-r", "-t", "--inplace"]);
    peer.begin_with(vec![file("large", LEN)]);
    let want = peer.expect_signed();
    let block_len = want.basis.expect("there is a basis").block_len;
    let mut new = signed_content();
    let first = &mut new[..block_len.get() as usize];
    first.fill(b'x');
    peer.send(content(want.file, vec![ContentOp::Literal(first.to_vec().into())], None));
    wait_for("the first block", || scene.read("to/large").first() == Some(&b'x'));
    cut(&scene.path("to/large"));
    let offset = u64::from(block_len.get());
    let rest = ContentOp::Copy { offset, len: LEN - offset };
    peer.send(content(want.file, vec![rest], end(&new, block_len)));
    expect_again(&mut peer);
    peer.send(content(want.file, vec![], Some(ContentEnd::Unreadable)));
    peer.send(Message::Listed);
    peer.expect("the sink's end", |message| matches!(message, Message::Finish(_)).then_some(()));
    peer.send(Message::Finish(Default::default()));
    victim.finish().assert_orderly("a basis cut off meanwhile");
}

/// The source's file became shorter after it was listed. All that is told of it is there already.
#[test]
fn a_basis_that_is_longer_is_cut() {
    for flags in [&["-r", "-t"][..], &["-r", "-t", "--inplace"]] {
        let (code, there) = changed_and_cut(flags, 2 << 20, |_| {}, |_, _, _| {});
        assert_eq!(code, Some(0), "{flags:?}");
        assert_eq!(there.len(), 2 << 20, "{flags:?}");
        assert!(there == signed_content()[..2 << 20], "{flags:?}");
    }
}

fn want(file: u32, basis: Option<SignatureHeader>) -> Message {
    let refine = basis.is_some();
    Message::Want(Want { file: FileId(file), dir: DirId(0), index: 0, basis, refine, from: 0 })
}

fn header(block_len: u64) -> SignatureHeader {
    let (block_len, strong_len) = (BlockLen::new(block_len).unwrap(), StrongLen::new(2).unwrap());
    SignatureHeader { basis_len: 1, block_len, strong_len }
}

/// A sink that asks for large files and never sends the sums of what it has makes the source sum only so many ahead.
#[test]
fn sums_are_not_kept_for_a_sink_that_sends_none() {
    let scene = Scene::new().tree("source", &Tree::new().file("large", ""));
    OpenOptions::new().write(true).open(scene.path("source/large")).unwrap().set_len(128 << 20).unwrap();
    let (mut peer, victim) = Victim::start(&scene, Role::Source, Way::Server, &["-r"]);
    peer.expect_root();
    peer.send_all((0..255).map(|file| want(file, Some(header(4096)))));
    // Its turn comes when that is done.
    peer.send(want(255, None));
    peer.expect("content", |message| matches!(message, Message::Content(_)).then_some(()));
    let peak = victim.peak_memory();
    assert!(peak < 64 << 10, "{peak} KiB");
}

/// The sums of its segments would take more and more memory.
#[test]
fn a_file_that_has_grown_beyond_measure_is_given_up() {
    let scene = Scene::new().tree("source", &Tree::new().file("large", noise(4 << 20, 7)));
    let (mut peer, victim) = Victim::start(&scene, Role::Source, Way::Server, &["-r"]);
    peer.expect_root();
    OpenOptions::new().write(true).open(scene.path("source/large")).unwrap().set_len(600 << 20).unwrap();
    let strong = vec![0; 2].into();
    peer.send_all([
        want(0, Some(header(4096))),
        Message::Sums(SumsPart { file: FileId(0), weak: vec![0], strong }),
    ]);
    let end = peer.expect("the end of its content", |message| match message {
        Message::Content(content) => Some(content.end),
        _ => None,
    });
    assert_eq!(end, Some(ContentEnd::Unreadable));
    drop((peer, victim));
}

#[test]
fn blocks_too_short_to_be_refined_are_refused() {
    let scene = Scene::new().tree("source", &Tree::new().file("large", noise(1 << 20, 7)));
    let (mut peer, victim) = Victim::start(&scene, Role::Source, Way::Server, &["-r"]);
    peer.expect_root();
    peer.send(want(0, Some(header(4095))));
    let outcome = victim.finish();
    assert_eq!(outcome.code, Some(2), "{outcome}");
}
