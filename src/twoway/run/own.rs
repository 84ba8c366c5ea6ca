//! The replica at one side of a run: opened, put in order after whatever killed the run before, and scanned.

use crate::fs::{Dir, Root};
use crate::pass::{Context, OwnerMap, PassError};
use crate::report::{Event, Problem, ProblemClass, Role};
use crate::request::Options;
use crate::tree::{Kind, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::carry;
use crate::twoway::decide::Side;
use crate::twoway::exchange::Meet;
use crate::twoway::facet::{Facets, Visible, is_root};
use crate::twoway::guard::{Census, Refusal};
use crate::twoway::hiding::Hiding;
use crate::twoway::history::{History, Origin, Partner};
use crate::twoway::lineage::Lineages;
use crate::twoway::log::Purpose;
use crate::twoway::record::{Modes, Shared};
use crate::twoway::replica::{Begun, ReadReplica, Replica};
use crate::twoway::run::agreeing::Agreed;
use crate::twoway::run::{Around, RunError};
use crate::twoway::scan::{self, Counts, Observer, ScanOptions, Trouble};
use crate::twoway::trash;
use crate::twoway::version::Author;
use filetime::FileTime;
use std::sync::Arc;

/// For how many seconds a removal is remembered: 180 days. A partner that comes later is compared with as a whole.
const REMEMBERED: i64 = 180 * 24 * 60 * 60;

/// Seconds in a day.
const DAY: i64 = 24 * 60 * 60;

/// A replica that takes part in a run.
#[derive(Debug)]
pub(super) struct Own {
    /// The directory itself.
    pub dir: Dir,
    /// Takes back what was made to open it, as long as no run was begun. First, so that it is still locked then.
    pub begun: Option<Begun>,
    /// `None` in a dry run, which only looks.
    pub replica: Option<Replica>,
    /// In a dry run what is written here stays in memory.
    pub history: History,
    /// In a dry run, what keeps another run from writing to the history that is read.
    _looked_at: Option<ReadReplica>,
    pub counts: Counts,
    /// What takes no part.
    pub hiding: Arc<Hiding>,
    /// A digest of what decides which paths take part, and what of each; `None` if everything is to be compared.
    pub digest: Option<[u8; 32]>,
    /// Who has which number here.
    pub owners: Arc<OwnerMap>,
    /// The facets that this replica can hold.
    pub holds: Facets,
    /// Whether no run was ever carried out here.
    pub is_new: bool,
    /// Whether it was said that it has lost its history.
    pub loss_told: bool,
    /// How many problems the scan told of.
    pub problems: u64,
}

impl Own {
    /// What is done at the end of a run that had nothing to do, unless it is a dry one.
    pub(super) fn was_met(&mut self, partner: Author, context: &Context) -> Result<(), TwoWayError> {
        if let Some(replica) = &self.replica {
            self.history.was_met(partner, FileTime::now())?;
            expire_trash((replica, &mut self.history), None, context);
        }
        Ok(())
    }

    /// Opens the replica at a root and finds out what has changed there. What was found is written down then.
    pub(super) fn open(root: &Root, around: Around<'_>, agreed: Agreed) -> Result<Own, RunError> {
        let Agreed { hiding, problems } = agreed;
        let options = &around.context.options;
        let modes = Modes::asked(options);
        // A name that is not known here has the number that it has there.
        let owners = Arc::new(OwnerMap::new(options).map_err(PassError::Setup)?.0);
        let (mut looked_at, mut unfinished) = (None, None);
        let (replica, mut history, origin, began) = if options.dry_run {
            looked_at = Replica::look(root.dir())?;
            let file = looked_at.as_ref().map(ReadReplica::history_file).transpose()?.flatten();
            let (mut history, origin) = History::open_to_look(file, root.dir())?;
            if let Some(replica) = &looked_at {
                unfinished = Some(carry::recover_to_look(replica, &mut history, modes)?);
            }
            (None, history, origin, looked_at.as_ref().map_or(FileTime::zero(), ReadReplica::opened_at))
        } else {
            let replica = Replica::open(&root.writable().ok_or(TwoWayError::Stopped)?)?;
            let (mut history, origin) = replica.history()?;
            carry::recover(&replica, &mut history, modes)?;
            let began = replica.opened_at()?;
            (Some(replica), history, origin, began)
        };
        let begun = replica.as_ref().and_then(Replica::begun);
        let had_runs =
            replica.as_ref().map(Replica::had_runs).or(looked_at.as_ref().map(ReadReplica::had_runs));
        let text = notice(origin, had_runs.unwrap_or(false));
        if let Some(text) = text {
            around.notice(text);
        }
        let holds = Facets::held_by(root.dir());
        let mut teller = Teller { context: around.context, problems };
        let (owner, group) = owned(options);
        let scan_options = ScanOptions {
            hiding: &hiding,
            modes,
            facets: Facets::asked(options).and(holds),
            visible: &Visible::by(&options.rules),
            owner,
            group,
            links: options.links,
            devices: options.devices,
            specials: options.specials,
            threads: around.context.workers(),
            began,
            now: FileTime::now(),
            stop: around.context.stop.flag(),
            unfinished: unfinished.as_ref(),
        };
        let findings = scan::scan(root.dir(), &mut history, &scan_options, &mut teller)?;
        let allowed = options.two_way.is_some_and(|two_way| two_way.allow_mass_delete);
        if findings.counts().is_emptied() && !allowed {
            // Which side it is, its name tells.
            let refusal = Refusal::Emptied { side: Side::Left, known: findings.counts().known };
            return Err(RunError::Halted(refusal.told(&around.name())));
        }
        let counts = findings.commit()?;
        let now = FileTime::now().unix_seconds();
        let long_ago = FileTime::from_unix_time(now.saturating_sub(REMEMBERED), 0);
        if counts.oldest_removal.is_some_and(|found| found < long_ago) {
            history.expire(long_ago)?;
        }
        let problems = teller.problems;
        // A history that was only begun, by a run that was refused, is no past.
        let is_new = history.runs()?.next().is_none();
        let dir = root.dir().clone();
        let loss_told = text == Some(LOST);
        let digest = digest(options, &hiding);
        Ok(Own {
            dir,
            begun,
            replica,
            history,
            _looked_at: looked_at,
            counts,
            hiding,
            digest,
            owners,
            holds,
            is_new,
            loss_told,
            problems,
        })
    }

    /// Learns what the other knows of generations, and says so if that shows that this history is not the only one that
    /// went on from what it was.
    pub(super) fn learn(&mut self, news: &Lineages, around: Around<'_>) -> Result<(), TwoWayError> {
        if self.history.learn(news)?.is_fresh {
            around.notice(SHARED);
        }
        Ok(())
    }

    /// Which attributes both replicas keep alike, where the other can hold these facets.
    pub(super) fn shared(&self, options: &Options, theirs: Facets) -> Shared {
        let facets = Facets::asked(options).and(self.holds).and(theirs);
        Shared { modes: Modes::asked(options), facets }
    }

    pub(super) fn census(&self) -> Census {
        Census { known: self.counts.known, found: self.counts.entries, files: self.counts.files }
    }

    /// Whether a run was begun here with another replica that was named like this one.
    pub(super) fn remembers_another(&self, name: &str, author: Author) -> Result<bool, TwoWayError> {
        Ok(self.last_named(name)?.is_some_and(|partner| partner != author))
    }

    /// Whether another replica is where one was met that was named like this one: one with a past of its own, that has
    /// never been met and has heard neither of this one nor of that. A copy of that has.
    ///
    /// To be asked before the two tell each other what they have heard.
    pub(super) fn meets_another(&self, name: &str, theirs: &Meet) -> Result<bool, TwoWayError> {
        if theirs.is_new || theirs.heads.know(self.history.author()) {
            return Ok(false);
        }
        let last = self.last_named(name)?;
        let is_another = last.is_some_and(|last| last != theirs.author && !theirs.heads.know(last));
        Ok(is_another && self.history.partner(theirs.author)?.is_none())
    }

    /// With whom the last run was begun here that was named like this.
    fn last_named(&self, name: &str) -> Result<Option<Author>, TwoWayError> {
        let host = format!("{}:", crate::fs::host_name());
        // A replica on this machine may have been named either way.
        let place = |name: &str| name.strip_prefix(&host).unwrap_or(name).to_owned();
        let place_of_it = place(name);
        for run in self.history.runs()?.rev() {
            if let Purpose::Meeting { partner, name, .. } = run?.purpose
                && place(&name) == place_of_it
            {
                return Ok(Some(partner));
            }
        }
        Ok(None)
    }

    /// How many bytes may still be written, if that is known.
    pub(super) fn free(&self) -> Option<u64> {
        self.dir.free_bytes().ok()
    }

    /// What is remembered of a partner that it may rely on in this run.
    pub(super) fn memory(&self, author: Author) -> Result<Option<Partner>, TwoWayError> {
        let partner = self.history.partner(author)?;
        let is_of_use = |partner: &Partner| {
            let has_index = self.history.changes(partner.acknowledged, &mut |_| Ok(()));
            Ok(partner.options.is_some() && partner.options == self.digest && has_index?)
        };
        match partner {
            Some(partner) if is_of_use(&partner)? => Ok(Some(partner)),
            _ => Ok(None),
        }
    }
}

/// What is said of a replica whose history is gone.
pub(super) const LOST: &str =
    "has lost its history: everything is compared, and what was deleted may come back";

/// What is said of one that counts under a name under which another has counted.
const SHARED: &str = "was copied or restored with its history: it goes on under a new identity";

/// What is said of a replica about where its history comes from.
fn notice(origin: Origin, had_runs: bool) -> Option<&'static str> {
    match origin {
        Origin::Copied => Some(SHARED),
        Origin::New if had_runs => Some(LOST),
        Origin::New | Origin::Known => None,
    }
}

/// Whether owners and groups take part here. Only root may set them all, and who takes part with some of them takes
/// those that it could not set for edits of its own.
pub(super) fn owned(options: &Options) -> (bool, bool) {
    let is_root = is_root();
    (options.owner && is_root, options.group && is_root)
}

/// What of the options decides which paths take part, and what of each.
///
/// `None` if that cannot be told, and then everything is to be compared.
fn digest(options: &Options, hiding: &Hiding) -> Option<[u8; 32]> {
    let Options { rules, perms, links, devices, specials, .. } = options;
    let extended = (options.executability, Facets::asked(options));
    let owned = (owned(options), options.numeric_ids);
    let rules = (rules, hiding.digest());
    let bytes = postcard::to_stdvec(&(rules, perms, owned, links, devices, specials, extended));
    Some(blake3::derive_key("dsync 2026 two-way options of a run", &bytes.ok()?))
}

/// Tells of what a scan meets.
struct Teller<'a> {
    context: &'a Context,
    problems: u64,
}

impl Observer for Teller<'_> {
    fn trouble(&mut self, path: &RelPath, trouble: &Trouble) {
        self.problems = self.problems.saturating_add(1);
        let (doing, cause) = match trouble {
            Trouble::Failed(error) => (error.doing, crate::pass::describe(&error.source)),
            Trouble::Changing => ("reading", "it keeps changing; it is left alone in this run".to_owned()),
            Trouble::Kind(kind) => ("looking at", unsynchronised(*kind)),
            Trouble::Mounted => ("looking at", mounted(path)),
        };
        let problem = Problem::new(Role::Source, doing, path, &cause).of_class(ProblemClass::Failed);
        self.context.reporter.report(Event::Problem(problem));
    }
}

/// What is said of a mount point. A pattern that would have to be quoted is left to the user.
fn mounted(path: &RelPath) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@%,:".contains(byte);
    let pattern = if path.as_bytes().iter().all(is_plain) { format!("=/{path}") } else { String::new() };
    format!(
        "it is on another file system, which takes no part; --exclude{pattern} leaves it out, without this message"
    )
}

fn unsynchronised(kind: Kind) -> String {
    let (what, how) = match kind {
        Kind::Symlink => ("a symbolic link", "-l"),
        Kind::CharDevice | Kind::BlockDevice => ("a device", "--devices"),
        Kind::Fifo | Kind::Socket => ("a fifo or socket", "--specials"),
        Kind::File | Kind::Directory => ("of this kind", "other options"),
    };
    format!("it is {what}, which is synchronised with {how} only; it is left alone")
}

/// Removes the trash of runs that were too long ago, with their logs. What cannot be removed is told.
pub(super) fn expire_trash(
    (replica, history): (&Replica, &mut History),
    present: Option<u64>,
    context: &Context,
) {
    let Some(two_way) = context.options.two_way else { return };
    let age = DAY.saturating_mul(i64::from(two_way.trash_days));
    let before = FileTime::from_unix_time(FileTime::now().unix_seconds().saturating_sub(age), 0);
    let tell = &mut |path: &RelPath, error: &crate::fs::Error| {
        let cause = crate::pass::describe(&error.source);
        let problem = Problem::new(Role::Sink, error.doing, path, &cause);
        context.reporter.report(Event::Problem(problem));
    };
    if let Err(error) = trash::expire(replica, history, (before, present), tell) {
        // What there is to be done is done.
        let text = format!("old trash is not removed: {error}");
        context.reporter.report(Event::Notice(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_is_told_with_what_leaves_it_out() {
        let told = |path: &[u8]| mounted(&RelPath::new(path).unwrap());
        assert!(told(b"media/disk").contains("; --exclude=/media/disk leaves it out"));
        for odd in [&b"a b"[..], b"a*", b"a\n"] {
            assert!(told(odd).contains("; --exclude leaves it out"), "{odd:?}");
        }
    }
}
