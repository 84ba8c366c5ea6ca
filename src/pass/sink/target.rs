//! What a file's new content is written to: a staged file beside it, the file itself, or its end.

use crate::delta::{Basis, Held, MAX_BASIS_LEN, Output};
use crate::fs::{Error, ReadFile, SetMeta, Stage, WriteFile};
use std::io;
use std::ops::Deref;
use std::sync::Arc;

/// The file being written.
#[derive(Debug)]
pub(super) enum Target {
    /// Renamed over the old one when it is whole.
    Stage(Stage),
    /// The old one itself (`--inplace`).
    InPlace {
        /// It.
        file: WriteFile,
        /// What it was when it was signed.
        signed: Signed,
    },
    /// The rest of the old one itself (`--append`).
    Rest {
        /// It.
        file: WriteFile,
        /// How much of it stays, in bytes. Places are told from there on.
        from: u64,
    },
}

/// What is known of a file that was signed and is to be updated in place.
#[derive(Debug)]
pub(super) enum Signed {
    /// This is the file as it was opened to be signed, if it was, and nothing has been written to it yet.
    Untouched(Option<Arc<ReadFile>>),
    /// Something was written, or it is another file; whether it was another version by then.
    Touched(bool),
}

impl Target {
    /// A file to be updated in place, and what it holds of the one that was signed, if any was. Both were opened by
    /// name: if this is another one by now, it holds nothing that is known.
    pub(super) fn in_place(
        file: WriteFile,
        signed: Option<Arc<ReadFile>>,
        held: Held,
    ) -> Result<(Target, Held), Error> {
        let here = file.stamp()?;
        let is_other = |signed: &Arc<ReadFile>| {
            let signed = signed.stamp();
            (signed.dev, signed.ino) != (here.dev, here.ino)
        };
        if signed.as_ref().is_some_and(is_other) {
            return Ok((Target::InPlace { file, signed: Signed::Touched(true) }, Held::default()));
        }
        Ok((Target::InPlace { file, signed: Signed::Untouched(signed) }, held))
    }

    /// The rest of a file that is to be as long as it was when it was listed.
    pub(super) fn rest(file: WriteFile, from: u64) -> Result<Target, Error> {
        const APPENDING: &str = "appending to";
        let len = file.len().map_err(|source| Error { doing: APPENDING, source })?;
        if len != from {
            let source = io::Error::other("it has another length than when it was listed; run again");
            return Err(Error { doing: APPENDING, source });
        }
        Ok(Target::Rest { file, from })
    }

    /// Whether somebody made it shorter than `len` bytes, as which it has been told.
    pub(super) fn is_cut(&self, len: u64) -> io::Result<bool> {
        match self {
            Target::Stage(_) | Target::Rest { .. } => Ok(false),
            // Nobody makes a device shorter, and some hold nothing of what is written to them.
            Target::InPlace { file, .. } => Ok(!file.is_device() && file.len()? < len),
        }
    }

    /// Whether somebody else changed it after it was opened to be signed, so that what was seen of it then is not known
    /// to be there. It cannot be told from this run's own changes once these have begun.
    pub(super) fn has_changed(&self) -> io::Result<bool> {
        match self {
            Target::Stage(_)
            | Target::Rest { .. }
            | Target::InPlace { signed: Signed::Untouched(None), .. } => Ok(false),
            Target::InPlace { signed: Signed::Untouched(Some(signed)), .. } => signed.changed(),
            Target::InPlace { signed: Signed::Touched(changed), .. } => Ok(*changed),
        }
    }

    /// The same where it can be renamed to its name (see [`Stage::brought_home`]).
    pub(super) fn brought_home(self, go_on: impl Fn() -> bool) -> Result<Target, Error> {
        match self {
            Target::Stage(stage) => stage.brought_home(go_on).map(Target::Stage),
            target => Ok(target),
        }
    }

    /// Takes back what was appended to a file, which was not what the source has.
    pub(super) fn take_back(&self) -> Result<(), Error> {
        match self {
            Target::Rest { file, from } => file.set_len(*from),
            Target::Stage(_) | Target::InPlace { .. } => Ok(()),
        }
    }

    /// Gives a verified file its attributes and, if it was staged, its name.
    pub(super) fn install(self, set: &SetMeta) -> Result<(), Error> {
        match self {
            Target::Stage(stage) => stage.install(set),
            Target::InPlace { file, .. } | Target::Rest { file, .. } => file.finish(set),
        }
    }
}

impl Deref for Target {
    type Target = WriteFile;
    fn deref(&self) -> &WriteFile {
        match self {
            Target::Stage(stage) => stage,
            Target::InPlace { file, .. } | Target::Rest { file, .. } => file,
        }
    }
}

impl Output for Target {
    fn write_at(&mut self, data: &[u8], position: u64) -> io::Result<()> {
        let changed = self.has_changed()?;
        if let Target::InPlace { signed, .. } = self {
            *signed = Signed::Touched(changed);
        }
        let at = match self {
            Target::Rest { from, .. } => position.saturating_add(*from),
            _ => position,
        };
        WriteFile::write_at(self, data, at).map_err(|error| error.source)
    }
}

/// What copies are taken from; `None` if the source was told of no basis.
#[derive(Debug)]
pub(super) struct BasisFile(pub Option<Arc<ReadFile>>);

impl BasisFile {
    /// How many bytes of it a signature covers.
    pub(super) fn covered(&self) -> u64 {
        self.0.as_ref().map_or(0, |file| file.len().min(MAX_BASIS_LEN))
    }
}

impl Basis for BasisFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let read = match &self.0 {
            Some(file) => file.read_full_at(buf, offset)?,
            None => 0,
        };
        if read == buf.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Links, Root};
    use crate::tree::Name;

    #[test]
    fn what_is_appended_goes_to_the_end_that_was_listed() {
        let at = tempfile::tempdir().unwrap();
        std::fs::write(at.path().join("file"), "content").unwrap();
        let root = Root::open(at.path().as_os_str(), Links::Trusted).unwrap();
        let open = || root.writable().unwrap().open_in_place(&Name::new(&b"file"[..]).unwrap()).unwrap();
        assert!(Target::rest(open(), 6).is_err() && Target::rest(open(), 8).is_err());
        let mut target = Target::rest(open(), 7).unwrap();
        Output::write_at(&mut target, b"more", 1).unwrap();
        assert_eq!(std::fs::read(at.path().join("file")).unwrap(), b"content\0more");
    }

    #[test]
    fn of_another_file_than_was_signed_nothing_is_held() {
        let at = tempfile::tempdir().unwrap();
        for name in ["signed", "other"] {
            std::fs::write(at.path().join(name), "content").unwrap();
        }
        let root = Root::open(at.path().as_os_str(), Links::Trusted).unwrap();
        let name = |name: &str| Name::new(name.as_bytes()).unwrap();
        let signed = Arc::new(root.dir().open_file(&name("signed")).unwrap());
        for (here, is_it) in [("signed", true), ("other", false)] {
            let file = root.writable().unwrap().open_in_place(&name(here)).unwrap();
            let held = Held { len: 7, ..Held::default() };
            let (target, held) = Target::in_place(file, Some(signed.clone()), held).unwrap();
            assert_eq!(target.has_changed().unwrap(), !is_it, "{here}");
            assert_eq!(held.len, if is_it { 7 } else { 0 }, "{here}");
        }
        let file = root.writable().unwrap().open_in_place(&name("signed")).unwrap();
        let (target, _) = Target::in_place(file, Some(signed), Held::default()).unwrap();
        assert!(!target.is_cut(7).unwrap());
        std::fs::write(at.path().join("signed"), "short").unwrap();
        assert!(target.is_cut(7).unwrap());
    }
}
