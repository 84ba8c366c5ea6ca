//! Ranks of messages, and the credit each has.
//!
//! Two ends that both wait for the other to read is the classic failure of every tool of this kind. It is kept out
//! by two rules. A sender spends credit before it sends, and gets it back when the receiver is *done* with the
//! message; so a receiver's reading thread never has to stop, because what it has accepted is bounded by what it
//! granted. And ranks are ordered: whoever handles a message may, while handling it, wait only for credit of a
//! higher rank. `Settled` needs no credit at all, so the chain always ends.

/// What a message costs the receiver to hold, in order: handling one may wait for a later one, never the reverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// Listings of the source.
    Listing,
    /// Requests for content, with signatures.
    Want,
    /// Content, and whatever else answers a request.
    Content,
    /// Requests to send parts of a content again.
    Again,
    /// Outcomes, events and credit: handled where they are read, never held.
    Settled,
}

impl Rank {
    /// Those that cost credit.
    pub const CREDITED: [Rank; 4] = [Rank::Listing, Rank::Want, Rank::Content, Rank::Again];

    /// The place of a rank in [`Rank::CREDITED`]; `None` for `Settled`.
    pub fn credited(self) -> Option<usize> {
        Rank::CREDITED.iter().position(|rank| *rank == self)
    }
}

/// How many bytes of each rank a side accepts without having handled them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Listings.
    pub listing: u32,
    /// Wants. Holds at least one signature of the largest size.
    pub want: u32,
    /// Content: what a long path keeps in flight.
    pub content: u32,
    /// Requests to send again.
    pub again: u32,
}

/// The windows of protocol version 1. They are part of the version, so that the asking side can start to send before
/// it has heard from the peer.
pub const WINDOWS: Windows = Windows { listing: 1 << 20, want: 32 << 20, content: 16 << 20, again: 4 << 20 };

/// How many gaps a source may have open at a time, over all files, in version 1. They cost no credit, but memory at
/// both ends until they are filled.
pub const OPEN_GAPS: usize = 1 << 18;

impl Windows {
    /// The window of `rank`; rank `Settled` has none.
    pub fn of(&self, rank: Rank) -> u64 {
        u64::from(match rank {
            Rank::Listing => self.listing,
            Rank::Want => self.want,
            Rank::Content => self.content,
            Rank::Again => self.again,
            Rank::Settled => 0,
        })
    }

    /// The most credit of `rank` that a message or a reservation takes: what its sender is sure to have once nothing
    /// of the rank is under way. The rest of the window may stay with the receiver, which returns credit in gulps of
    /// [`Windows::gulp`].
    pub(crate) fn most(&self, rank: Rank) -> u64 {
        self.of(rank) - self.gulp(rank)
    }

    /// How much is returned at once: little enough that the sender always has most of the window.
    pub(crate) fn gulp(&self, rank: Rank) -> u64 {
        self.of(rank) / 16
    }
}
