//! Where both versions of a conflict are kept: which has the name, and what the other is called.

use crate::tree::Name;
use crate::twoway::decide::Side;
use crate::twoway::record::{Attributes, Record, State};

/// The mark between the stem of a copy's name and the digits after it.
const MARK: &[u8] = b".conflict-";
/// How many hexadecimal digits of the sum a copy's name has.
const DIGITS: usize = 8;
/// The longest name that Linux file systems take, in bytes.
const LONGEST: usize = 255;

/// Who keeps the name where both are kept: the directory; else the newer; else the greater by content and attributes,
/// so that every replica chooses the same.
pub(in crate::twoway) fn keeps_the_name(left: &Record, right: &Record) -> Side {
    let rank = |record: &Record| {
        let stays = record.occupied || record.state.is_directory();
        let facets: Vec<_> = record.extended.iter().map(|(facet, register)| (facet, register.sum)).collect();
        let Attributes { mode, owner } = record.attributes;
        (stays, record.mtime, sum(&record.state), mode, owner, facets)
    };
    if rank(left) < rank(right) { Side::Right } else { Side::Left }
}

/// The name of the copy of a loser: made of its content, so that the same conflict settled twice makes one copy. `None`
/// for what is no file, link or special file, for a copy, which is not copied again, and where no name would be short
/// enough.
pub(in crate::twoway) fn copy_name(name: &Name, loser: &State) -> Option<Name> {
    let bytes = name.as_bytes();
    let sum = sum(loser)?;
    if is_copy(bytes) {
        return None;
    }
    let dot = bytes.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0).unwrap_or(bytes.len());
    let (stem, extension) = bytes.split_at_checked(dot)?;
    let digits: String = sum.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
    let copy = [stem, MARK, digits.as_bytes(), extension].concat();
    (copy.len() <= LONGEST).then(|| Name::new(copy).ok())?
}

fn sum(state: &State) -> Option<[u8; 32]> {
    match state {
        State::File { sum, .. } => Some(sum.0),
        State::Symlink { target } => Some(*blake3::hash(target).as_bytes()),
        State::Special(kind, number) => {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&[kind.code()]);
            if let Some(number) = number {
                hasher.update(&number.major.to_le_bytes());
                hasher.update(&number.minor.to_le_bytes());
            }
            Some(*hasher.finalize().as_bytes())
        }
        State::Absent | State::Directory | State::Unknown => None,
    }
}

/// Whether a name, or one of those on a path, may be that of a copy.
pub(in crate::twoway) fn is_copy(name: &[u8]) -> bool {
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
