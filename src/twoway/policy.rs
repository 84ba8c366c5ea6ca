//! Who wins a conflict.

use crate::tree::{Name, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::record::{Record, State};

/// A path on which each side has edits that the other has not.
#[derive(Clone, Copy, Debug)]
pub struct Conflict<'a> {
    /// Where.
    pub path: &'a RelPath,
    /// What is there on each side.
    pub left: &'a Record,
    /// What is there on each side.
    pub right: &'a Record,
    /// What of it.
    pub kind: ConflictKind,
}

/// What a conflict is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConflictKind {
    /// Two contents, or two targets of a link.
    Content,
    /// Two modes or owners of the same content.
    Attributes,
    /// Two kinds of thing; or one thing in the place of a directory in which the other side has edits.
    Kinds,
}

/// What is done about a conflict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// Nothing: both keep theirs.
    Skip,
    /// This side's is taken by both; the other's goes to the trash.
    Win(Side),
    /// The winner keeps the name, and the loser gets another on both sides. Of attributes: what both permit.
    KeepBoth,
}

/// A rule that resolves conflicts by what the records say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Both keep theirs.
    #[default]
    Skip,
    /// Both are kept, on both sides.
    KeepBoth,
    /// The later modification time wins.
    Newer,
    /// The earlier modification time wins.
    Older,
    /// The longer file wins.
    Larger,
    /// The shorter file wins.
    Smaller,
    /// This side wins.
    Prefer(Side),
}

impl Policy {
    /// Resolves a conflict. What a rule cannot tell is skipped: equal times or sizes, the size of what is no file.
    pub fn resolve(self, conflict: &Conflict<'_>) -> Resolution {
        let (left, right) = (conflict.left, conflict.right);
        let greatest = match self {
            Policy::Skip => return Resolution::Skip,
            Policy::KeepBoth => return Resolution::KeepBoth,
            Policy::Prefer(side) => return Resolution::Win(side),
            Policy::Newer | Policy::Older => left.mtime.cmp(&right.mtime),
            Policy::Larger | Policy::Smaller => match (&left.state, &right.state) {
                (State::File { size: left, .. }, State::File { size: right, .. }) => left.cmp(right),
                _ => return Resolution::Skip,
            },
        };
        let wanted = match self {
            Policy::Older | Policy::Smaller => greatest.reverse(),
            _ => greatest,
        };
        match wanted {
            std::cmp::Ordering::Less => Resolution::Win(Side::Right),
            std::cmp::Ordering::Greater => Resolution::Win(Side::Left),
            std::cmp::Ordering::Equal => Resolution::Skip,
        }
    }
}

/// Who keeps the name where both are kept: the directory; else the newer; else the greater by content, so that every
/// replica chooses the same.
pub(super) fn keeps_the_name(left: &Record, right: &Record) -> Side {
    let rank = |record: &Record| {
        let content = match &record.state {
            State::File { sum, .. } => sum.0.to_vec(),
            State::Symlink { target } => target.to_vec(),
            _ => Vec::new(),
        };
        (record.state.is_directory(), record.mtime, content)
    };
    if rank(left) < rank(right) { Side::Right } else { Side::Left }
}

/// The mark between the stem of a copy's name and the digits after it.
const MARK: &[u8] = b".conflict-";
/// How many hexadecimal digits of the sum a copy's name has.
const DIGITS: usize = 8;

/// The name of the copy of a loser: made of its content, so that the same conflict settled twice makes one copy. `None`
/// for what has no content to name it by, for a copy, which is not copied again, and where no name would be short enough.
pub(super) fn copy_name(name: &Name, loser: &State) -> Option<Name> {
    let bytes = name.as_bytes();
    let sum = match loser {
        State::File { sum, .. } => *sum.0.first_chunk::<{ DIGITS / 2 }>()?,
        State::Symlink { target } => *blake3::hash(target).as_bytes().first_chunk::<{ DIGITS / 2 }>()?,
        _ => return None,
    };
    if is_copy(bytes) {
        return None;
    }
    let dot = bytes.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0).unwrap_or(bytes.len());
    let (stem, extension) = bytes.split_at_checked(dot)?;
    let digits: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    let copy = [stem, MARK, digits.as_bytes(), extension].concat();
    (copy.len() <= 255).then(|| Name::new(copy).ok())?
}

fn is_copy(name: &[u8]) -> bool {
    name.windows(MARK.len() + DIGITS)
        .any(|part| part.strip_prefix(MARK).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twoway::record::ContentSum;

    #[test]
    fn copies_are_named_by_their_content() {
        let file = State::File { sum: ContentSum([0xab; 32]), size: 1 };
        let copy = |name: &str| {
            let name = copy_name(&Name::new(name.as_bytes()).unwrap(), &file)?;
            Some(String::from_utf8(name.as_bytes().to_vec()).unwrap())
        };
        assert_eq!(copy("a.txt").as_deref(), Some("a.conflict-abababab.txt"));
        assert_eq!(copy("a.tar.gz").as_deref(), Some("a.tar.conflict-abababab.gz"));
        assert_eq!(copy(".profile").as_deref(), Some(".profile.conflict-abababab"));
        assert_eq!(copy("Makefile").as_deref(), Some("Makefile.conflict-abababab"));
        assert_eq!(copy("a.conflict-0123cdef.txt"), None);
        assert_eq!(
            copy("a.conflict-of-interest.txt").as_deref(),
            Some("a.conflict-of-interest.conflict-abababab.txt")
        );
        assert_eq!(copy(&"x".repeat(250)), None);
    }
}
