//! The eleven columns of `--itemize-changes`: `YXcstpoguax`.
//!
//! `Y` is what is done (`<` sent, `>` received or copied here, `c` made, `h` made another name of a file
//! that is there, `.` attributes at most), `X` what it is
//! (`f d L D S`), and each of the others a letter if that part differs: content, size, time (`T`: becomes the time of
//! the transfer), permissions, owner, group, access time, ACLs, extended attributes. Nine `+` mark
//! what is new, blanks what does not differ at all. See rsync(1), `--itemize-changes`.

use crate::cli::output::Direction;
use crate::report::{Action, Item, TimeChange};
use crate::tree::Kind;

/// The columns for a deletion.
pub(super) const DELETED: &str = "*deleting  ";

/// The columns for an item.
pub(super) fn columns(item: &Item, direction: Direction) -> String {
    let change = &item.change;
    let action = match (change.action, direction) {
        (Action::Transfer, Direction::Push) => '<',
        (Action::Transfer, Direction::Pull | Direction::Local) => '>',
        (Action::Create | Action::Copied, _) => 'c',
        (Action::Link | Action::Linked, _) => 'h',
        (Action::Attributes, _) => '.',
    };
    let kind = match item.kind {
        Kind::File => 'f',
        Kind::Directory => 'd',
        Kind::Symlink => 'L',
        Kind::CharDevice | Kind::BlockDevice => 'D',
        Kind::Fifo | Kind::Socket => 'S',
    };
    if change.new {
        return format!("{action}{kind}+++++++++");
    }
    if change.is_nothing() || (change.action == Action::Link && !change.differs()) {
        return format!("{action}{kind}         ");
    }
    let letter = |differs: bool, letter: char| if differs { letter } else { '.' };
    let time = match change.time {
        TimeChange::None => '.',
        TimeChange::Source => 't',
        TimeChange::Now => 'T',
    };
    let content = letter(change.content, 'c');
    let size = letter(change.size, 's');
    let perms = letter(change.perms, 'p');
    let owner = letter(change.owner, 'o');
    let group = letter(change.group, 'g');
    let atime = letter(change.atime, 'u');
    let acls = letter(change.acls, 'a');
    let xattrs = letter(change.xattrs, 'x');
    format!("{action}{kind}{content}{size}{time}{perms}{owner}{group}{atime}{acls}{xattrs}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Change;
    use crate::tree::RelPath;

    const SAME: Change = Change::only(Action::Attributes);

    #[test]
    fn columns_are_those_of_rsync() {
        let transfer = Change::only(Action::Transfer);
        let create = Change::only(Action::Create);
        let link = Change::only(Action::Link);
        for (kind, change, direction, columns) in [
            (Kind::File, Change { new: true, ..transfer }, Direction::Local, ">f+++++++++"),
            (Kind::File, Change { new: true, ..transfer }, Direction::Push, "<f+++++++++"),
            (Kind::Directory, Change { new: true, ..create }, Direction::Push, "cd+++++++++"),
            (Kind::Symlink, Change { new: true, ..create }, Direction::Pull, "cL+++++++++"),
            (Kind::Fifo, Change { new: true, ..create }, Direction::Pull, "cS+++++++++"),
            (Kind::BlockDevice, Change { new: true, ..create }, Direction::Pull, "cD+++++++++"),
            (
                Kind::File,
                Change { size: true, time: TimeChange::Source, ..transfer },
                Direction::Pull,
                ">f.st......",
            ),
            (
                Kind::File,
                Change { content: true, time: TimeChange::Now, ..transfer },
                Direction::Pull,
                ">fc.T......",
            ),
            (Kind::File, transfer, Direction::Pull, ">f........."),
            (Kind::Symlink, Change { content: true, ..create }, Direction::Pull, "cLc........"),
            (Kind::Directory, Change { time: TimeChange::Source, ..SAME }, Direction::Push, ".d..t......"),
            (
                Kind::File,
                Change { perms: true, owner: true, group: true, ..SAME },
                Direction::Push,
                ".f...pog...",
            ),
            (
                Kind::File,
                Change { atime: true, acls: true, xattrs: true, ..SAME },
                Direction::Push,
                ".f......uax",
            ),
            (Kind::Socket, SAME, Direction::Push, ".S         "),
            (Kind::File, link, Direction::Push, "hf         "),
            (Kind::File, Change { new: true, ..link }, Direction::Push, "hf+++++++++"),
            (
                Kind::File,
                Change { perms: true, time: TimeChange::Now, ..link },
                Direction::Pull,
                "hf..Tp.....",
            ),
            (Kind::Symlink, Change::only(Action::Linked), Direction::Push, "hL         "),
        ] {
            let item = Item {
                path: RelPath::root(),
                kind,
                target: None,
                leader: None,
                size: 0,
                change,
                facts: None,
            };
            assert_eq!(super::columns(&item, direction), columns);
        }
    }

    #[test]
    fn a_deletion_is_as_wide() {
        assert_eq!(DELETED.len(), 11);
    }
}
