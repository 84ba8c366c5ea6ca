//! Extended attributes and access control lists: reading what a run compares, and making an entry like another.
//!
//! Like all attributes they are reached by a handle of the very entry, never by a path. ACLs are attributes to the
//! system, of names that no other attribute has, so the two are kept apart by name: setting the one never touches the
//! other.
//!
//! A file system without them has none to read. That something cannot be set there is an error of the kind
//! [`Unsupported`](io::ErrorKind::Unsupported).

use crate::fs::{Dir, Error, Keeping, attributes, crash, fake, kernel, status};
use crate::tree::filter::XattrRules;
use crate::tree::xattr::{MAX_XATTR_VALUE, MAX_XATTRS, is_carried, is_users};
use crate::tree::{Acl, Acls, DefaultAcl, Escaped, Extra, Kind, Name, Xattr, XattrSummer, XattrSums, Xattrs};
use filetime::FileTime;
use rustix::fs::{AtFlags, Mode};
use rustix::io::{Errno, Result as SystemResult};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// Names that rsync gives to attributes of its own.
const RSYNCS_OWN: &[u8] = b"user.rsync.%";

const READING_ACL: &str = "reading the ACL of";
const READING: &str = "reading extended attributes of";
const SETTING_ACL: &str = "setting the ACL of";
const SETTING: &str = "setting extended attributes of";

/// Room for most values and lists of names, in bytes.
const SHORT: usize = 512;
/// The longest list of names (XATTR_LIST_MAX of Linux), and the longest value.
const LONGEST: usize = 64 << 10;
/// How often an attribute may change its length between two looks.
const ATTEMPTS: usize = 8;

/// What is looked at of each entry besides what the system always tells.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// ACLs.
    pub acls: bool,
    /// Extended attributes of these names.
    pub xattrs: Option<XattrNames>,
    /// Times of last access, except of directories and symbolic links: looking at one changes it.
    pub atimes: bool,
}

impl Look {
    /// Whether nothing more is looked at.
    pub fn is_nothing(&self) -> bool {
        !self.acls && self.xattrs.is_none() && !self.atimes
    }
}

/// Which extended attributes take part.
#[derive(Debug, Clone)]
pub struct XattrNames {
    /// Those outside of `user.` too, though none of `system.`.
    pub all_namespaces: bool,
    /// Those too that rsync gives to itself, `user.rsync.%...`.
    pub rsyncs_own: bool,
    /// The rules for names, if there are any: of these the attributes that they include.
    pub rules: Option<XattrRules>,
}

impl XattrNames {
    fn contain(&self, name: &[u8]) -> bool {
        is_carried(name)
            && (self.all_namespaces || is_users(name))
            && (self.rsyncs_own || !name.starts_with(RSYNCS_OWN))
            && self.rules.as_ref().is_none_or(|rules| rules.include(name))
    }
}

/// What the file system of an entry can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holds {
    /// ACLs.
    pub acls: bool,
    /// Extended attributes.
    pub xattrs: bool,
    /// Files with several names.
    pub links: bool,
}

/// What the file system of what a handle refers to can hold.
pub(super) fn holds(handle: BorrowedFd<'_>) -> Holds {
    let holds = |name| {
        let found = kernel::get_attribute(handle, name, &mut []);
        !matches!(found, Err(Errno::OPNOTSUPP | Errno::NOSYS))
    };
    Holds { acls: holds(ACCESS_ACL), xattrs: holds(b"user.dsync"), links: kernel::holds_links(handle) }
}

/// What an entry is to have beside owner, mode and times. `None` leaves as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetExtended<'a> {
    /// Its ACLs.
    pub acls: Option<SetAcls<'a>>,
    /// Its extended attributes: these, and no others of the names that take part.
    pub xattrs: Option<(&'a Xattrs, &'a XattrNames)>,
}

/// ACLs to be set.
#[derive(Debug, Clone, Copy)]
pub struct SetAcls<'a> {
    /// Them; `None` is none.
    pub acls: Option<&'a Acls>,
    /// The mode that the entry has or is to have, which says the rest of its access ACL.
    pub mode: u32,
}

impl SetExtended<'_> {
    /// Whether there is nothing to set.
    pub fn is_empty(&self) -> bool {
        self.acls.is_none() && self.xattrs.is_none()
    }
}

/// What `look` sees of an entry of `dir`.
pub(super) fn look_at_entry(
    dir: &Dir,
    name: &Name,
    kind: Kind,
    look: &Look,
) -> Result<Option<Box<Extra>>, Error> {
    let atime = match look.atimes && !matches!(kind, Kind::Directory | Kind::Symlink) {
        true => Some(atime(dir.as_fd(), name)?),
        false => None,
    };
    let has_handle = look.xattrs.is_some() || (look.acls && kind != Kind::Symlink);
    let handle = if has_handle { handle(dir, name, kind, READING)? } else { None };
    let extra = handle.map_or(Ok(None), |handle| look_at(handle.as_fd(), dir.keeping(), kind, look))?;
    Ok(match atime {
        None => extra,
        atime => Some(Box::new(Extra { atime, ..extra.map_or_else(Extra::default, |extra| *extra) })),
    })
}

fn atime(dir: BorrowedFd<'_>, name: &Name) -> Result<FileTime, Error> {
    let stat = rustix::fs::statat(dir, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW);
    Ok(status::accessed(&stat.map_err(Error::when("reading attributes of"))?))
}

/// What it sees of what a handle refers to, but for its time of last access.
pub(super) fn look_at(
    handle: BorrowedFd<'_>,
    keeping: Keeping,
    kind: Kind,
    look: &Look,
) -> Result<Option<Box<Extra>>, Error> {
    let acls = match look.acls && kind != Kind::Symlink {
        true => acls(handle, keeping, kind)?.map(Arc::new),
        false => None,
    };
    let xattrs = match &look.xattrs {
        Some(names) => sums(handle, keeping, names)?,
        None => XattrSums::default(),
    };
    Ok(Extra { acls, xattrs, ..Extra::default() }.boxed())
}

/// A handle on an entry. `None` where there are none that would do.
fn handle(dir: &Dir, name: &Name, kind: Kind, doing: &'static str) -> Result<Option<OwnedFd>, Error> {
    let opened = dir.keeping().handle(dir.as_fd(), name, kind).transpose();
    opened.map_err(|error| match error {
        // A link took its place, which is not followed.
        Errno::LOOP | Errno::NOTDIR => Error::when(doing)(Errno::NOENT),
        error => Error::when(doing)(error),
    })
}

fn acls(handle: BorrowedFd<'_>, keeping: Keeping, kind: Kind) -> Result<Option<Acls>, Error> {
    if keeping == Keeping::Attributes {
        let stat = rustix::fs::fstat(handle).map_err(Error::when(READING_ACL))?;
        return fake::acls(handle, kind, keeping.status(handle, &stat)?.meta.mode);
    }
    let read = |name| value(handle, name).map_err(Error::when(READING_ACL));
    let invalid = |error| Error::refused(READING_ACL, io::ErrorKind::InvalidData, error);
    let access = match read(ACCESS_ACL)? {
        Some(bytes) => Acl::from_bytes(&bytes).map_err(invalid)?,
        None => None,
    };
    let default = if kind == Kind::Directory { default_acl(handle)? } else { None };
    Ok((access.is_some() || default.is_some()).then_some(Acls { access, default }))
}

/// The ACL that new entries of a directory get, if it has one.
pub(super) fn default_acl(dir: BorrowedFd<'_>) -> Result<Option<DefaultAcl>, Error> {
    match value(dir, DEFAULT_ACL).map_err(Error::when(READING_ACL))? {
        Some(bytes) => DefaultAcl::from_bytes(&bytes)
            .map_err(|error| Error::refused(READING_ACL, io::ErrorKind::InvalidData, error)),
        None => Ok(None),
    }
}

/// The value of an attribute, `None` if there is no such one.
pub(super) fn value(handle: BorrowedFd<'_>, name: &[u8]) -> SystemResult<Option<Vec<u8>>> {
    match whole(|buffer| kernel::get_attribute(handle, name, buffer)) {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An attribute that takes part.
struct Named {
    /// The name it is seen under.
    name: Vec<u8>,
    /// The name it is kept under.
    at: Vec<u8>,
}

/// The names that take part, sorted.
fn names(handle: BorrowedFd<'_>, keeping: Keeping, of: &XattrNames) -> SystemResult<Vec<Named>> {
    let list = match whole(|buffer| kernel::list_attributes(handle, buffer)) {
        Ok(list) => list,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Vec::new(),
        Err(error) => return Err(error),
    };
    let named = |at: &[u8]| {
        let name = keeping.seen(at).filter(|name| of.contain(name))?;
        Some(Named { name: name.to_vec(), at: at.to_vec() })
    };
    let mut names: Vec<Named> = list.split(|&byte| byte == 0).filter_map(named).collect();
    // Of two that are seen under one name, that which stands for it counts.
    names.sort_unstable_by(|one, other| one.name.cmp(&other.name).then(other.at.len().cmp(&one.at.len())));
    names.dedup_by(|one, other| one.name == other.name);
    Ok(names)
}

/// All that `read` has to say, in a buffer that is made as long as need be.
fn whole(mut read: impl FnMut(&mut [u8]) -> SystemResult<usize>) -> SystemResult<Vec<u8>> {
    let mut short = [0; SHORT];
    match read(&mut short) {
        Err(Errno::RANGE) => {}
        done => return done.map(|len| short.get(..len).unwrap_or_default().to_vec()),
    }
    let mut buffer = vec![0; LONGEST];
    for _ in 0..ATTEMPTS {
        match read(&mut buffer) {
            // File systems of other systems have longer ones, which are none that could be set here.
            Err(Errno::RANGE) => {}
            done => {
                buffer.truncate(done?);
                return Ok(buffer);
            }
        }
    }
    Err(Errno::TOOBIG)
}

/// An error about one attribute.
fn of_attribute(name: &[u8], error: Errno) -> io::Error {
    let source = io::Error::from(error);
    io::Error::new(source.kind(), format!("attribute {}: {source}", Escaped(name)))
}

fn sums(handle: BorrowedFd<'_>, keeping: Keeping, of: &XattrNames) -> Result<XattrSums, Error> {
    let mut summer = XattrSummer::default();
    for Named { name, at } in names(handle, keeping, of).map_err(Error::when(READING))? {
        if let Some(value) =
            value(handle, &at).map_err(|error| Error::when(READING)(of_attribute(&at, error)))?
        {
            summer.add(&name, &value);
        }
    }
    Ok(summer.finish())
}

/// The attributes of an entry of `dir`.
///
/// # Errors
/// Those of the system, or they are longer than [`MAX_XATTRS`].
pub(super) fn xattrs_of_entry(dir: &Dir, name: &Name, kind: Kind, of: &XattrNames) -> Result<Xattrs, Error> {
    match handle(dir, name, kind, READING)? {
        Some(handle) => xattrs(handle.as_fd(), dir.keeping(), of),
        None => Ok(Xattrs::default()),
    }
}

/// Those of what a handle refers to, by the same rules.
pub(super) fn xattrs(handle: BorrowedFd<'_>, keeping: Keeping, of: &XattrNames) -> Result<Xattrs, Error> {
    let mut xattrs = Vec::new();
    let mut left = MAX_XATTRS;
    for Named { name, at } in names(handle, keeping, of).map_err(Error::when(READING))? {
        let value = value(handle, &at).map_err(|error| Error::when(READING)(of_attribute(&at, error)))?;
        let Some(value) = value else { continue };
        let shorter = left.checked_sub(name.len() + value.len());
        left = shorter.ok_or_else(|| {
            let why = "together they are longer than 1 MiB";
            Error::refused(READING, io::ErrorKind::InvalidInput, why)
        })?;
        xattrs.push(Xattr { name: name.into(), value: value.into() });
    }
    Ok(Xattrs::new(xattrs))
}

/// Makes an entry of `dir`, which must be of that kind, have what is asked.
pub(super) fn set_entry(dir: &Dir, name: &Name, kind: Kind, extended: &SetExtended<'_>) -> Result<(), Error> {
    if extended.is_empty() {
        return Ok(());
    }
    let Some(handle) = handle(dir, name, kind, SETTING)? else {
        return Err(Error::when(SETTING)(Errno::OPNOTSUPP));
    };
    attributes::check_kind(handle.as_fd(), dir, kind, SETTING)?;
    set(handle.as_fd(), dir.keeping(), kind, extended)
}

/// Makes what a handle refers to have what is asked, whether or not the handle gives access. What of it cannot be set
/// does not keep the rest from being set; the first reason is told.
pub(super) fn set(
    handle: BorrowedFd<'_>,
    keeping: Keeping,
    kind: Kind,
    extended: &SetExtended<'_>,
) -> Result<(), Error> {
    let mut done = Ok(());
    if let Some((xattrs, names)) = extended.xattrs {
        done = set_xattrs(handle, keeping, xattrs, names).map_err(Error::when(SETTING));
    }
    if let Some(acls) = extended.acls.filter(|_| kind != Kind::Symlink) {
        done = done.and(set_acls(handle, keeping, kind, acls).map_err(Error::when(SETTING_ACL)));
    }
    done
}

fn set_acls(
    handle: BorrowedFd<'_>,
    keeping: Keeping,
    kind: Kind,
    SetAcls { acls, mode }: SetAcls<'_>,
) -> SystemResult<()> {
    if keeping == Keeping::Attributes {
        return fake::set_acls(handle, kind, acls, mode);
    }
    let access = acls.and_then(|acls| acls.access.as_ref());
    set_or_remove(handle, ACCESS_ACL, access.map(|acl| acl.to_bytes(mode)).as_deref())?;
    if kind != Kind::Directory {
        return Ok(());
    }
    let default = acls.and_then(|acls| acls.default.as_ref());
    set_or_remove(handle, DEFAULT_ACL, default.map(DefaultAcl::to_bytes).as_deref())
}

/// Sets an attribute, or removes it if it is there.
pub(super) fn set_or_remove(handle: BorrowedFd<'_>, name: &[u8], value: Option<&[u8]>) -> SystemResult<()> {
    let done = match value {
        Some(value) => kernel::set_attribute(handle, name, value),
        None => match kernel::remove_attribute(handle, name) {
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            done => done,
        },
    };
    crash::point("attribute");
    done
}

fn set_xattrs(handle: BorrowedFd<'_>, keeping: Keeping, wanted: &Xattrs, of: &XattrNames) -> io::Result<()> {
    let mut done = Ok(());
    let set = |at: &[u8], value: Option<&[u8]>| {
        writable(handle, || set_or_remove(handle, at, value)).map_err(|error| of_attribute(at, error))
    };
    for Named { name, at } in names(handle, keeping, of)? {
        if wanted.get(&name).is_none() {
            done = done.and(set(&at, None));
        }
    }
    for Xattr { name, value } in wanted.iter().filter(|xattr| of.contain(&xattr.name)) {
        let Some(at) = keeping.kept(name) else { continue };
        // What is there already may be one that nobody is let set.
        if self::value(handle, &at).is_ok_and(|here| here.as_deref() == Some(value)) {
            continue;
        }
        done = done.and(set(&at, Some(value)));
    }
    done
}

/// Does what needs permission to write. The owner of an entry who has denied it to itself has it for the moment.
fn writable(handle: BorrowedFd<'_>, set: impl Fn() -> SystemResult<()>) -> SystemResult<()> {
    let done = set();
    if done != Err(Errno::ACCESS) {
        return done;
    }
    let stat = rustix::fs::fstat(handle)?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    if stat.st_uid != rustix::process::geteuid().as_raw() || mode.contains(Mode::WUSR) {
        return done;
    }
    attributes::set_mode(handle, mode | Mode::WUSR)?;
    crash::point("writable");
    let done = set();
    attributes::set_mode(handle, mode)?;
    done
}

/// The longest value that can be set.
const _: () = assert!(MAX_XATTR_VALUE == LONGEST);
