//! The text of `user.rsync.%stat`: kind and permissions in octal as stat(2) has them, the device's major and minor
//! number, owner and group, as in `100644 0,0 1000:100`.

use crate::fs::status::Status;
use crate::tree::{Gid, Kind, Rdev, Uid};
use rustix::fs::Stat;
use std::fmt;

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub kind: Kind,
    /// 0 to 0o7777.
    pub mode: u32,
    /// 0 and 0 of what is no device.
    pub device: Rdev,
    pub uid: Uid,
    pub gid: Gid,
}

/// The kinds as stat(2) has them.
const KINDS: [(u32, Kind); 7] = [
    (0o010_000, Kind::Fifo),
    (0o020_000, Kind::CharDevice),
    (0o040_000, Kind::Directory),
    (0o060_000, Kind::BlockDevice),
    (0o100_000, Kind::File),
    (0o120_000, Kind::Symlink),
    (0o140_000, Kind::Socket),
];

impl Kept {
    /// What an inode itself says; `None` if it is of an unknown kind.
    pub(super) fn of(stat: &Stat) -> Option<Kept> {
        let Status { kind, meta, device } = Status::of(stat);
        let kind = kind?;
        let device = if kind.is_device() { device } else { Rdev { major: 0, minor: 0 } };
        Some(Kept { kind, mode: meta.mode, device, uid: meta.uid, gid: meta.gid })
    }

    /// Reads it; `None` if it says what cannot be.
    pub(super) fn parse(text: &[u8]) -> Option<Kept> {
        let mut parts = std::str::from_utf8(text).ok()?.split_ascii_whitespace();
        let mode = u32::from_str_radix(parts.next()?, 8).ok()?;
        let (major, minor) = parts.next()?.split_once(',')?;
        let (uid, gid) = parts.next()?.split_once(':')?;
        let (_, kind) = KINDS.into_iter().find(|(bits, _)| *bits == mode & !0o7777)?;
        let device = Rdev { major: major.parse().ok()?, minor: minor.parse().ok()? };
        Some(Kept {
            kind,
            mode: mode & 0o7777,
            device,
            uid: Uid(uid.parse().ok()?),
            gid: Gid(gid.parse().ok()?),
        })
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kept { kind, mode, device, uid, gid } = self;
        let bits = KINDS.into_iter().find(|(_, known)| known == kind).map_or(0, |(bits, _)| bits);
        write!(f, "{:o} {},{} {uid}:{gid}", bits | mode, device.major, device.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_has_the_form_that_rsync_gives_it() {
        let rdev = |major, minor| Rdev { major, minor };
        for (text, kind, mode, device, uid, gid) in [
            ("100640 0,0 1234:2345", Kind::File, 0o640, rdev(0, 0), 1234, 2345),
            ("104755 0,0 0:0", Kind::File, 0o4755, rdev(0, 0), 0, 0),
            ("41777 0,0 0:0", Kind::Directory, 0o1777, rdev(0, 0), 0, 0),
            ("20666 1,3 0:0", Kind::CharDevice, 0o666, rdev(1, 3), 0, 0),
            ("60644 7,99 5:6", Kind::BlockDevice, 0o644, rdev(7, 99), 5, 6),
            ("10600 0,0 0:0", Kind::Fifo, 0o600, rdev(0, 0), 0, 0),
            ("140755 0,0 0:0", Kind::Socket, 0o755, rdev(0, 0), 0, 0),
            ("120777 0,0 3:4", Kind::Symlink, 0o777, rdev(0, 0), 3, 4),
        ] {
            let kept = Kept { kind, mode, device, uid: Uid(uid), gid: Gid(gid) };
            assert_eq!(Kept::parse(text.as_bytes()), Some(kept), "{text}");
            assert_eq!(kept.to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_is_none() {
        for text in
            ["", "garbage", "644 0,0 1:1", "0 0,0 1:1", "170000 0,0 1:1", "37777777777 1,2 5:6", "100644 0,0"]
        {
            assert_eq!(Kept::parse(text.as_bytes()), None, "{text}");
        }
        for text in ["100644 0,0 -1:-1", "100644 0,0 99999999999:4", "100844 0,0 1:1", "100644 0 1:1"] {
            assert_eq!(Kept::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Kept::parse(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(at in 0..KINDS.len(), mode in 0_u32..0o10000, ids in any::<[u32; 4]>()) {
            let [major, minor, uid, gid] = ids;
            let kept = Kept { kind: KINDS[at].1, mode, device: Rdev { major, minor }, uid: Uid(uid), gid: Gid(gid) };
            prop_assert_eq!(Kept::parse(kept.to_string().as_bytes()), Some(kept));
        }
    }
}
