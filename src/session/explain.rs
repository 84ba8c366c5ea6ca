//! Why a path takes part in a run or not (`--explain`). The view, the rules and the decisions are those of the run,
//! which is not made.
//!
//! Each side knows about its own tree only: that of the sources says what they show at a path, and why; that of the
//! destination what becomes of it there. A side that is on another host says so in the place of its pass:
//!
//! ```text
//! asking side                         peer with the sources
//!       <--------------------------- what they show at each path
//!
//! asking side                         peer with the destination
//!   what the sources show ---------->
//!       <--------------------------- what becomes of each path there
//! ```
//!
//! Where rules stand does not travel with them, so of those that the asking side gave it is only here that it is known.

use crate::fs::{Dir, Root};
use crate::pass::{Context, PassError, passed_over};
use crate::report::{Skip, Totals};
use crate::request::{Options, Part};
use crate::session::remote::{Played, with_peer};
use crate::session::{Direction, Failure, Run, Surroundings, context, direction, talk};
use crate::transport::target::Host;
use crate::tree::filter::{Ruling, Scope, Side, Verdict};
use crate::tree::{Entry, Name, RelPath};
use crate::view::{self, Absence, Found, View};
use crate::wire::{Link, told_entry, untold_entry};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What a run would make of one path.
#[derive(Debug)]
pub struct Explained {
    /// The path, below the transfer root.
    pub path: RelPath,
    /// What the sources show there.
    pub source: Found,
    /// What becomes of it at the destination.
    pub fate: Fate,
}

/// What becomes of a path at the destination.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Fate {
    /// Why the entry is left alone although the sources show it, if it is.
    pub skip: Option<Skip>,
    /// What would keep it from being deleted, if that is asked for what the sources do not show, and this is such.
    pub deletion: Option<Deletion>,
}

/// What the rules of the destination say about what would be deleted.
#[derive(Debug, Serialize, Deserialize)]
pub struct Deletion {
    /// What was decided about: the path itself, or a directory above it that is protected.
    pub path: RelPath,
    /// The rule about it, if one matches.
    pub ruling: Option<Ruling>,
    /// Whether it is there.
    pub is_there: bool,
    /// Whether it is dsync's own, which no run deletes.
    pub is_reserved: bool,
}

impl Deletion {
    /// Whether it stays.
    pub fn is_protected(&self) -> bool {
        self.is_reserved || self.ruling.as_ref().is_some_and(|ruling| ruling.verdict == Verdict::Excluded)
    }
}

/// What sources show.
struct Shown {
    /// Whether the directory is listed that the paths are in, and is not only the place of what is named.
    is_listed: bool,
    /// At each path that is asked about.
    found: Vec<Found>,
}

/// What a peer tells of a path that the sources show, or do not.
#[derive(Serialize, Deserialize)]
struct Told {
    path: RelPath,
    shown: Result<Vec<u8>, Absence>,
    is_dir: bool,
    ruling: Option<Ruling>,
}

/// Says what a run would make of the paths that its options ask about, and makes no run.
///
/// # Errors
/// A host cannot be reached, or the sources or the destination cannot be looked at.
pub fn explain(run: &Run, surroundings: &Surroundings) -> Result<Vec<Explained>, Failure> {
    let (from, sources, to, destination) = match direction(run)? {
        Direction::Local { sources, destination } => (None, sources, None, destination),
        Direction::Push { sources, host, destination } => (None, sources, Some(host), destination),
        Direction::Pull { host, sources, destination } => (Some(host), sources, None, destination),
        Direction::Between { from, sources, to, destination } => (Some(from), sources, Some(to), destination),
    };
    let (reporter, progress) = (surroundings.reporter.clone(), surroundings.progress.clone());
    let here = context(run.options.clone(), run.paths, run.seed(), reporter, progress);
    let afar = Afar { run, surroundings };
    let mut shown = match from {
        None => look(&sources, run.names.as_deref(), &here)?,
        Some(host) => afar.look(host, sources)?,
    };
    let is_asked = |found: &Found| found.shown.is_ok() || run.peer_options.delete.is_some();
    let mut fates: Vec<Fate> = match to {
        _ if run.options.list_only || !shown.found.iter().any(is_asked) => Vec::new(),
        // Where there is no peer, the sink goes by what a peer would.
        None if from.is_none() => {
            fates(&destination, &shown, &Context { options: run.peer_options.clone(), ..here })?
        }
        None => fates(&destination, &shown, &here)?,
        Some(host) => afar.fates(host, destination, &shown)?,
    };
    let place = |ruling: &mut Option<Ruling>| {
        if let Some(ruling) = ruling.as_mut().filter(|ruling| ruling.origin.is_none()) {
            ruling.origin = run.options.rules.origin_of(&ruling.text).cloned();
        }
    };
    shown.found.iter_mut().for_each(|found| place(&mut found.ruling));
    fates.iter_mut().filter_map(|fate| fate.deletion.as_mut()).for_each(|fate| place(&mut fate.ruling));
    let fates = fates.into_iter().chain(std::iter::repeat_with(Fate::default));
    let explained =
        |((path, source), fate): ((&RelPath, Found), Fate)| Explained { path: path.clone(), source, fate };
    Ok(run.options.explain.iter().zip(shown.found).zip(fates).map(explained).collect())
}

/// Says what the sources show, as the peer that has them.
pub(super) fn answer_for_sources(
    mut link: Link,
    arguments: &[Vec<u8>],
    names: Option<&[u8]>,
    context: &Context,
) -> Result<(), PassError> {
    let shown = look(arguments, names, context);
    let shown = shown.inspect_err(|failure| talk::give_up(&link, failure)).map_err(|_| PassError::Lost)?;
    talk::say(&mut link, &told(&shown)?)?;
    link.sender.close();
    Ok(())
}

/// Says what becomes of what the sources show, as the peer that has the destination.
pub(super) fn answer_for_destination(
    mut link: Link,
    destination: &[u8],
    context: &Context,
) -> Result<(), PassError> {
    let shown = heard(&talk::hear(&mut link, &*context.reporter)?, context)?;
    let fates = fates(destination, &shown, context);
    let fates = fates.inspect_err(|failure| talk::give_up(&link, failure)).map_err(|_| PassError::Lost)?;
    talk::say(&mut link, &packed(&fates)?)?;
    link.sender.close();
    Ok(())
}

/// Asks peers.
struct Afar<'a> {
    run: &'a Run,
    surroundings: &'a Surroundings,
}

impl Afar<'_> {
    fn look(&self, host: &Host, arguments: Vec<Vec<u8>>) -> Result<Shown, Failure> {
        self.ask(host, Part::Source { arguments }, |link, context| {
            if let Some(names) = &self.run.names {
                talk::say(link, names)?;
            }
            heard(&talk::hear(link, &*context.reporter)?, context)
        })
    }

    fn fates(&self, host: &Host, destination: Vec<u8>, shown: &Shown) -> Result<Vec<Fate>, Failure> {
        self.ask(host, Part::Sink { destination }, |link, context| {
            talk::say(link, &told(shown)?)?;
            answers(unpacked(&talk::hear(link, &*context.reporter)?)?, context)
        })
    }

    fn ask<T: Send>(
        &self,
        host: &Host,
        part: Part,
        talk: impl FnOnce(&mut Link, &Context) -> Result<T, PassError> + Send,
    ) -> Result<T, Failure> {
        let mut answer = None;
        with_peer(self.run, self.surroundings, host, part, |mut link, context| {
            answer = Some(talk(&mut link, context)?);
            link.sender.stopper().stop();
            Ok(Played::from(Totals::default()))
        })
        .map_err(|broken| broken.failure)?;
        answer.ok_or(Failure::Lost(None))
    }
}

fn told(shown: &Shown) -> Result<Vec<u8>, PassError> {
    let told = |found: &Found| Told {
        path: found.path.clone(),
        shown: found.shown.as_ref().map(told_entry).map_err(Absence::clone),
        is_dir: found.is_dir,
        ruling: found.ruling.clone(),
    };
    packed(&(shown.is_listed, shown.found.iter().map(told).collect::<Vec<_>>()))
}

fn heard(bytes: &[u8], context: &Context) -> Result<Shown, PassError> {
    let found = |Told { path, shown, is_dir, ruling }: Told| {
        let shown = match shown {
            Ok(bytes) => Ok(untold_entry(bytes).map_err(|_| GARBLED)?),
            Err(absence) => Err(absence),
        };
        Ok(Found { path, shown, is_dir, ruling })
    };
    let (is_listed, told): (bool, Vec<Told>) = unpacked(bytes)?;
    let found = answers(told, context)?.into_iter().map(found).collect::<Result<_, PassError>>()?;
    Ok(Shown { is_listed, found })
}

const GARBLED: PassError = PassError::Protocol("what is said of a path cannot be read");

fn packed(answers: &impl Serialize) -> Result<Vec<u8>, PassError> {
    postcard::to_stdvec(answers).map_err(|_| PassError::Protocol("what is said of a path cannot be packed"))
}

fn unpacked<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, PassError> {
    postcard::from_bytes(bytes).map_err(|_| GARBLED)
}

/// One answer for each path that is asked about.
fn answers<T>(answers: Vec<T>, context: &Context) -> Result<Vec<T>, PassError> {
    if answers.len() == context.options.explain.len() { Ok(answers) } else { Err(GARBLED) }
}

/// What sources of this host show at the paths that are asked about.
fn look(arguments: &[Vec<u8>], names: Option<&[u8]>, context: &Context) -> Result<Shown, Failure> {
    let opened = View::open(arguments, names, &context.options, context.paths);
    let (view, missing) = opened.map_err(|error| Failure::Sources(error.to_string()))?;
    match missing.first() {
        Some(missing) => Err(Failure::Sources(missing.to_string())),
        None => Ok(Shown {
            is_listed: view.root_meta().is_some(),
            found: context.options.explain.iter().map(|path| view.explain(path)).collect(),
        }),
    }
}

/// What becomes of what the sources show below a destination of this host.
fn fates(destination: &[u8], shown: &Shown, context: &Context) -> Result<Vec<Fate>, Failure> {
    let path = OsStr::from_bytes(destination);
    let mut rules = context.options.rules.clone();
    if let Ok(absolute) = std::path::absolute(path) {
        rules.set_root(absolute.as_os_str().as_bytes());
    }
    let root = Root::open(path, context.paths).ok();
    let there = There {
        options: &context.options,
        root: root.as_ref().map(Root::dir),
        scope: Scope::from(rules),
        is_listed: shown.is_listed,
    };
    let paths = context.options.explain.iter();
    paths.zip(&shown.found).map(|(path, found)| there.fate(path, found)).collect()
}

/// The destination.
struct There<'a> {
    options: &'a Options,
    /// `None`: it is not there.
    root: Option<&'a Dir>,
    scope: Scope,
    /// Whether the sources list the directory itself.
    is_listed: bool,
}

impl There<'_> {
    fn fate(&self, path: &RelPath, found: &Found) -> Result<Fate, Failure> {
        Ok(match &found.shown {
            Ok(entry) => Fate { skip: self.skip(path, entry), deletion: None },
            Err(_) if self.options.delete.is_some() => {
                Fate { skip: None, deletion: Some(self.deletion(path, found)?) }
            }
            Err(_) => Fate::default(),
        })
    }

    /// Why an entry that is shown is left alone.
    fn skip(&self, path: &RelPath, entry: &Entry) -> Option<Skip> {
        let (above, name) = path.split_last()?;
        let own = self.root.and_then(|root| own_entry(root, &above, &name));
        passed_over(self.options, &above, entry, own.as_ref())
    }

    /// What the rules say of a path that the sources do not show, and of the directories above it.
    fn deletion(&self, path: &RelPath, source: &Found) -> Result<Deletion, Failure> {
        let failed = |error: crate::fs::Error| Failure::System { doing: error.doing, source: error.source };
        let mut dir = self.root.cloned();
        let mut scope = match &dir {
            Some(dir) => view::enter_above(&self.scope, dir, !self.is_listed).map_err(failed)?,
            None => self.scope.clone(),
        };
        let mut above = RelPath::root();
        let mut ruling = None;
        let mut is_there = false;
        for name in path.elements().filter_map(|name| Name::new(name).ok()) {
            if let Some(dir) = dir.as_ref().filter(|_| self.is_listed || !above.is_root()) {
                scope = view::enter(&scope, dir, &above).map_err(failed)?;
            }
            let here = above.join(&name);
            let own = dir.as_ref().and_then(|dir| dir.entry(&name).ok().flatten());
            if own.as_ref().is_some_and(crate::fs::is_reserved) {
                return Ok(Deletion { path: here, ruling: None, is_there: true, is_reserved: true });
            }
            let is_dir =
                here != *path || own.as_ref().map_or(here == source.path && source.is_dir, Entry::is_dir);
            // What the sources do not show goes as a whole, with what is in it.
            let deleting_dir = above == source.path || above.is_below(&source.path);
            ruling = scope.decide(here.as_bytes(), is_dir, Side::Receiver, deleting_dir);
            is_there = own.is_some();
            dir = dir.and_then(|dir| dir.open_dir(&name).ok());
            above = here;
            if ruling.as_ref().is_some_and(|ruling| ruling.verdict == Verdict::Excluded) {
                break;
            }
        }
        Ok(Deletion { path: above, ruling, is_there, is_reserved: false })
    }
}

fn own_entry(root: &Dir, above: &RelPath, name: &Name) -> Option<Entry> {
    root.open_beneath(above).ok()?.entry(name).ok()?
}
