//! What two roles say to each other before a pass begins, or in the place of one: some bytes, which mean what the two
//! have agreed on.

use crate::pass::PassError;
use crate::report::Reporter;
use crate::session::{Failure, FailureKind};
use crate::wire::{Abort, AbortKind, Closed, Link, Message, Received};
use bytes::Bytes;

/// The most that is said at once, in bytes.
pub(super) const LIMIT: u64 = 1 << 30;

/// How much of it goes in one message.
const PART: usize = 64 << 10;

/// Says something to the other side.
///
/// # Errors
/// The link is closed.
pub(super) fn say(link: &mut Link, bytes: &[u8]) -> Result<(), PassError> {
    for part in bytes.chunks(PART).chain([&[][..]]) {
        let part = Bytes::copy_from_slice(part);
        while !link.sender.send_now(Message::Talk(part.clone()))? {
            link.receiver.book()?;
        }
    }
    Ok(())
}

/// Waits for what the other side says. Events that come before go to `reporter`.
///
/// # Errors
/// The link is closed, or the other side gives up, says more than [`LIMIT`], or something else.
pub(super) fn hear(link: &mut Link, reporter: &dyn Reporter) -> Result<Vec<u8>, PassError> {
    let mut bytes = Vec::new();
    loop {
        let Received { message, permit: _permit } =
            link.receiver.receive().map_err(|Closed| PassError::Lost)?;
        match message {
            Message::Talk(part) if part.is_empty() => return Ok(bytes),
            Message::Talk(part) => {
                bytes.extend_from_slice(&part);
                if bytes.len() as u64 > LIMIT {
                    return Err(PassError::Protocol("what is said before a pass is too long"));
                }
            }
            Message::Event(event) => reporter.report(event),
            Message::Abort(abort) => return Err(PassError::Peer(abort)),
            Message::Alive | Message::Credit { .. } | Message::Invite(_) | Message::Spread(_) => {}
            _ => return Err(PassError::Protocol("a pass begins before everything was said")),
        }
    }
}

/// Tells the other side that nothing is going to be said, and leaves.
pub(super) fn give_up(link: &Link, failure: &Failure) {
    let kind = match failure.kind() {
        FailureKind::FilesSelection => AbortKind::Selection,
        FailureKind::Usage => AbortKind::Usage,
        _ => AbortKind::Failed,
    };
    let abort = Abort { text: failure.to_string(), kind };
    // If the link is closed, nobody is left to be told.
    let _ = link.sender.send(Message::Abort(abort));
    link.sender.stopper().stop();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Event;

    struct Deaf;

    impl Reporter for Deaf {
        fn report(&self, _: Event) {}
    }

    #[test]
    fn what_is_said_arrives() {
        let (mut here, mut there) = Link::pair();
        let list: Vec<u8> = (0..30_000).flat_map(|n| format!("name {n}\0").into_bytes()).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| say(&mut here, &list).unwrap());
            assert!(hear(&mut there, &Deaf).unwrap() == list);
        });
        say(&mut here, b"").unwrap();
        assert_eq!(hear(&mut there, &Deaf).unwrap(), b"");
    }
}
