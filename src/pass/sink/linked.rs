//! Directories at the destination that are reached through symbolic links the user keeps: with `-K` those in the place
//! of a directory of the source, and those above what was named where `--no-implied-dirs` leaves them alone.
//!
//! They are found from the root each time, since a link may lead anywhere inside the tree, and never out of it.

use crate::fs::{Error, ReadFile};
use crate::pass::sink::Sink;
use crate::pass::sink::directories::Counterpart;
use crate::tree::{Entry, Kind, Name, Node, RelPath};
use std::io;

/// A directory that was listed and has not been entered.
#[derive(Debug)]
pub(super) struct Child {
    /// As the source has it.
    pub entry: Entry,
    /// What is here of it.
    pub own: Option<Entry>,
    /// What was found out about it.
    pub standing: Standing,
}

/// How a directory that was listed is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// As any.
    Meant,
    /// It is there only for what is below it, and has no attributes of the source.
    Implied,
    /// Nothing can be put there, which was told.
    Barred,
}

impl Child {
    /// As any.
    pub(super) fn meant(entry: Entry, own: Option<Entry>) -> Child {
        Child { entry, own, standing: Standing::Meant }
    }
}

impl Sink<'_> {
    /// Whether a symbolic link here may stay in the place of a directory that stands so.
    fn keeps_link(&self, standing: Standing) -> bool {
        self.context.options.link_rules.keep_dirs || standing == Standing::Implied
    }

    /// A listed directory as it is entered: a link that is kept counts as the directory it leads to, which may have
    /// been deleted since the link was seen.
    pub(super) fn through_link(&self, path: &RelPath, child: Child) -> Child {
        let Child { entry, own, standing } = child;
        let is_link = own.as_ref().is_some_and(|own| own.kind() == Kind::Symlink);
        if !is_link || !self.keeps_link(standing) {
            return Child { entry, own, standing };
        }
        let inside = self.inside(path).and_then(|dir| dir.dir().ok_or_else(Error::not_listed)?.own_meta());
        match inside {
            Ok(meta) => {
                let own = Entry::new(entry.name.clone(), Node::Directory, meta);
                Child { entry, own: Some(own), standing }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.tally.failed(path, &error);
                Child { entry, own, standing: Standing::Barred }
            }
            // To a file, or to nothing.
            Err(_) => Child { entry, own, standing },
        }
    }

    /// Opens a directory in another, through a link if such are kept.
    pub(super) fn open_child(
        &self,
        parent: &Counterpart,
        path: &RelPath,
        name: &Name,
    ) -> Result<Counterpart, Error> {
        match parent.open(name) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory && self.may_keep_links() => {
                self.inside(path)
            }
            opened => opened,
        }
    }

    /// The directory at a path below the destination, with as much access as the run has.
    pub(super) fn counterpart_at(&self, path: &RelPath) -> Result<Counterpart, Error> {
        let root = self.destination.get().and_then(|destination| destination.root.as_ref());
        let opened = match root.map(|root| (root, root.writable())) {
            None => return Ok(Counterpart::Absent),
            Some((_, Some(root))) => root.open_beneath_writable(path).map(Counterpart::Writable),
            Some((root, None)) => root.dir().open_beneath(path).map(Counterpart::ReadOnly),
        };
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory && self.may_keep_links() => {
                self.inside(path)
            }
            opened => opened,
        }
    }

    /// Opens the file at a path below the destination for reading.
    pub(super) fn open_here(&self, path: &RelPath) -> Result<ReadFile, Error> {
        let (above, name) = path.split_last().ok_or_else(Error::not_listed)?;
        self.counterpart_at(&above)?.open_file(&name)
    }

    /// Whether any link may be kept in this run.
    fn may_keep_links(&self) -> bool {
        self.context.options.link_rules.keep_dirs || self.context.options.no_implied_dirs
    }

    fn inside(&self, path: &RelPath) -> Result<Counterpart, Error> {
        let root = self.destination.get().and_then(|destination| destination.root.as_ref());
        match root.map(|root| (root, root.writable())) {
            None => Ok(Counterpart::Absent),
            Some((_, Some(root))) => root.open_inside_writable(path).map(Counterpart::Writable),
            Some((root, None)) => root.dir().open_inside(path).map(Counterpart::ReadOnly),
        }
    }
}
