//! The executable of this program, to be put where there is none.

use crate::fs::{Links, open_named};
use crate::session::Failure;
use aws_lc_rs::digest::{Context, SHA256};
use rustix::system::uname;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::{self, Read};
use xxhash_rust::xxh3::Xxh3;

/// How much of it is held at a time, in bytes.
const PIECE: usize = 256 << 10;

/// This program's executable.
#[derive(Debug, Clone)]
pub(in crate::session) struct Executable {
    /// Where it is.
    pub(super) path: OsString,
    /// Its length in bytes.
    pub(super) size: u64,
    /// The name of its directory: the version, for people, and what tells this one from others of that version. The
    /// first command for a host needs it, so it is made by a sum that takes a millisecond; nobody has anything to gain
    /// from two executables with the same.
    pub(super) name: String,
}

impl Executable {
    /// Looks at the one at `path`.
    pub(in crate::session) fn read(path: &OsStr) -> Result<Executable, Failure> {
        let (mut sum, mut size) = (Xxh3::new(), 0u64);
        pieces(path, |piece| {
            sum.update(piece);
            size = size.saturating_add(piece.len() as u64);
            Ok(())
        })
        .map_err(unreadable)?;
        let name = format!("{}-{:016x}", env!("CARGO_PKG_VERSION"), sum.digest());
        Ok(Executable { path: path.to_owned(), size, name })
    }

    /// Its SHA-256 sum in hexadecimal digits, which is what programs for sums on other hosts print.
    pub(super) fn sum(&self) -> Result<String, Failure> {
        let mut context = Context::new(&SHA256);
        self.pieces(|piece| {
            context.update(piece);
            Ok(())
        })
        .map_err(unreadable)?;
        Ok(context.finish().as_ref().iter().fold(String::new(), |mut sum, byte| {
            // Never fails into a string.
            let _ = write!(sum, "{byte:02x}");
            sum
        }))
    }

    /// Hands over its bytes.
    pub(super) fn pieces(&self, take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        pieces(&self.path, take)
    }

    /// The system and the machine that it runs on, as uname(1) tells them.
    pub(super) fn machine() -> String {
        let name = uname();
        format!("{} {}", name.sysname().to_string_lossy(), name.machine().to_string_lossy())
    }
}

fn unreadable(source: io::Error) -> Failure {
    Failure::System { doing: "reading this program's own file", source }
}

fn pieces(path: &OsStr, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut file = open_named(path, Links::Any).map_err(|error| error.source)?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => take(piece.get(..count).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_and_the_size_are_those_of_the_file() {
        let scene = tempfile::tempdir().unwrap();
        let path = scene.path().join("program");
        std::fs::write(&path, "abc").unwrap();
        let executable = Executable::read(path.as_os_str()).unwrap();
        // FIPS 180-4's own example.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(executable.sum().unwrap(), expected);
        assert_eq!(executable.size, 3);
        assert_eq!(executable.name, concat!(env!("CARGO_PKG_VERSION"), "-78af5f94892f3950"));
        let mut bytes = Vec::new();
        let keep = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        executable.pieces(keep).unwrap();
        assert_eq!(bytes, b"abc");
        assert!(Executable::read(scene.path().join("none").as_os_str()).is_err());
    }
}
