//! Lines by a format that the user chose: `--out-format`, `--log-file-format`, and `-i`, which is the format `%i %n%L`.
//!
//! A format is text with escapes, each a percent sign and a letter, between them a width and apostrophes:
//! `%-20n %'l`. What is no escape is text. See rsyncd.conf(5), `log format`; that is where rsync explains its own.

use crate::cli::output::Direction;
use crate::cli::output::itemise::{DELETED, columns};
use crate::cli::output::mode::permissions;
use crate::cli::output::moment::Clock;
use crate::cli::output::origins::Origins;
use crate::cli::output::size::Numbers;
use crate::report::{Action, Item};
use crate::tree::{Escaped, Kind, RelPath, Uid, unmunged};
use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::time::SystemTime;

/// A format, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Format(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Escape { what: What, width: usize, left: bool, human: u8 },
}

/// What an escape stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// `%i`
    Columns,
    /// `%n`
    Name,
    /// `%f`
    LongName,
    /// `%L`
    Target,
    /// `%l`
    Length,
    /// `%b`
    Sent,
    /// `%c`
    Sums,
    /// `%o`
    Operation,
    /// `%M`
    Modified,
    /// `%C`
    Sum,
    /// `%B`
    Permissions,
    /// `%U`
    Owner,
    /// `%G`
    Group,
    /// `%t`
    Now,
    /// `%p`
    Process,
    /// `%m`, the module of an rsync daemon
    Nothing,
    /// `%%`
    Percent,
}

/// What stands before the target of a symbolic link.
const ARROW: &str = " -> ";
/// As wide, before the name of which an entry becomes another.
const LEADS: &str = " => ";
/// As wide, where there is none.
const NO_ARROW: &str = "    ";

/// The widest an escape is made; nobody reads more.
const MOST_WIDTH: usize = 4096;

/// What a line may speak of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// An entry that was made, changed or found the same.
    Item(&'a Item),
    /// One that was removed.
    Deleted(&'a RelPath, Kind),
}

/// What all lines of a run have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    pub direction: Direction,
    pub origins: &'a Origins,
    /// Whether the other side writes the texts of links so that they lead nowhere, which are shown as the source's.
    pub unmunges: bool,
    pub clock: &'a Clock,
    /// Whether groups are preserved.
    pub groups: bool,
    /// How many characters a sum has.
    pub sum_width: usize,
}

impl Format {
    /// What `-i` stands for.
    pub(in crate::cli) fn itemised() -> Format {
        Format::new("%i %n%L")
    }

    /// What names are shown by.
    pub(in crate::cli) fn names() -> Format {
        Format::new("%n%L")
    }

    /// Takes a format apart. Every text is one; what could act on a terminal is shown as it is in names, but for tabs,
    /// which part columns.
    pub(in crate::cli) fn new(format: impl AsRef<OsStr>) -> Format {
        let columns = format.as_ref().as_bytes().split(|byte| *byte == b'\t');
        let escaped: Vec<String> = columns.map(|text| Escaped(text).to_string()).collect();
        let format = escaped.join("\t");
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = format.as_str();
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            match escape(after) {
                Some((piece, behind)) => {
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    pieces.push(piece);
                    rest = behind;
                }
                None => {
                    text.push('%');
                    rest = after;
                }
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Format(pieces)
    }

    /// Whether it itemises what differs, so that changes of attributes alone are worth a line.
    pub(in crate::cli) fn itemises(&self) -> bool {
        self.has(&[What::Columns])
    }

    /// Whether a deletion can be told by it.
    pub(super) fn tells_operations(&self) -> bool {
        self.has(&[What::Columns, What::Operation])
    }

    /// Whether it shows what [`Facts`](crate::report::Facts) carry.
    pub(in crate::cli) fn needs_facts(&self) -> bool {
        self.needs_sent()
            || self.needs_sum()
            || self.has(&[What::Modified, What::Permissions, What::Owner, What::Group])
    }

    /// Whether it shows how much of a file travelled.
    pub(in crate::cli) fn needs_sent(&self) -> bool {
        self.has(&[What::Sent])
    }

    /// Whether it shows the sums of files.
    pub(in crate::cli) fn needs_sum(&self) -> bool {
        self.has(&[What::Sum])
    }

    fn has(&self, wanted: &[What]) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Escape { what, .. } if wanted.contains(what)))
    }

    /// The line for a subject, without its end.
    pub(super) fn line(&self, subject: Subject<'_>, setting: Setting<'_>) -> String {
        let mut line = String::new();
        for piece in &self.0 {
            // Writing to a string cannot fail.
            let _ = match piece {
                Piece::Text(text) => line.write_str(text),
                Piece::Escape { what, width, left, human } => {
                    let text = subject.text(*what, Numbers::new(*human), setting);
                    // The arrow stands before the width, and leaves its room where there is none.
                    let (arrow, text) = match *what {
                        What::Target if *width > 0 => match text.split_at_checked(ARROW.len()) {
                            Some(parts) => parts,
                            None => (NO_ARROW, ""),
                        },
                        _ => ("", text.as_str()),
                    };
                    line.push_str(arrow);
                    if *left { write!(line, "{text:<width$}") } else { write!(line, "{text:>width$}") }
                }
            };
        }
        line
    }
}

/// The escape that follows a percent sign, and what follows that. `None` if it is none.
fn escape(after: &str) -> Option<(Piece, &str)> {
    let rest = after.trim_start_matches('\'');
    let human = after.len() - rest.len();
    let (left, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let behind_width = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = rest.strip_suffix(behind_width).unwrap_or_default();
    let behind = behind_width.trim_start_matches('\'');
    let human = u8::try_from(human + (behind_width.len() - behind.len())).unwrap_or(u8::MAX);
    let width = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(MOST_WIDTH).min(MOST_WIDTH) };
    let mut letters = behind.chars();
    let what = match letters.next()? {
        'i' => What::Columns,
        'n' => What::Name,
        'f' => What::LongName,
        'L' => What::Target,
        'l' => What::Length,
        'b' => What::Sent,
        'c' => What::Sums,
        'o' => What::Operation,
        'M' => What::Modified,
        'C' => What::Sum,
        'B' => What::Permissions,
        'U' => What::Owner,
        'G' => What::Group,
        't' => What::Now,
        'p' => What::Process,
        'm' => What::Nothing,
        '%' => What::Percent,
        _ => return None,
    };
    Some((Piece::Escape { what, width, left, human }, letters.as_str()))
}

impl Subject<'_> {
    fn text(self, what: What, numbers: Numbers, setting: Setting<'_>) -> String {
        let (path, kind) = match self {
            Subject::Item(item) => (&item.path, item.kind),
            Subject::Deleted(path, kind) => (path, kind),
        };
        let item = match self {
            Subject::Item(item) => Some(item),
            Subject::Deleted(..) => None,
        };
        let facts = item.and_then(|item| item.facts.as_deref());
        match what {
            What::Columns => match item {
                Some(item) => columns(item, setting.direction),
                None => DELETED.to_owned(),
            },
            What::Name if item.is_some() && setting.origins.is_absolute(path) => {
                format!("/{}", name(path, kind))
            }
            What::Name => name(path, kind),
            What::LongName => match item {
                Some(_) => Escaped(&setting.origins.long_name(path)).to_string(),
                None => path.to_string(),
            },
            What::Target => item.map(|item| arrow(item, setting.unmunges)).unwrap_or_default(),
            What::Length => numbers.bytes(item.map_or(0, |item| item.size)),
            What::Sent => numbers.bytes(facts.map_or(0, |facts| facts.sent)),
            // How much the sums of blocks took that were compared is not counted for each file.
            What::Sums => numbers.bytes(0),
            What::Operation => match (item, setting.direction) {
                (None, _) => "del.",
                (Some(_), Direction::Pull) => "recv",
                (Some(_), Direction::Push | Direction::Local) => "send",
            }
            .to_owned(),
            What::Modified => {
                setting.clock.show_short(facts.map_or(0, |facts| facts.modified)).replace(' ', "-")
            }
            What::Sum => match facts.and_then(|facts| facts.sum.as_ref()) {
                Some(sum) => format!("{:width$}", hexadecimal(sum), width = setting.sum_width),
                // Nothing was read, so there is none yet.
                None if item.is_some_and(|item| item.change.action == Action::Transfer) => {
                    "0".repeat(setting.sum_width)
                }
                None => " ".repeat(setting.sum_width),
            },
            What::Permissions => permissions(facts.map_or(0, |facts| facts.mode)),
            What::Owner => facts.and_then(|facts| facts.owner).unwrap_or(Uid::ROOT).to_string(),
            What::Group => match item {
                Some(_) => facts
                    .and_then(|facts| facts.group)
                    .map_or_else(|| "DEFAULT".to_owned(), |group| group.to_string()),
                None if setting.groups => "0".to_owned(),
                None => "DEFAULT".to_owned(),
            },
            What::Now => setting.clock.show_short(now()),
            What::Process => std::process::id().to_string(),
            What::Nothing => String::new(),
            What::Percent => "%".to_owned(),
        }
    }
}

/// A path, with a slash if it is a directory's.
pub(super) fn name(path: &RelPath, kind: Kind) -> String {
    if kind == Kind::Directory { format!("{path}/") } else { path.to_string() }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn arrow(item: &Item, unmunges: bool) -> String {
    if let Some(leader) = &item.leader {
        return format!("{LEADS}{leader}");
    }
    let text = |target| if unmunges { unmunged(target) } else { target };
    item.target.as_ref().map(|target| format!("{ARROW}{}", Escaped(text(target)))).unwrap_or_default()
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Change, Facts};

    fn item() -> Item {
        let change = Change { new: true, ..Change::only(Action::Transfer) };
        let facts = Facts {
            modified: 1_577_934_245,
            mode: 0o4755,
            owner: Some(Uid(1000)),
            group: None,
            sent: 1024,
            sum: Some(vec![0xab; 16]),
        };
        Item {
            path: RelPath::new(*b"d/f\n").unwrap(),
            kind: Kind::File,
            target: None,
            leader: None,
            size: 1_234_567,
            change,
            facts: Some(Box::new(facts)),
        }
    }

    fn line(format: &str, subject: Subject<'_>) -> String {
        let origins = Origins::new([&b"/home/src/"[..]], false, false);
        let setting = Setting {
            direction: Direction::Push,
            origins: &origins,
            unmunges: false,
            clock: &Clock::at(0),
            groups: false,
            sum_width: 32,
        };
        Format::new(format).line(subject, setting)
    }

    #[test]
    fn each_escape_has_its_text() {
        let item = item();
        for (format, expected) in [
            ("%i %n%L", "<f+++++++++ d/f\\#012"),
            ("%f|%l|%b|%o|%c", "home/src/d/f\\#012|1234567|1024|send|0"),
            ("%M %B", "2020/01/02-03:04:05 rwsr-xr-x"),
            ("%U:%G", "1000:DEFAULT"),
            ("%C", "abababababababababababababababab"),
            ("[%10o|%-10o|%010o]", "[      send|send      |      send]"),
            ("%'l %''l %'''l %'10l|%10'l|%'-10l|", "1,234,567 1.23M 1.18M  1,234,567| 1,234,567|1,234,567 |"),
            ("%%i 100% %5", "%i 100% %5"),
            ("%z%h%u %m.", "%z%h%u ."),
            ("%5%|%-'15l|%5.2l|%-|%", "    %|%-'15l|%5.2l|%-|%"),
            ("", ""),
        ] {
            assert_eq!(line(format, Subject::Item(&item)), expected, "{format}");
        }
        assert_eq!(line("%p", Subject::Item(&item)), std::process::id().to_string());
        assert_eq!(line("%t", Subject::Item(&item)).len(), "2020/01/02 03:04:05".len());
    }

    #[test]
    fn the_text_of_a_format_cannot_act_on_a_terminal() {
        for (format, expected) in [
            (&b"A\n%l\t%l"[..], "A\\#0121234567\t1234567"),
            (b"\x1b[31m%l", "\\#033[31m1234567"),
            (b"\xff\xc3\xa9%l", "\\#377\u{e9}1234567"),
            (b"\\#377 %l", "\\#134#377 1234567"),
            (b"\\%l", "\\1234567"),
        ] {
            let item = item();
            let format = Format::new(OsStr::from_bytes(format));
            let setting = Setting {
                direction: Direction::Push,
                origins: &Origins::default(),
                unmunges: false,
                clock: &Clock::at(0),
                groups: false,
                sum_width: 32,
            };
            assert_eq!(format.line(Subject::Item(&item), setting), expected);
        }
    }

    #[test]
    fn a_deletion_has_few_facts() {
        let path = RelPath::new(*b"gone").unwrap();
        let deleted = Subject::Deleted(&path, Kind::Directory);
        for (format, expected) in [
            ("%i %n%L", "*deleting   gone/"),
            ("%o %f %l %b %B %U %G", "del. gone 0 0 --------- 0 DEFAULT"),
            ("%M", "1970/01/01-00:00:00"),
        ] {
            assert_eq!(line(format, deleted), expected, "{format}");
        }
        assert_eq!(line("%C", deleted), " ".repeat(32));
    }

    #[test]
    fn the_width_of_a_link_is_that_of_its_target() {
        let link = Item { kind: Kind::Symlink, target: Some(b"to".to_vec()), ..item() };
        for (item, expected) in [
            (link, "[ -> to][ -> to][ ->     to][ -> to    ]"),
            (item(), "[][     ][          ][          ]"),
        ] {
            assert_eq!(line("[%L][%1L][%6L][%-6L]", Subject::Item(&item)), expected);
        }
    }

    #[test]
    fn what_is_not_known_yet_is_no_number() {
        let bare = Item { facts: None, ..item() };
        assert_eq!(line("%C", Subject::Item(&bare)), "0".repeat(32));
        let found = Item { change: Change { action: Action::Attributes, ..bare.change }, ..bare };
        assert_eq!(line("%C %b", Subject::Item(&found)), format!("{} 0", " ".repeat(32)));
    }

    #[test]
    fn a_format_knows_what_it_needs() {
        let needs = |format: &str| {
            let format = Format::new(format);
            [format.itemises(), format.needs_facts(), format.needs_sent(), format.needs_sum()]
        };
        assert_eq!(needs("%n %l %%i"), [false; 4]);
        assert_eq!(needs("%i"), [true, false, false, false]);
        assert_eq!(needs("%M"), [false, true, false, false]);
        assert_eq!(needs("%''10b"), [false, true, true, false]);
        assert_eq!(needs("%C"), [false, true, false, true]);
    }

    #[test]
    fn no_width_is_too_wide() {
        assert_eq!(line("%99999999999999999999n", Subject::Item(&item())).len(), MOST_WIDTH);
    }
}
