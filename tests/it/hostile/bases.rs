//! A basis that somebody changes after it was signed. What is installed has the file sum that the source told, or
//! nothing is.

use crate::hostile::peer::{Peer, content, file};
use crate::hostile::victim::{Role, Victim, Way};
use crate::support::scene::Scene;
use crate::support::tree::{Tree, noise};
use dsync::delta::{BlockLen, SegmentHasher, StrongKind, Sum, SumChoice};
use dsync::wire::{Again, ContentEnd, ContentOp, Message, Want};
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
    let scene = Scene::new().tree("to", &Tree::new().file("large", signed_content()));
    let (mut peer, victim) = Victim::start(&scene, Role::Sink, Way::Server, flags);
    peer.begin_with(vec![file("large", LEN)]);
    let want = peer.expect_signed();
    let block_len = want.basis.expect("there is a basis").block_len;
    change(&scene.path("to/large"));
    let all = ContentOp::Copy { offset: 0, len: LEN };
    peer.send(content(want.file, vec![all], end(&signed_content(), block_len)));
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
