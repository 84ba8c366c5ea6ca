//! What is compared: a table of cases.
//!
//! A case is two states of a tree. The source holds one, the destination starts from the other, and the tools have to
//! bring the destination to the source's. All of it is data; `contents` makes the trees, `limit` the commands that
//! show what the machine could do at best, `judge` holds the results to the bounds stated here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::proxy::Link;

/// Which of the runs a case belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Several timed pairs.
    Speed,
    /// One pair; what matters is the peak of resident memory, which has a bound.
    Memory,
    /// Several timed pairs over a long, fast path, where dsync also competes with itself over one stream.
    Streams,
    /// Several timed pairs in which dsync also competes with itself over `-e ssh`.
    Shell,
}

impl Group {
    /// What a list says after a case of it: the switch that selects it.
    pub(crate) fn switch(self) -> &'static str {
        match self {
            Self::Speed => "",
            Self::Memory => " (--memory)",
            Self::Streams => " (--streams)",
            Self::Shell => " (--shell)",
        }
    }
}

/// Where the two trees are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    /// One of half that.
    HalfFile(Bytes),
    /// A directory of this name, with files of 1 MiB that are a quarter of that.
    Directory(&'static str),
    /// Small files (200 B to 8 kB), 100 in a directory. Some, anywhere among them, have 37 bytes in the middle
    /// overwritten and another time.
    SmallFiles {
        /// How many files, before scaling.
        count: u64,
        /// How many of 100 are edited.
        edited: u64,
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
    /// What both tools are given beside `-a`.
    pub(crate) options: &'static [&'static str],
    /// What dsync alone is given as `--streams`.
    pub(crate) streams: Option<u8>,
    /// How dsync is timed as well, to compete with itself.
    pub(crate) rival: Option<Rival>,
    /// How dsync goes both ways, if it does; rsync goes one way.
    pub(crate) two_way: Option<TwoWay>,
    /// Whether dsync looks for what was renamed; rsync has nothing like it.
    pub(crate) detects_renames: bool,
    /// The path between the hosts; none is the loopback as it is.
    pub(crate) link: Option<Link>,
    pub(crate) source: &'static [Part],
    /// What the destination holds before each run.
    pub(crate) destination: &'static [Part],
    pub(crate) limit: Limit,
    /// What either side of dsync has resident must be below this, in bytes.
    pub(crate) peak_bound: u64,
    /// What dsync moves on the wire, both directions together, must be below this, in bytes.
    pub(crate) wire_bound: Option<u64>,
    /// The aims: how many times faster than rsync dsync should be at least, by mode.
    pub(crate) least_ratio: &'static [(Mode, f64)],
    /// The aims: how many times faster dsync should be at least than its rival, by mode.
    pub(crate) least_speedup: &'static [(Mode, f64)],
    /// The aim for a path whose speed is known: the most seconds dsync should take.
    pub(crate) most_seconds: Option<f64>,
}

/// How well two trees know each other that dsync keeps alike.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TwoWay {
    /// They have met before.
    Met,
    /// They meet for the first time.
    Strangers,
}

/// Another way in which dsync does the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rival {
    /// Without `--streams`.
    OneStream,
    /// Over the ssh program, not the built-in client.
    Shell,
}

impl Rival {
    /// The words the table prints.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneStream => "one stream",
            Self::Shell => "-e ssh",
        }
    }
}

/// What a result is held to, all about dsync.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Bounds {
    /// Bytes on the wire, both directions together, must be below.
    pub(crate) wire: Option<u64>,
    /// Bytes resident on each side must be below.
    pub(crate) peak: u64,
    /// Aim: rsync's time to dsync's.
    pub(crate) least_ratio: Option<f64>,
    /// Aim: the time of its rival to dsync's.
    #[serde(default)]
    pub(crate) least_speedup: Option<f64>,
    /// Aim: median time.
    pub(crate) most_seconds: Option<f64>,
}

impl Case {
    /// What the case is held to in one mode.
    pub(crate) fn bounds(&self, mode: Mode) -> Bounds {
        let aim = |aims: &[(Mode, f64)]| aims.iter().find(|(of, _)| *of == mode).map(|(_, least)| *least);
        Bounds {
            wire: self.wire_bound,
            peak: self.peak_bound,
            least_ratio: aim(self.least_ratio),
            least_speedup: aim(self.least_speedup),
            most_seconds: self.most_seconds,
        }
    }
}

/// What either side of dsync may have resident whatever the case, in bytes.
const PEAK_BOUND: u64 = 64_000_000;

/// What it may have resident beside for each path that changes in a two-way run, in bytes.
const CHANGED_PATH: u64 = 200;

/// A path as between two homes.
const SLOW: Link = Link { host: "slow", round_trip: Duration::from_millis(50), bits_per_second: 20_000_000 };

/// A path as between two data centres on different continents.
const LONG: Link =
    Link { host: "long", round_trip: Duration::from_millis(100), bits_per_second: 1_000_000_000 };

/// Every path but the plain loopback.
pub(crate) const LINKS: &[Link] = &[SLOW, LONG];

const EVERYWHERE: &[Mode] = &[Mode::Push, Mode::Pull, Mode::Local];
const OVER_SSH: &[Mode] = &[Mode::Push, Mode::Pull];
const PUSH: &[Mode] = &[Mode::Push];

const NOISE: &[Part] = &[Part::File(Bytes::Noise)];
const EDITED: &[Part] = &[Part::File(Bytes::Edited)];
const SHIFTED: &[Part] = &[Part::File(Bytes::Shifted)];
const SMALL: &[Part] = &[Part::SmallFiles { count: 50_000, edited: 0 }];
/// Nothing of an unchanged file is read, so that 200,000 need no content.
const MANY: &[Part] = &[Part::EmptyFiles { directories: 2_000, in_each: 100 }];
const ONE: &[Part] = &[Part::EmptyFiles { directories: 1, in_each: 1 }];
const MILLION: &[Part] = &[Part::EmptyFiles { directories: 20_000, in_each: 50 }];

/// What most cases have in common.
const SPEED: Case = Case {
    name: "",
    group: Group::Speed,
    modes: EVERYWHERE,
    options: &[],
    streams: None,
    rival: None,
    two_way: None,
    detects_renames: false,
    link: None,
    source: &[],
    destination: &[],
    limit: Limit::None,
    peak_bound: PEAK_BOUND,
    wire_bound: None,
    least_ratio: &[],
    least_speedup: &[],
    most_seconds: None,
};

/// Also with options that must cost nothing where nothing has changed.
const MANY_UNCHANGED: Case = Case {
    name: "200,000 empty files unchanged",
    modes: PUSH,
    source: MANY,
    destination: MANY,
    limit: Limit::Stat,
    least_ratio: &[(Mode::Push, 3.3)],
    ..SPEED
};

/// No slower than through the program that it replaces, as far as a difference can be told from noise.
const SHELL: Case = Case {
    group: Group::Shell,
    modes: OVER_SSH,
    rival: Some(Rival::Shell),
    least_speedup: &[(Mode::Push, 0.95), (Mode::Pull, 0.95)],
    ..SPEED
};

const MEMORY: Case = Case { group: Group::Memory, modes: OVER_SSH, ..SPEED };

/// Every case there is, in the order of the table.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "1 GiB new",
        source: NOISE,
        limit: Limit::Stream,
        least_ratio: &[(Mode::Push, 1.6), (Mode::Pull, 1.3), (Mode::Local, 2.0)],
        ..SPEED
    },
    Case {
        name: "1 GiB, 100 edits",
        source: EDITED,
        destination: NOISE,
        wire_bound: Some(300_000),
        least_ratio: &[(Mode::Push, 1.8), (Mode::Pull, 1.8)],
        ..SPEED
    },
    Case {
        name: "1 GiB, 100 edits, --inplace",
        modes: PUSH,
        options: &["--inplace"],
        source: EDITED,
        destination: NOISE,
        wire_bound: Some(300_000),
        least_ratio: &[(Mode::Push, 2.7)],
        ..SPEED
    },
    Case {
        name: "1 GiB shifted",
        source: SHIFTED,
        destination: NOISE,
        wire_bound: Some(250_000),
        least_ratio: &[(Mode::Push, 1.6), (Mode::Pull, 1.6)],
        ..SPEED
    },
    Case {
        name: "1 GiB shifted, --inplace",
        modes: PUSH,
        options: &["--inplace"],
        source: SHIFTED,
        destination: NOISE,
        // No bound of the wire: what an insertion moved on cannot be copied from where it has been overwritten.
        least_ratio: &[(Mode::Push, 6.0)],
        ..SPEED
    },
    Case {
        name: "50,000 small files new",
        source: SMALL,
        limit: Limit::Archive,
        least_ratio: &[(Mode::Push, 2.0), (Mode::Pull, 1.8), (Mode::Local, 2.7)],
        ..SPEED
    },
    Case {
        name: "50,000 small files unchanged",
        source: SMALL,
        destination: SMALL,
        limit: Limit::Stat,
        wire_bound: Some(20_000),
        least_ratio: &[(Mode::Push, 2.4), (Mode::Pull, 2.4), (Mode::Local, 2.5)],
        ..SPEED
    },
    Case {
        name: "50,000 small files unchanged, two-way",
        two_way: Some(TwoWay::Met),
        source: SMALL,
        destination: SMALL,
        limit: Limit::Stat,
        wire_bound: Some(20_000),
        most_seconds: Some(0.5),
        ..SPEED
    },
    Case {
        name: "50,000 small files, 1 % edited",
        source: &[Part::SmallFiles { count: 50_000, edited: 1 }],
        destination: SMALL,
        limit: Limit::Stat,
        wire_bound: Some(400_000),
        least_ratio: &[(Mode::Push, 2.0)],
        ..SPEED
    },
    Case {
        name: "256 MiB in a renamed directory, --delete",
        options: &["--delete"],
        detects_renames: true,
        source: &[Part::Directory("after")],
        destination: &[Part::Directory("before")],
        wire_bound: Some(100_000),
        ..SPEED
    },
    MANY_UNCHANGED,
    Case { name: "200,000 empty files unchanged, --delete", options: &["--delete"], ..MANY_UNCHANGED },
    Case {
        name: "50 ms, 20 Mbit/s: 50,000 small files unchanged",
        modes: PUSH,
        link: Some(SLOW),
        source: SMALL,
        destination: SMALL,
        wire_bound: Some(20_000),
        most_seconds: Some(0.9),
        ..SPEED
    },
    Case {
        name: "50 ms, 20 Mbit/s: 2,000 small files new",
        modes: PUSH,
        link: Some(SLOW),
        source: &[Part::SmallFiles { count: 2_000, edited: 0 }],
        limit: Limit::Archive,
        // 0.6 s to begin, then 8.2 MB at nine tenths of the line's 2.5 MB/s.
        most_seconds: Some(4.2),
        ..SPEED
    },
    Case {
        name: "1 GiB of zeros, one byte changed",
        modes: OVER_SSH,
        source: &[Part::File(Bytes::ZerosButOne)],
        destination: &[Part::File(Bytes::Zeros)],
        ..SPEED
    },
    Case {
        name: "1 GiB of one block, odd shift",
        modes: OVER_SSH,
        source: &[Part::File(Bytes::RepeatedShifted)],
        destination: &[Part::File(Bytes::Repeated)],
        ..SPEED
    },
    Case { name: "1,000,000 empty files new", source: MILLION, ..MEMORY },
    Case { name: "1,000,000 empty files unchanged", source: MILLION, destination: MILLION, ..MEMORY },
    Case {
        name: "100,000 files in one directory",
        source: &[Part::EmptyFiles { directories: 1, in_each: 100_000 }],
        ..MEMORY
    },
    Case {
        name: "1 GiB shifted among 10,000 small files",
        source: &[Part::File(Bytes::Shifted), Part::SmallFiles { count: 10_000, edited: 0 }],
        destination: NOISE,
        ..MEMORY
    },
    Case {
        name: "1,000,000 empty files unchanged, two-way",
        two_way: Some(TwoWay::Met),
        source: MILLION,
        destination: MILLION,
        ..MEMORY
    },
    Case {
        name: "200,000 empty files new, two-way",
        two_way: Some(TwoWay::Strangers),
        source: MANY,
        peak_bound: PEAK_BOUND + 202_000 * CHANGED_PATH,
        ..MEMORY
    },
    Case {
        name: "100 ms, 1 Gbit/s: 512 MiB new, --streams=8",
        group: Group::Streams,
        modes: OVER_SSH,
        streams: Some(8),
        rival: Some(Rival::OneStream),
        link: Some(LONG),
        source: &[Part::HalfFile(Bytes::Noise)],
        limit: Limit::Stream,
        // Long enough that login and joining, 1.5 s at this round trip, do not decide. No aim for pull: there it is
        // dsync that grants the window of a stream, and one has most of the line.
        least_speedup: &[(Mode::Push, 4.0)],
        ..SPEED
    },
    Case { name: "one empty file unchanged: to connect", source: ONE, destination: ONE, ..SHELL },
    Case { name: "1 GiB new, beside -e ssh", source: NOISE, limit: Limit::Stream, ..SHELL },
    Case { name: "50,000 small files new, beside -e ssh", source: SMALL, limit: Limit::Archive, ..SHELL },
];
