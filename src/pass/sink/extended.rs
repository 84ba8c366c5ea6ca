//! Extended attributes and ACLs at the sink: what of them is looked at, asked for, and set.
//!
//! ACLs come with the listing, like a mode. Of extended attributes a listing has sums only, and their values are sent
//! where they are needed: with the content of a file, and by themselves to what needs no content. They are set before a
//! file gets its name; on what is there already, and on directories, when they come.

use crate::fs::{Dir, Error, Look, SetAcls, SetExtended, XattrNames};
use crate::pass::PassError;
use crate::pass::decide::{SetXattrs, Update};
use crate::pass::sink::Sink;
use crate::pass::sink::batches::{Asked, Batch, Wanted};
use crate::pass::sink::directories::Counterpart;
use crate::pass::sink::flights::Flight;
use crate::report::ProblemClass;
use crate::request::Options;
use crate::tree::filter::{Scope, Side, XattrRules};
use crate::tree::{Acls, Entry, Name, RelPath, Xattrs};
use crate::wire::{DirId, Fetch, FetchWhat, FetchedFile, FileId, Message};
use std::sync::atomic::{AtomicBool, Ordering};

static NONE: Xattrs = Xattrs::NONE;

/// Which of them take part in a run.
#[derive(Debug)]
pub(super) struct Extended {
    /// What is looked at of each entry here: also attributes that the running user may not set, since those of the
    /// source are summed with them.
    look: Look,
    /// Which attributes are set.
    names: XattrNames,
    /// The same without regard to rules.
    all: XattrNames,
    /// Whether it was told that the file system has none.
    told_unsupported: AtomicBool,
}

impl Extended {
    pub(super) fn new(options: &Options, is_root: bool) -> Extended {
        let scope = Scope::from(options.rules.clone());
        let rules = XattrRules::among(&scope, Side::Receiver);
        let names = XattrNames { all_namespaces: true, rsyncs_own: true, rules };
        let xattrs = (options.xattrs > 0).then(|| names.clone());
        let look = Look { acls: options.acls, xattrs, atimes: options.atimes };
        let names = XattrNames { all_namespaces: is_root, ..names };
        let all = XattrNames { rules: None, ..names.clone() };
        Extended { look, names, all, told_unsupported: AtomicBool::new(false) }
    }
}

impl Sink<'_> {
    /// Whether more is looked at of entries than the system always tells.
    pub(super) fn looks_closer(&self) -> bool {
        !self.extended.look.is_nothing()
    }

    /// Looks closer at an entry of a directory. What is not there any more has nothing to be seen.
    pub(super) fn look_closer(&self, dir: &Counterpart, entry: &mut Entry) -> Result<(), Error> {
        if let Some(dir) = dir.dir() {
            entry.see_more(match dir.extra(&entry.name, entry.kind(), &self.extended.look) {
                Err(error) if error.is_not_found() => None,
                seen => seen?,
            });
        }
        Ok(())
    }

    /// The same of an entry of a directory that is compared with besides.
    pub(super) fn look_closer_in(&self, basis: &Dir, entry: &mut Entry) -> Result<(), Error> {
        if self.looks_closer() {
            entry.see_more(basis.extra(&entry.name, entry.kind(), &self.extended.look)?);
        }
        Ok(())
    }

    /// Which attributes the running user may set, whatever rules say of them: for what is kept of an entry here, which
    /// rules about the source's attributes are not about.
    pub(super) fn all_names(&self) -> &XattrNames {
        &self.extended.all
    }

    /// What is looked at of such a directory itself.
    pub(super) fn look_at_basis(&self, basis: &Dir) -> Result<Option<Box<crate::tree::Extra>>, Error> {
        if self.looks_closer() { basis.own_extra(&self.extended.look) } else { Ok(None) }
    }

    /// The same of the directory at the top.
    pub(super) fn look_at_root(&self, here: &Counterpart) -> Option<Box<crate::tree::Extra>> {
        let dir = here.dir().filter(|_| self.looks_closer())?;
        dir.own_extra(&self.extended.look).unwrap_or_else(|error| {
            self.tally.failed(&RelPath::root(), &error);
            None
        })
    }

    /// What an update sets of them, on what is to have these ACLs and the attributes that were sent.
    pub(super) fn extended<'e>(
        &'e self,
        acls: Option<&'e Acls>,
        update: &Update,
        xattrs: Option<&'e Xattrs>,
    ) -> SetExtended<'e> {
        let xattrs = match update.xattrs {
            SetXattrs::Leave => None,
            SetXattrs::Clear => Some(&NONE),
            SetXattrs::Fetch => xattrs,
        };
        SetExtended {
            acls: update.acls.map(|mode| SetAcls { acls, mode }),
            xattrs: xattrs.map(|xattrs| (xattrs, &self.extended.names)),
        }
    }

    /// The attributes that are set where those here are to go.
    pub(super) fn cleared(&self, xattrs: SetXattrs) -> Option<(&'static Xattrs, &XattrNames)> {
        (xattrs == SetXattrs::Clear).then_some((&NONE, &self.extended.names))
    }

    /// Sets what is to be set by `set`. What cannot be is told, and that the file system has nothing of the kind once
    /// in a run.
    pub(super) fn set_extended(
        &self,
        path: &RelPath,
        extended: &SetExtended<'_>,
        set: impl FnOnce(&SetExtended<'_>) -> Result<(), Error>,
    ) {
        if !extended.is_empty()
            && let Err(error) = set(extended)
        {
            self.not_extended(path, &error);
        }
    }

    /// Tells that something of the kind could not be set.
    pub(super) fn not_extended(&self, path: &RelPath, error: &Error) {
        if error.is_unsupported() && self.extended.told_unsupported.swap(true, Ordering::Relaxed) {
            self.tally.note(path);
            self.tally.count(|totals| totals.count(ProblemClass::Failed));
        } else {
            self.tally.failed(path, error);
        }
    }

    /// Asks for the attributes of a directory that is open: one of those listed in `parent`, or the root.
    pub(super) fn fetch_own_xattrs(
        &self,
        dir: DirId,
        path: RelPath,
        parent: Option<(DirId, u32)>,
    ) -> Result<(), PassError> {
        let batch = Batch { dir, path, asked: Asked::OwnXattrs, files: Vec::new().into_iter() };
        let batch = self.flights.start_batch(batch)?;
        let (dir, indices) = parent.map_or((dir, Vec::new()), |(parent, index)| (parent, vec![index]));
        Ok(self.sender.send(Message::Fetch(Fetch { batch, dir, indices, what: FetchWhat::Xattrs }))?)
    }

    /// Asks for the attributes of entries of a directory.
    pub(super) fn fetch_xattrs(
        &self,
        dir: DirId,
        path: &RelPath,
        files: Vec<Wanted>,
    ) -> Result<(), PassError> {
        if files.is_empty() {
            return Ok(());
        }
        let indices = files.iter().map(|file| file.index).collect();
        self.directories.with(dir, |dir| dir.unsettled += files.len() as u64)?;
        let batch = Batch { dir, path: path.clone(), asked: Asked::Xattrs, files: files.into_iter() };
        let batch = self.flights.start_batch(batch)?;
        Ok(self.sender.send(Message::Fetch(Fetch { batch, dir, indices, what: FetchWhat::Xattrs }))?)
    }

    /// Asks for those of a file that was compared, and needs nothing else.
    pub(super) fn fetch_xattrs_of(
        &self,
        file: FileId,
        flight: Flight,
        update: Update,
    ) -> Result<(), PassError> {
        let Flight { dir, index, entry, own, .. } = flight;
        let path = self.directories.with(dir, |dir| dir.path.clone())?;
        let files = vec![Wanted { index, entry, own, found: None, like: None, update }].into_iter();
        let batch = Batch { dir, path, asked: Asked::Xattrs, files };
        let batch = self.flights.turn_into_batch(file, batch);
        let (indices, what) = (vec![index], FetchWhat::Xattrs);
        Ok(self.sender.send(Message::Fetch(Fetch { batch, dir, indices, what }))?)
    }

    /// Sets attributes of a directory that have come.
    pub(super) fn set_own_xattrs(
        &self,
        dir: DirId,
        path: &RelPath,
        xattrs: &Xattrs,
    ) -> Result<(), PassError> {
        let here = self.directories.writable(self, dir)?;
        let extended = SetExtended { xattrs: Some((xattrs, &self.extended.names)), acls: None };
        self.set_extended(path, &extended, |extended| here?.set_own_extended(extended));
        Ok(())
    }

    /// Sets attributes of an entry that have come.
    pub(super) fn set_xattrs(
        &self,
        dir: DirId,
        (path, entry): (&RelPath, &Entry),
        xattrs: &Xattrs,
    ) -> Result<(), PassError> {
        let here = self.directories.writable(self, dir)?;
        let renamed: Option<&Name> = self.destination()?.rename.as_ref();
        let name = renamed.unwrap_or(&entry.name);
        let extended = SetExtended { xattrs: Some((xattrs, &self.extended.names)), acls: None };
        let path = path.join(&entry.name);
        self.set_extended(&path, &extended, |extended| here?.set_extended(name, entry.kind(), extended));
        Ok(())
    }
}

/// The attributes that came with something, cut off the data of its message.
pub(super) fn attached(file: FetchedFile) -> u32 {
    match file {
        FetchedFile::Whole { attached, .. } | FetchedFile::Xattrs { attached } => attached,
        FetchedFile::Longer | FetchedFile::Unreadable => 0,
    }
}
