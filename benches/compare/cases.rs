//! What is compared: a table of cases.
//!
//! A case is two states of a tree. The source holds one, the destination starts from the other, and the tools have to
//! bring the destination to the source's. All of it is data; `contents` makes the trees, `limit` the commands that
//! show what the machine could do at best.

/// Which of the runs a case belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Several timed pairs.
    Speed,
    /// One pair; what matters is the peak of resident memory, which has a bound.
    Memory,
}

/// Where the two trees are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Mode {
    /// The source is local, the destination behind sshd.
    Push,
    /// The source is behind sshd, the destination local.
    Pull,
    /// Both are local paths.
    Local,
}

impl Mode {
    /// The word the table prints.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Local => "local",
        }
    }
}

/// The bytes of the one large file.
#[derive(Clone, Copy)]
pub(crate) enum Bytes {
    /// Noise, which neither compresses nor repeats.
    Noise,
    /// The noise with 100 stretches of 37 bytes overwritten, scattered.
    Edited,
    /// The noise with one insertion at a third and one deletion at two thirds of it.
    Shifted,
    /// Zeros.
    Zeros,
    /// Zeros but for one byte in the middle.
    ZerosButOne,
    /// One block of noise, again and again.
    Repeated,
    /// The same, begun at an odd place in the block, so that every block boundary is elsewhere.
    RepeatedShifted,
}

/// One part of a tree.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// One large file of `Scale::file_bytes`.
    File(Bytes),
    /// Small files (200 B to 8 kB), 100 in a directory; of every 100, `changed` have another content, size and time.
    SmallFiles {
        /// How many files, before scaling.
        count: u64,
        /// How many of each 100 differ from the state with 0.
        changed: u64,
    },
    /// Empty files, evenly in directories.
    EmptyFiles {
        /// How many directories, before scaling.
        directories: u64,
        /// How many files in each.
        in_each: u64,
    },
}

/// The command that shows what the machine can do at best for a case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The bytes of one file through ssh, or `cp -a`.
    Stream,
    /// A whole tree through ssh as an archive, or `cp -a`.
    Archive,
    /// A `stat` of everything on both sides.
    Stat,
    /// Nothing comparable exists.
    None,
}

/// One piece of work both tools have to do.
pub(crate) struct Case {
    /// What the table and `--case` call it.
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    pub(crate) modes: &'static [Mode],
    pub(crate) source: &'static [Part],
    /// What the destination holds before each run.
    pub(crate) destination: &'static [Part],
    pub(crate) limit: Limit,
    /// What dsync moves on the wire, both directions together, must be below this, in bytes.
    pub(crate) wire_bound: Option<u64>,
}

const EVERYWHERE: &[Mode] = &[Mode::Push, Mode::Pull, Mode::Local];
const OVER_SSH: &[Mode] = &[Mode::Push, Mode::Pull];
const FEW_SMALL: Part = Part::SmallFiles { count: 10_000, changed: 0 };
const SMALL: Part = Part::SmallFiles { count: 50_000, changed: 0 };
const MILLION: Part = Part::EmptyFiles { directories: 20_000, in_each: 50 };
const ONE_DIRECTORY: Part = Part::EmptyFiles { directories: 1, in_each: 100_000 };

/// Every case there is, in the order of the table.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "1 GiB new",
        group: Group::Speed,
        modes: EVERYWHERE,
        source: &[Part::File(Bytes::Noise)],
        destination: &[],
        limit: Limit::Stream,
        wire_bound: None,
    },
    Case {
        name: "1 GiB, 100 edits",
        group: Group::Speed,
        modes: EVERYWHERE,
        source: &[Part::File(Bytes::Edited)],
        destination: &[Part::File(Bytes::Noise)],
        limit: Limit::None,
        wire_bound: Some(4_000_000),
    },
    Case {
        name: "1 GiB shifted",
        group: Group::Speed,
        modes: EVERYWHERE,
        source: &[Part::File(Bytes::Shifted)],
        destination: &[Part::File(Bytes::Noise)],
        limit: Limit::None,
        wire_bound: None,
    },
    Case {
        name: "50,000 small files new",
        group: Group::Speed,
        modes: EVERYWHERE,
        source: &[SMALL],
        destination: &[],
        limit: Limit::Archive,
        wire_bound: None,
    },
    Case {
        name: "50,000 small files unchanged",
        group: Group::Speed,
        modes: EVERYWHERE,
        source: &[SMALL],
        destination: &[SMALL],
        limit: Limit::Stat,
        wire_bound: None,
    },
    Case {
        name: "50,000 small files, 1 % changed",
        group: Group::Speed,
        modes: EVERYWHERE,
        source: &[Part::SmallFiles { count: 50_000, changed: 1 }],
        destination: &[SMALL],
        limit: Limit::Stat,
        wire_bound: None,
    },
    Case {
        name: "1 GiB of zeros, one byte changed",
        group: Group::Speed,
        modes: OVER_SSH,
        source: &[Part::File(Bytes::ZerosButOne)],
        destination: &[Part::File(Bytes::Zeros)],
        limit: Limit::None,
        wire_bound: None,
    },
    Case {
        name: "1 GiB of one block, odd shift",
        group: Group::Speed,
        modes: OVER_SSH,
        source: &[Part::File(Bytes::RepeatedShifted)],
        destination: &[Part::File(Bytes::Repeated)],
        limit: Limit::None,
        wire_bound: None,
    },
    Case {
        name: "1,000,000 empty files new",
        group: Group::Memory,
        modes: OVER_SSH,
        source: &[MILLION],
        destination: &[],
        limit: Limit::None,
        wire_bound: None,
    },
    Case {
        name: "1,000,000 empty files unchanged",
        group: Group::Memory,
        modes: OVER_SSH,
        source: &[MILLION],
        destination: &[MILLION],
        limit: Limit::None,
        wire_bound: None,
    },
    Case {
        name: "100,000 files in one directory",
        group: Group::Memory,
        modes: OVER_SSH,
        source: &[ONE_DIRECTORY],
        destination: &[],
        limit: Limit::None,
        wire_bound: None,
    },
    Case {
        name: "1 GiB shifted among 10,000 small files",
        group: Group::Memory,
        modes: OVER_SSH,
        source: &[Part::File(Bytes::Shifted), FEW_SMALL],
        destination: &[Part::File(Bytes::Noise)],
        limit: Limit::None,
        wire_bound: None,
    },
];
