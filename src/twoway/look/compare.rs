//! Whether an entry is what a log says of it, and what is to be set to make it so.

use crate::fs::{Dir, Error, Expected, SetMeta, Stamped};
use crate::tree::{Entry, Meta, Name, Node};
use crate::twoway::record::{Record, State};
use crate::twoway::scan;
use std::sync::atomic::AtomicBool;

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// What is expected of an entry that was just looked at.
pub(super) fn expected(found: &Stamped) -> Expected {
    match found.entry.is_dir() {
        true => Expected::Directory { dev: found.stamp.dev, ino: found.stamp.ino },
        false => Expected::Version(found.stamp),
    }
}

/// Whether an entry is in a state, as far as that shows without reading it.
pub(super) fn is_alike(found: &Entry, state: &State) -> bool {
    match (state, &found.node) {
        (State::File { size, .. }, Node::File { size: found }) => size == found,
        (State::Symlink { target }, Node::Symlink { target: found }) => target == found,
        (State::Special(kind, device), Node::CharDevice(number) | Node::BlockDevice(number)) => {
            *kind == found.kind() && *device == Some(*number)
        }
        _ => state.kind() == Some(found.kind()),
    }
}

/// Whether what was found at a path, or that nothing was, is what a record says.
pub(super) fn is_content(
    dir: &Dir,
    name: &Name,
    found: Option<&Stamped>,
    record: &Record,
) -> Result<bool, Error> {
    let Some(found) = found else { return Ok(record.state == State::Absent) };
    if !is_alike(&found.entry, &record.state) {
        return Ok(false);
    }
    let State::File { sum, .. } = &record.state else { return Ok(true) };
    let reading = |source| Error { doing: "reading", source };
    let file = dir.open_file(name)?;
    let pieces = file.pieces(0..file.len());
    let mut buffer = pieces.buffer(BUFFER);
    let read = scan::sum(pieces, &AtomicBool::new(false), &mut buffer).map_err(reading)?;
    Ok(read == *sum && file.stamp() == found.stamp && !file.changed().map_err(reading)?)
}

/// What of an entry's attributes is to be set to what it was: what the run had changed. `None` if somebody has changed
/// it since.
pub(super) fn set_back(before: &Record, after: &Record, now: &Meta, is_directory: bool) -> Option<SetMeta> {
    let mut meta = SetMeta::default();
    if before.attributes.mode != after.attributes.mode && now.mode != before.attributes.mode {
        meta.mode = Some(before.attributes.mode).filter(|_| now.mode == after.attributes.mode);
        meta.mode?;
    }
    let ((user, group), (set_user, set_group)) = (before.attributes.owner, after.attributes.owner);
    meta.owner = owner_back(user, set_user, now.uid)?;
    meta.group = owner_back(group, set_group, now.gid)?;
    // A time is no edit. That of a directory changes with what is in it.
    if before.mtime != after.mtime && (is_directory || now.mtime == after.mtime) && now.mtime != before.mtime
    {
        meta.mtime = Some(before.mtime);
    }
    Some(meta)
}

/// The same of a user or a group.
fn owner_back<T: Copy + PartialEq>(before: Option<T>, after: Option<T>, now: T) -> Option<Option<T>> {
    match before.zip(after) {
        Some((before, after)) if before != after && now != before => (now == after).then_some(Some(before)),
        _ => Some(None),
    }
}
