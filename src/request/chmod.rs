//! `--chmod`: changes of permissions, as chmod(1) writes them, to what the source says about an entry.
//!
//! The language is rsync's: clauses between commas, each a number in octal or letters. A clause may begin with `D` or
//! `F`, for directories or for everything else; then come `u`, `g`, `o` and `a`, one of `+`, `-` and `=`, and either
//! any of `r`, `w`, `x`, `X`, `s` and `t`, or one of `u`, `g` and `o`, whose permissions are copied. Where nobody is
//! named, all are meant, less what the umask takes. Parsed by `cli`, carried by `wire`, applied by the sink of a pass
//! to what it is told, so that a source that is not trusted cannot get round it.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What `--chmod` asks for, all of them together, in order. By default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chmod(Vec<Clause>);

/// A text is no list of changes of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no list of permissions, like D755,F644 or g=u,o-rwx")]
pub struct InvalidChmod;

/// The most clauses taken.
const MOST_CLAUSES: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Clause {
    about: About,
    change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum About {
    All,
    Directories,
    Others,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Change {
    /// All bits.
    Number(u32),
    /// Bits for those named.
    Letters { who: Who, how: How, bits: Bits },
    /// The bits that one of the three has, for those named.
    Copy { who: Who, how: How, from: Who },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum How {
    Add,
    Remove,
    Assign,
}

/// Whom a clause names: the lowest bit of each of the three digits, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Who(u32);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bits {
    /// One digit: of reading, writing and searching.
    digit: u32,
    /// `X`: the lowest bit only where somebody has it, or for directories.
    if_executable: bool,
    /// setuid, setgid and sticky.
    special: u32,
}

const EVERYBODY: u32 = 0o111;
const USER: u32 = 0o100;
const GROUP: u32 = 0o010;
const OTHERS: u32 = 0o001;

impl Who {
    /// The digits that are changed, and which bits may be.
    fn places(self, umask: u32) -> (u32, u32) {
        if self.0 == 0 { (EVERYBODY, !umask) } else { (self.0, u32::MAX) }
    }

    /// What `s` stands for: others have none, and with nobody named it is the user's.
    fn set_id(self) -> u32 {
        match self.named_special() & 0o6000 {
            0 => 0o4000,
            named => named,
        }
    }

    /// The special bits that stand beside the digits of those named.
    fn named_special(self) -> u32 {
        let bit = |(who, bit): (u32, u32)| if self.0 & who == 0 { 0 } else { bit };
        bit((USER, 0o4000)) | bit((GROUP, 0o2000)) | bit((OTHERS, 0o1000))
    }

    /// The digit of one of the three.
    fn digit(self, mode: u32) -> u32 {
        let shift = match self.0 {
            USER => 6,
            GROUP => 3,
            _ => 0,
        };
        mode >> shift & 7
    }
}

impl Change {
    /// `executable` is about the mode before any clause.
    fn apply(self, mode: u32, executable: bool, umask: u32) -> u32 {
        let (how, digits, bits, special) = match self {
            Change::Number(mode) => return mode,
            Change::Letters { who, how, bits } => {
                let (places, allowed) = who.places(umask);
                let withheld = if bits.if_executable && !executable { EVERYBODY } else { 0 };
                let set = places.saturating_mul(bits.digit) & allowed & !withheld;
                // rsync leaves the special bits alone where none is named.
                let special = if bits.special == 0 { 0 } else { who.named_special() & 0o6000 };
                (how, places.saturating_mul(7), set | bits.special, special)
            }
            Change::Copy { who, how, from } => {
                let (places, allowed) = who.places(umask);
                let set = places.saturating_mul(from.digit(mode)) & allowed;
                let special = if who.0 == 0 { 0o7000 } else { who.named_special() };
                (how, places.saturating_mul(7), set, special)
            }
        };
        match how {
            How::Add => mode | bits,
            How::Remove => mode & !bits,
            How::Assign => mode & !(digits | special) | bits,
        }
    }

    fn asks_umask(self) -> bool {
        match self {
            Change::Number(_) => false,
            Change::Letters { who, .. } | Change::Copy { who, .. } => who.0 == 0,
        }
    }
}

impl Chmod {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether what comes of it depends on the umask of who applies it.
    pub fn asks_umask(&self) -> bool {
        self.0.iter().any(|clause| clause.change.asks_umask())
    }

    /// The mode, 0 to 0o7777, that an entry is to have which has `mode`.
    pub fn apply(&self, mode: u32, is_dir: bool, umask: u32) -> u32 {
        let executable = is_dir || mode & EVERYBODY != 0;
        let about = |clause: &&Clause| match clause.about {
            About::All => true,
            About::Directories => is_dir,
            About::Others => !is_dir,
        };
        let clauses = self.0.iter().filter(about);
        clauses.fold(mode, |mode, clause| clause.change.apply(mode, executable, umask)) & 0o7777
    }

    /// This, and then `more`.
    pub fn then(mut self, more: Chmod) -> Chmod {
        self.0.extend(more.0);
        self
    }

    /// Checks what parsing guarantees and decoding does not.
    pub(super) fn validate(&self) -> Result<(), InvalidChmod> {
        let is_fine = |clause: &Clause| match clause.change {
            Change::Number(mode) => mode <= 0o7777,
            Change::Letters { who, bits, .. } => {
                who.0 & !EVERYBODY == 0 && bits.digit <= 7 && bits.special & !0o7000 == 0
            }
            Change::Copy { who, from, .. } => {
                who.0 & !EVERYBODY == 0 && matches!(from.0, USER | GROUP | OTHERS)
            }
        };
        let valid = self.0.len() <= MOST_CLAUSES && self.0.iter().all(is_fine);
        valid.then_some(()).ok_or(InvalidChmod)
    }
}

impl FromStr for Chmod {
    type Err = InvalidChmod;
    fn from_str(text: &str) -> Result<Chmod, InvalidChmod> {
        let clauses = text.split(',').map(|clause| parse_clause(clause.as_bytes()).ok_or(InvalidChmod));
        let chmod = Chmod(clauses.collect::<Result<_, _>>()?);
        chmod.validate().map(|()| chmod)
    }
}

fn parse_clause(text: &[u8]) -> Option<Clause> {
    let mut about = About::All;
    let mut who = Who(0);
    let mut rest = text;
    loop {
        let (&letter, after) = rest.split_first()?;
        match letter {
            b'D' if about != About::Others => about = About::Directories,
            b'F' if about != About::Directories => about = About::Others,
            b'u' => who.0 |= USER,
            b'g' => who.0 |= GROUP,
            b'o' => who.0 |= OTHERS,
            b'a' => who.0 |= EVERYBODY,
            b'+' | b'-' | b'=' => {
                let how = match letter {
                    b'+' => How::Add,
                    b'-' => How::Remove,
                    _ => How::Assign,
                };
                return Some(Clause { about, change: parse_change(who, how, after)? });
            }
            b'0'..=b'7' if who.0 == 0 => {
                let digits = std::str::from_utf8(rest).ok()?;
                let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777)?;
                return Some(Clause { about, change: Change::Number(mode) });
            }
            _ => return None,
        }
        rest = after;
    }
}

fn parse_change(who: Who, how: How, letters: &[u8]) -> Option<Change> {
    let from = match letters {
        b"u" => Some(USER),
        b"g" => Some(GROUP),
        b"o" => Some(OTHERS),
        _ => None,
    };
    if let Some(from) = from {
        return Some(Change::Copy { who, how, from: Who(from) });
    }
    let mut bits = Bits::default();
    for letter in letters {
        match letter {
            b'r' => bits.digit |= 4,
            b'w' => bits.digit |= 2,
            b'x' => bits.digit |= 1,
            b'X' => {
                bits.digit |= 1;
                bits.if_executable = true;
            }
            b's' => bits.special |= who.set_id(),
            b't' => bits.special |= 0o1000,
            _ => return None,
        }
    }
    Some(Change::Letters { who, how, bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What rsync 3.5.0 makes of files and directories with these modes, with umask 022.
    const FILES: [u32; 6] = [0o0, 0o640, 0o1644, 0o2711, 0o4755, 0o6777];
    const MADE_BY_RSYNC: [(&str, [u32; 6]); 44] = [
        ("g=t", [0o1000, 0o1600, 0o1604, 0o1701, 0o5705, 0o5707]),
        ("a=t", [0o1000; 6]),
        ("=t", [0o1000, 0o1000, 0o1000, 0o3000, 0o5000, 0o7000]),
        ("g-st", [0o0, 0o640, 0o644, 0o711, 0o4755, 0o4777]),
        ("+s", [0o4000, 0o4640, 0o5644, 0o6711, 0o4755, 0o6777]),
        ("g+s", [0o2000, 0o2640, 0o3644, 0o2711, 0o6755, 0o6777]),
        ("o+s", [0o4000, 0o4640, 0o5644, 0o6711, 0o4755, 0o6777]),
        ("a+s", [0o6000, 0o6640, 0o7644, 0o6711, 0o6755, 0o6777]),
        ("a+t", [0o1000, 0o1640, 0o1644, 0o3711, 0o5755, 0o7777]),
        ("755", [0o755; 6]),
        ("u=rwx", [0o700, 0o740, 0o1744, 0o2711, 0o4755, 0o6777]),
        ("g=rx", [0o50, 0o650, 0o1654, 0o2751, 0o4755, 0o6757]),
        ("u=", [0o0, 0o40, 0o1044, 0o2011, 0o4055, 0o6077]),
        ("g=s", [0o2000, 0o2600, 0o3604, 0o2701, 0o6705, 0o6707]),
        ("=", [0o0, 0o0, 0o1000, 0o2000, 0o4000, 0o6000]),
        ("=s", [0o4000, 0o4000, 0o5000, 0o6000, 0o4000, 0o6000]),
        ("-s", [0o0, 0o640, 0o1644, 0o2711, 0o755, 0o2777]),
        ("a-s", [0o0, 0o640, 0o1644, 0o711, 0o755, 0o777]),
        ("u-x,u+X", [0o0, 0o640, 0o1644, 0o2711, 0o4755, 0o6777]),
        ("a-x,a+X", [0o0, 0o640, 0o1644, 0o2711, 0o4755, 0o6777]),
        ("a=X", [0o0, 0o0, 0o1000, 0o2111, 0o4111, 0o6111]),
        ("g=u", [0o0, 0o660, 0o1664, 0o771, 0o4775, 0o4777]),
        ("o=g", [0o0, 0o644, 0o644, 0o2711, 0o4755, 0o6777]),
        ("a=u", [0o0, 0o666, 0o666, 0o777, 0o777, 0o777]),
        ("u=o", [0o0, 0o40, 0o1444, 0o2111, 0o555, 0o2777]),
        ("u-o", [0o0, 0o640, 0o1244, 0o2611, 0o4255, 0o6077]),
        ("o+g", [0o0, 0o644, 0o1644, 0o2711, 0o4755, 0o6777]),
        ("ug=o", [0o0, 0o0, 0o1444, 0o111, 0o555, 0o777]),
        ("=u", [0o0, 0o644, 0o644, 0o755, 0o755, 0o755]),
        ("+u", [0o0, 0o644, 0o1644, 0o2755, 0o4755, 0o6777]),
        ("g=u,u=o", [0o0, 0o60, 0o1464, 0o171, 0o575, 0o777]),
        ("+w", [0o200, 0o640, 0o1644, 0o2711, 0o4755, 0o6777]),
        ("-w", [0o0, 0o440, 0o1444, 0o2511, 0o4555, 0o6577]),
        ("=w", [0o200, 0o200, 0o1200, 0o2200, 0o4200, 0o6200]),
        ("-rwx", [0o0, 0o0, 0o1000, 0o2000, 0o4000, 0o6022]),
        ("o-t", [0o0, 0o640, 0o644, 0o2711, 0o4755, 0o6777]),
        ("u=t", [0o1000, 0o1040, 0o1044, 0o3011, 0o1055, 0o3077]),
        ("D+x", FILES),
        ("Fgo=", [0o0, 0o600, 0o1600, 0o2700, 0o4700, 0o6700]),
        ("uF+s", [0o4000, 0o4640, 0o5644, 0o6711, 0o4755, 0o6777]),
        ("FF4000", [0o4000; 6]),
        ("ugo=rwX", [0o666, 0o666, 0o1666, 0o2777, 0o4777, 0o6777]),
        ("u+xX", [0o0, 0o640, 0o1644, 0o2711, 0o4755, 0o6777]),
        ("go-u", [0o0, 0o600, 0o1600, 0o2700, 0o4700, 0o6700]),
    ];

    #[test]
    fn modes_become_what_rsync_makes_of_them() {
        for (text, expected) in MADE_BY_RSYNC {
            let chmod: Chmod = text.parse().unwrap();
            let made = FILES.map(|mode| chmod.apply(mode, false, 0o022));
            let shown = |modes: [u32; 6]| modes.map(|mode| format!("{mode:o}"));
            assert_eq!(shown(made), shown(expected), "{text}");
        }
        let of_directories = |text: &str| {
            let chmod: Chmod = text.parse().unwrap();
            FILES.map(|mode| chmod.apply(mode, true, 0o022))
        };
        assert_eq!(of_directories("u-x,u+X"), [0o100, 0o740, 0o1744, 0o2711, 0o4755, 0o6777]);
        assert_eq!(of_directories("D+x"), [0o111, 0o751, 0o1755, 0o2711, 0o4755, 0o6777]);
        assert_eq!(of_directories("Fgo="), FILES);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for text in [
            "", ",", "u+x,", ",u+x", "D", "F", "ug", "DF755", "FD755", "u+rwxg", "g=us", "o=gu", "u+x+w",
            "77777", "8", "+4755", "x", "u", "a*r", "u+x g+x", "u755",
        ] {
            assert_eq!(text.parse::<Chmod>(), Err(InvalidChmod), "{text}");
        }
        assert!("u=r,".repeat(MOST_CLAUSES + 1).trim_end_matches(',').parse::<Chmod>().is_err());
    }

    #[test]
    fn several_are_applied_in_their_order() {
        let of = |text: &str| text.parse::<Chmod>().unwrap();
        assert_eq!(of("a-w").then(of("u+w")).apply(0o666, false, 0), 0o644);
        assert_eq!(of("u+w").then(of("a-w")).apply(0o666, false, 0), 0o444);
        assert!(of("+w").asks_umask() && of("a-w,=g").asks_umask());
        assert!(!of("a+w,u=g,D755").asks_umask() && !Chmod::default().asks_umask());
    }
}
