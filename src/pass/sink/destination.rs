//! What the destination argument means: a directory to fill, or a new name for one file.

use crate::fs::{self, Devices, Links, Root, Sharing, Start, Writing};
use crate::pass::tally::describe;
use crate::request::{Options, Reflink};
use crate::tree::{Escaped, Kind, Name};
use crate::view::{absolute, keeping};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

/// Where entries of the transfer root go.
#[derive(Debug, Default)]
pub(super) struct Destination {
    /// The directory; `None` in a dry run if it does not exist yet.
    pub root: Option<Root>,
    /// The name the one entry of the transfer gets.
    pub rename: Option<Name>,
    /// Whether the directory was made (or would be) because it is listed, so that it is new.
    pub created: bool,
    /// How many directories were made before that (or would be), and what to call the last (`--mkpath`).
    pub made_above: Option<(u32, Vec<u8>)>,
    /// Whether it stands for a directory that is listed, and not only for the place of what was named.
    pub is_listed: bool,
}

const TEMP: &str = "--temp-dir (-T)";

/// Why the destination cannot be used. Ends the run before anything is changed.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// More than one entry, or a directory, is to go where a file is.
    #[error("{0} is not a directory, so only a single file can be copied to it")]
    NotADirectory(String),
    /// The source has nothing, and with `--delete` everything here would go.
    #[error(
        "the source is empty or cannot be read, so with --delete everything at the destination would go; if that is meant, \
         say --delete-from-empty"
    )]
    EmptySource,
    /// There is no directory for what is not finished, or for backups.
    #[error("the directory of {option} cannot be used: {path}: {cause}")]
    NoTemp {
        /// The option that names it.
        option: &'static str,
        /// The path that was given.
        path: String,
        /// Why not.
        cause: String,
    },
    /// It cannot be opened or made.
    #[error("{doing} {path}: {cause}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The argument.
        path: String,
        /// Why it failed.
        cause: String,
        /// Whether what is there does not do, rather than that something could not be made.
        unfit: bool,
    },
}

impl DestinationError {
    fn of(path: &[u8], error: &fs::Error, unfit: bool) -> DestinationError {
        let (path, cause) = (Escaped(path).to_string(), describe(&error.source));
        // What is refused is refused whether it is there or was to be made.
        DestinationError::Failed { doing: error.doing, path, cause, unfit: unfit || error.is_refusal() }
    }

    fn no_temp(option: &'static str, path: &[u8], error: &fs::Error) -> DestinationError {
        let (path, cause) = (Escaped(path).to_string(), describe(&error.source));
        DestinationError::NoTemp { option, path, cause }
    }
}

impl DestinationError {
    /// Whether sources and destination do not fit each other, rather than that something failed.
    pub fn is_selection(&self) -> bool {
        match self {
            DestinationError::NotADirectory(_) | DestinationError::EmptySource => true,
            DestinationError::Failed { unfit, .. } => *unfit,
            DestinationError::NoTemp { .. } => false,
        }
    }
}

impl Destination {
    /// Has files written as the options say. `links` says through which a path may go that the user named.
    pub(super) fn written_by(
        mut self,
        options: &Options,
        links: Links,
    ) -> Result<Destination, DestinationError> {
        let Some(root) = self.root.take() else { return Ok(self) };
        let root =
            root.with_keeping(keeping(options)).with_devices(Devices::written(options.writes_devices()));
        // What is written in place is staged nowhere, nor is what is copied from elsewhere then.
        let temp = check_aside(&Start::from(root.dir()), options, links)?.filter(|_| !options.in_place);
        let temp = temp.map(|temp| temp.dir().clone());
        let sharing = match options.reflink {
            Reflink::Auto => Sharing::Possible,
            Reflink::Always => Sharing::Demanded,
            Reflink::Never => Sharing::Never,
        };
        let writing = Writing { fsync: options.fsync, sparse: options.sparse, sharing, temp };
        self.root = Some(root.with_writing(writing));
        Ok(self)
    }
}

/// Looks for the directories that options name besides the destination, at which paths begin that are not absolute.
/// Returns that of `--temp-dir`.
fn check_aside(start: &Start, options: &Options, links: Links) -> Result<Option<Root>, DestinationError> {
    let open = |path: &[u8]| start.open(OsStr::from_bytes(path), links);
    if let Some(path) = options.backup.as_ref().and_then(|backup| backup.directory.as_ref()) {
        // That there is none is no fault: it is made when it is needed.
        let ends = |error: &fs::Error| error.is_refusal() || error.kind() == io::ErrorKind::NotADirectory;
        if let Some(error) = open(path).err().filter(ends) {
            return Err(DestinationError::no_temp("--backup-dir", path, &error));
        }
    }
    // In a directory that is to be made nothing refuses.
    let partial = options.partial_dir.as_ref().and_then(|path| Some((path, start.dir_for(path)?)));
    if let Some((path, dir)) = partial {
        let allowed = dir.check_aside(path, links);
        allowed.map_err(|error| DestinationError::no_temp("--partial-dir", path, &error))?;
    }
    let Some(path) = &options.temp_dir else { return Ok(None) };
    open(path).map_err(|error| DestinationError::no_temp(TEMP, path, &error))
}

/// The same before any of these directories is made, so that none is made for nothing.
fn check_before(unmade: &[&[u8]], options: &Options, links: Links) -> Result<(), DestinationError> {
    // If what they are in is not there, that is told when the first is made.
    let above =
        unmade.first().and_then(|first| Root::open_parent(OsStr::from_bytes(first), links).ok()).flatten();
    let Some((above, _)) = above else { return Ok(()) };
    let names = unmade.iter().filter_map(|path| path.rsplit(|&byte| byte == b'/').next());
    match names.filter(|name| *name != b".").map(Name::new).collect() {
        Ok(names) => check_aside(&Start::unmade(&above, names), options, links).map(drop),
        // One that is called .. cannot be made either.
        Err(_) => Ok(()),
    }
}

/// Opens (or makes) the destination. `single` says that one entry that is no directory is all there is.
pub(super) fn open(
    path: &[u8],
    single: bool,
    dry_run: bool,
    options: &Options,
    links: Links,
) -> Result<Destination, DestinationError> {
    let path = match path {
        b"" => b".",
        // The directory that is so named need not be there.
        path => path.strip_suffix(b"/.").map_or(path, |above| path.get(..=above.len()).unwrap_or(path)),
    };
    let unmade = |error: fs::Error| DestinationError::of(path, &error, false);
    let unfit = |error: fs::Error| DestinationError::of(path, &error, true);
    let os_path = OsStr::from_bytes(path);
    let as_directory = path.ends_with(b"/");
    let guard = |root: Root| if dry_run { root.read_only() } else { root };
    // As it was typed: what the links on it lead to says nothing about what the user means.
    let absolute = absolute(path).unwrap_or_else(|| os_path.into());
    fs::check_path(absolute.as_os_str().as_bytes(), "opening").map_err(unfit)?;
    match Root::inspect(os_path, links).map_err(unfit)? {
        Some(Kind::Directory) => {
            let root = Root::open(os_path, links).map_err(unfit)?;
            Ok(Destination { root: Some(guard(root)), ..Destination::default() })
        }
        found => {
            let is_renamed = single && !as_directory;
            if options.make_path
                && found.is_none()
                && let Some(missing) = Missing::of(path, is_renamed, links).map_err(unmade)?
            {
                check_before(&missing.paths, options, links)?;
                return missing.make(path, is_renamed, dry_run, links);
            }
            if is_renamed && let Some((parent, name)) = Root::open_parent(os_path, links).map_err(unfit)? {
                let root = Some(guard(parent));
                return Ok(Destination { root, rename: Some(name), ..Destination::default() });
            }
            if found.is_some() {
                return Err(DestinationError::NotADirectory(Escaped(path).to_string()));
            }
            check_before(&[trimmed(path)], options, links)?;
            if dry_run {
                return Ok(Destination { created: true, ..Destination::default() });
            }
            let root = Root::create(os_path, links).map_err(unmade)?;
            Ok(Destination { root: Some(root), created: true, ..Destination::default() })
        }
    }
}

/// Directories on the path of a destination that are not there (`--mkpath`). As in rsync they are made before anything
/// else, and the destination is then one that was there.
struct Missing<'p> {
    /// The outermost first; the last is what the destination is in, or it itself.
    paths: Vec<&'p [u8]>,
}

impl<'p> Missing<'p> {
    /// Those of a destination, without it if it will be a file. `None` if there are none.
    fn of(path: &'p [u8], is_renamed: bool, links: Links) -> Result<Option<Missing<'p>>, fs::Error> {
        let mut paths = Vec::new();
        let mut rest = if is_renamed { above(path) } else { Some(trimmed(path)) };
        while let Some(path) = rest.filter(|path| !path.is_empty()) {
            match Root::inspect(OsStr::from_bytes(path), links)? {
                Some(_) => break,
                None => paths.push(path),
            }
            rest = above(path);
        }
        paths.reverse();
        Ok((!paths.is_empty()).then_some(Missing { paths }))
    }

    fn make(
        self,
        path: &[u8],
        is_renamed: bool,
        dry_run: bool,
        links: Links,
    ) -> Result<Destination, DestinationError> {
        let Missing { paths } = self;
        let count = u32::try_from(paths.len()).unwrap_or(u32::MAX);
        let told = if is_renamed { above(path).unwrap_or_default() } else { trimmed(path) };
        let mut destination = Destination {
            // In a dry run it is told as ever, too.
            created: dry_run && !is_renamed,
            made_above: Some((count, told.to_vec())),
            ..Destination::default()
        };
        if !dry_run {
            for path in paths {
                let made = Root::create(OsStr::from_bytes(path), links);
                destination.root = Some(made.map_err(|error| DestinationError::of(path, &error, false))?);
            }
        }
        if is_renamed {
            let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
            destination.rename = Name::new(last).ok();
        }
        Ok(destination)
    }
}

/// A path without slashes at its end.
fn trimmed(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last.saturating_add(1));
    path.get(..end).unwrap_or_default()
}

/// The path of the directory that a path is in, if it names one.
fn above(path: &[u8]) -> Option<&[u8]> {
    let path = trimmed(path);
    path.get(..path.iter().rposition(|&byte| byte == b'/')?).map(trimmed)
}

#[cfg(test)]
mod tests;
