//! The list of `--files-from`, and how it gets to the side that reads the sources.
//!
//! The asking side may have it, or the peer, and the source may be either. Whoever has it and is not the source tells
//! it before the pass begins ([`talk`](crate::session::talk)). As the list may be long, it is one piece of memory from
//! the file to the view: names, each with a NUL after it.

use crate::fs::{self, Links};
use crate::request::NamesFrom;
use crate::session::talk::LIMIT;
use crate::session::{Failure, without_tilde};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

/// Reads a list to its end.
///
/// # Errors
/// It cannot be read, or is too long.
pub fn read_names(from: &mut impl Read, nul: bool) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    from.take(LIMIT.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the list of names is too long"));
    }
    Ok(names(&content, nul))
}

/// The names in a list: of those that are parted by the ends of lines, or by NUL, the ones that are not empty and do
/// not begin as a comment.
fn names(content: &[u8], nul: bool) -> Vec<u8> {
    let is_end = |byte: &u8| if nul { *byte == 0 } else { matches!(byte, b'\n' | b'\r' | 0) };
    let mut names = Vec::with_capacity(content.len().saturating_add(1));
    for name in content.split(is_end).filter(|name| !matches!(name.first(), None | Some(b'#' | b';'))) {
        names.extend_from_slice(name);
        names.push(0);
    }
    names
}

/// The list that the peer has, read by the peer.
pub(super) fn own(from: Option<&NamesFrom>, links: Links) -> Result<Option<Vec<u8>>, Failure> {
    let Some(NamesFrom::Peer { file, nul }) = from else { return Ok(None) };
    let file = without_tilde(file.clone());
    let opened = fs::open_named(OsStr::from_bytes(&file), links).map_err(|error| error.source);
    let read = opened.and_then(|mut opened| read_names(&mut opened, *nul));
    read.map(Some).map_err(|source| Failure::Names { file, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_name_nothing_are_left_out() {
        let list = b"a\n\n#comment\n; too\nb c\r\nd #e\n f";
        assert_eq!(names(list, false), b"a\0b c\0d #e\0 f\0");
        assert_eq!(names(b"a\nb\0\0;x\0c", true), b"a\nb\0c\0");
        assert_eq!(names(b"", true), b"");
    }
}
