//! The reporter of a peer: sends events to the side that has a user.

use crate::report::{Event, Reporter};
use crate::wire::{Message, Sender};

pub(super) struct Forward {
    pub sender: Sender,
}

impl Reporter for Forward {
    fn report(&self, event: Event) {
        // A closed link is noticed by those who need it.
        let _ = self.sender.send(Message::Event(event));
    }
}
