//! The role that writes: compares what the source lists with what it has, asks for what it lacks, installs it.
//!
//! Threads, in the order in which one may wait for the next: one compares listings (`compare`), several sign what
//! is there of changed files and of their gaps (`sign`, `basis`), several build and install files (`apply`). The
//! calling thread reads messages and hands them out, without ever waiting: its queues are bounded by the credit granted
//! for what is in them. `directories` knows what is still unsettled in each directory, `flights` the files under way,
//! `room` what they may take of the disk. Small files go through the same threads, many at a time (`batches`), and so
//! do extended attributes that come by themselves (`extended`). Of the names of a file (`-H`) the first goes this way;
//! the comparison links the others to it when it hears how it went (`compare/grouped`, `landings`).
//!
//! What is not here may be elsewhere (`bases`), or have been `moved`, or there is a file like it `nearby`; what gives
//! way is kept, if that is asked for (`backup`). What is interrupted, or waits for the end of the run, is kept `aside`
//! where there is a place for it. What the source is to remove is told to it (`confirm`).
//!
//! A sink whose files were planned goes the same way, but for its two ends: instead of being compared, what is listed
//! is looked up in the plan (`compare/planned`), and whoever planned a file installs it (`planned`).

mod announce;
mod apply;
mod aside;
mod backup;
mod bases;
mod basis;
mod batches;
mod compare;
mod confirm;
mod delete;
mod destination;
mod directories;
mod enter;
mod entry;
mod extended;
mod flights;
mod gaps;
mod landings;
mod linked;
mod moved;
mod nearby;
mod planned;
mod room;
mod sign;
mod spool;
mod target;
mod tell;

pub use destination::DestinationError;

use crate::fs::{Error, Root, SetMeta, Stage, WriteDir};
use crate::pass::decide::{Policy, asked_meta};
use crate::pass::names::OwnerMap;
use crate::pass::tally::Tally;
use crate::pass::{Agenda, Context, PassError, TALK};
use crate::report::{Problem, ProblemClass, Role, Totals};
use crate::tree::filter::Scope;
use crate::tree::{Entry, Gid, Kind, Meta, Name, RelPath};
use crate::wire::{Content, Fetched, Link, Message, Permit, Received, Receiver, Sender};
use announce::Announcer;
use aside::Delayed;
use backup::Backups;
use bases::Bases;
use crossbeam_channel as channel;
use destination::Destination;
use directories::{Counterpart, Directories};
use extended::Extended;
use flights::{Flights, Limits};
use landings::Landed;
use moved::Moves;
use room::Room;
use spool::Spool;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What is to become of what the source lists.
#[derive(Debug, Clone)]
pub enum Goal<'a> {
    /// It is copied to this destination argument, as far as the options say.
    Destination(&'a [u8]),
    /// It is shown.
    Listing,
    /// What was planned of it is fetched to below this root, which must be writable. The options say no more than how.
    Planned {
        /// Where.
        root: Root,
        /// What.
        agenda: &'a dyn Agenda,
    },
}

impl<'a> Goal<'a> {
    fn agenda(&self) -> Option<&'a dyn Agenda> {
        match self {
            Goal::Destination(_) | Goal::Listing => None,
            Goal::Planned { agenda, .. } => Some(*agenda),
        }
    }

    /// What holds at the destination: some rules look at absolute paths.
    fn scope(&self, context: &Context) -> Scope {
        let mut rules = context.options.rules.clone();
        if let Goal::Destination(path) = self
            && let Ok(absolute) = std::path::absolute(OsStr::from_bytes(path))
        {
            rules.set_root(absolute.as_os_str().as_bytes());
        }
        Scope::from(rules)
    }

    /// Whether entries are only shown.
    fn only_shows(&self) -> bool {
        matches!(self, Goal::Listing)
    }

    /// The context of a pass with this goal. What was planned has options of its own: files are staged, and whatever
    /// else an option would do besides fetching is not done.
    fn context(&self, context: &Context) -> Context {
        let mut context = context.clone();
        if !matches!(self, Goal::Destination(_)) {
            let options = &mut context.options;
            (options.in_place, options.partial, options.delete) = (false, false, None);
            (options.temp_dir, options.partial_dir, options.delay_updates) = (None, None, false);
            (options.append, options.fuzzy, options.detect_renames) = (None, 0, false);
            (options.hard_links, options.bases, options.backup) = (false, None, None);
        }
        context
    }
}

/// What the threads of a sink share.
struct Sink<'a> {
    context: &'a Context,
    goal: Goal<'a>,
    sender: Sender,
    destination: OnceLock<Destination>,
    bases: OnceLock<Bases>,
    backups: Backups,
    directories: Directories,
    flights: Flights,
    room: Room,
    /// How many gaps are open in files being built.
    gaps: Arc<AtomicUsize>,
    delayed: Delayed,
    moves: Moves,
    announcer: Announcer,
    /// What holds above the destination.
    scope: Scope,
    owners: OwnerMap,
    umask: u32,
    extended: Extended,
    tally: Tally<'a>,
    told: Mutex<Instant>,
    /// What is removed when all else is done.
    spool: Spool,
    /// Whether it was said that errors at the source keep extra entries from being deleted.
    kept_extras: AtomicBool,
    /// Where the comparison hears of the first names of groups.
    landings: channel::Sender<Landed>,
    /// Whether everything is settled, so that the source may end.
    finished: AtomicBool,
    /// What was being written when the run ended early, if another run may go on with it.
    unfinished: Mutex<Vec<Stage>>,
    /// Until when it is waited for others to let go of files, once that was necessary.
    patience: OnceLock<Instant>,
}

/// How long it is waited in a run for others to let go of files, and how often it is looked whether they have.
const LET_GO: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// How often the peer is told how far the run is.
const TELL: Duration = Duration::from_millis(100);

/// Plays the sink until everything listed is settled. Returns what both roles counted.
///
/// The link then is as it was before the pass, and another may follow. After an error it is closed.
pub fn run(link: &mut Link, goal: Goal<'_>, context: &Context) -> Result<Totals, PassError> {
    let Link { sender, receiver } = link;
    let context = &goal.context(context);
    let (owners, unknown) = OwnerMap::new(&context.options)?;
    let limits = Limits {
        // Between local paths each file in flight is an open file on its way from the source.
        all: if context.local { context.share_of_open_files(4, 2048) } else { 2048 },
        with_basis: context.share_of_open_files(8, 256),
    };
    let (landings, landed) = channel::unbounded();
    let sink = Sink {
        context,
        scope: goal.scope(context),
        goal,
        sender: sender.clone(),
        destination: OnceLock::new(),
        bases: OnceLock::new(),
        backups: Backups::default(),
        directories: Directories::new(context.share_of_open_files(8, 256)),
        flights: Flights::new(limits),
        room: Room::default(),
        gaps: Arc::default(),
        delayed: Delayed::default(),
        moves: Moves::new(context.options.detect_renames),
        announcer: Announcer::new(context.reporter.clone()),
        umask: crate::fs::umask(),
        extended: Extended::new(&context.options, owners.owners().is_super()),
        owners,
        tally: Tally::new(Role::Sink, context),
        told: Mutex::new(Instant::now()),
        spool: Spool::default(),
        kept_extras: AtomicBool::new(false),
        landings,
        finished: AtomicBool::new(false),
        unfinished: Mutex::default(),
        patience: OnceLock::new(),
    };
    for name in unknown {
        sink.tally.report(Problem {
            doing: "looking up the owner".to_owned(),
            path: name,
            cause: "there is nobody of that name here, so what is said about it is left out".to_owned(),
            class: ProblemClass::Failed,
            role: Role::Sink,
        });
    }
    let fatal = Mutex::new(None);
    let fail = |error: PassError| {
        error.close(sender);
        sink.flights.stop();
        sink.announcer.stop();
        // What stopped the link is a better reason than that it stopped.
        let mut fatal = fatal.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*fatal, None | Some(PassError::Lost)) {
            *fatal = Some(error);
        }
    };
    let received = thread::scope(|scope| {
        let queues = match spawn(scope, &sink, landed, &fail) {
            Ok(queues) => queues,
            Err(error) => {
                fail(PassError::thread(error));
                return Err(PassError::Lost);
            }
        };
        receive(receiver, &sink, &queues).map_err(|error| {
            fail(error);
            PassError::Lost
        })
    });
    if let Some(error) = fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
        // Who gave up, or heard why the other side did, goes on with nothing.
        if matches!(error, PassError::Lost) && !sender.is_given_up() {
            sink.leave_unfinished();
        }
        return Err(error);
    }
    let theirs = received?;
    let mut totals = sink.tally.totals();
    totals.merge(&theirs);
    Ok(totals)
}

/// Where received messages go.
struct Queues {
    listings: channel::Sender<(Message, Permit)>,
    signing: channel::Sender<sign::Job>,
    content: Vec<channel::Sender<(Arrived, Permit)>>,
}

/// What there is to build.
enum Arrived {
    /// A part of a file.
    Content(Content),
    /// Small files.
    Batch(Fetched),
}

impl Queues {
    /// Hands content to one of those who build: always the same for a file, or for a batch, of this number.
    fn build(&self, number: u32, arrived: Arrived, permit: Permit) -> Result<(), PassError> {
        let place = number as usize % self.content.len().max(1);
        let queue = self.content.get(place).ok_or(PassError::Lost)?;
        queue.send((arrived, permit)).map_err(|_| PassError::Lost)
    }
}

fn spawn<'scope, 'env>(
    scope: &'scope thread::Scope<'scope, 'env>,
    sink: &'env Sink<'env>,
    landed: channel::Receiver<Landed>,
    fail: &'env (dyn Fn(PassError) + Sync),
) -> std::io::Result<Queues> {
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    let (signing, jobs) = channel::unbounded();
    let (listings, listed) = channel::unbounded();
    let signer = signing.clone();
    named("compare").spawn_scoped(scope, move || {
        if let Err(error) = compare::run(sink, &listed, &landed, &signer) {
            fail(error);
        }
    })?;
    let mut content = Vec::new();
    for _ in 0..sink.context.workers() {
        let jobs = jobs.clone();
        named("sign").spawn_scoped(scope, move || {
            if let Err(error) = sign::run(sink, &jobs) {
                fail(error);
            }
        })?;
        let (queue, arrived) = channel::unbounded();
        content.push(queue);
        let signer = signing.clone();
        named("apply").spawn_scoped(scope, move || {
            if let Err(error) = apply::run(sink, &arrived, &signer) {
                fail(error);
            }
        })?;
    }
    Ok(Queues { listings, signing, content })
}

/// Reads messages until the source's last.
fn receive(receiver: &mut Receiver, sink: &Sink<'_>, queues: &Queues) -> Result<Totals, PassError> {
    loop {
        let Received { message, permit } = receiver.receive()?;
        // A queue whose thread has ended means that the run has failed, which that thread has told.
        match message {
            Message::Begin(_) | Message::Listing(_) | Message::Mention(_) | Message::Listed => {
                queues.listings.send((message, permit)).map_err(|_| PassError::Lost)?;
            }
            Message::Verdict(verdict) => {
                // Its credit is not held: a signer may have to wait for a lower rank, and there are no more verdicts
                // than files in flight.
                queues.signing.send(sign::Job::Verdict(verdict)).map_err(|_| PassError::Lost)?;
            }
            Message::Identified(identified) => {
                // Neither is its.
                queues.signing.send(sign::Job::Identified(identified)).map_err(|_| PassError::Lost)?;
            }
            Message::Content(content) => queues.build(content.file.0, Arrived::Content(content), permit)?,
            Message::Fetched(fetched) => queues.build(fetched.batch.0, Arrived::Batch(fetched), permit)?,
            // The source counts its problems itself; here they only have to be told.
            // Somebody has heard them on the way.
            Message::Event(_) if sink.context.options.relayed => {}
            Message::Event(event) => sink.context.reporter.report(event),
            Message::Progress(reading) => sink.context.progress.set_totals(&reading),
            Message::Abort(abort) => return Err(PassError::Peer(abort)),
            Message::Finish(totals) if sink.finished.load(Ordering::Acquire) => return Ok(totals),
            Message::Finish(_) => return Err(PassError::Protocol("the source ended too early")),
            // The link's own.
            Message::Alive | Message::Credit { .. } | Message::Invite(_) | Message::Spread(_) => {}
            Message::Want(_)
            | Message::Sums(_)
            | Message::Fetch(_)
            | Message::Check(_)
            | Message::Identify(_)
            | Message::Expand(_)
            | Message::Again(_)
            | Message::Close(_)
            | Message::Confirm(_) => {
                return Err(PassError::Protocol("a source sent what only a sink sends"));
            }
            Message::Talk(_) => return Err(PassError::Protocol(TALK)),
        }
    }
}

impl Sink<'_> {
    fn destination(&self) -> Result<&Destination, PassError> {
        self.destination.get().ok_or(PassError::Protocol("a listing came before the beginning"))
    }

    /// Begins a new version of a file. Where this may be a further attempt, the peer of the one before may not have
    /// noticed yet that its line broke: it is given a while to let go of the file.
    fn stage(&self, dir: &WriteDir, name: &Name) -> Result<Stage, Error> {
        loop {
            match dir.stage(name) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.may_let_go() => {
                    thread::sleep(LOOK);
                }
                staged => return staged,
            }
        }
    }

    fn may_let_go(&self) -> bool {
        let is_attempt = self.context.options.keep_staged && !self.sender.is_stopped();
        is_attempt && Instant::now() < *self.patience.get_or_init(|| Instant::now() + LET_GO)
    }

    /// Keeps what is being written, until it is known why the run ends early.
    fn set_aside(&self, stages: impl Iterator<Item = Stage>) {
        if self.context.options.keep_staged {
            self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).extend(stages);
        }
    }

    /// Leaves what was being written for another run, which goes on with it.
    fn leave_unfinished(&self) {
        self.set_aside(self.flights.take_stages().into_iter());
        let mut stages = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        stages.drain(..).for_each(Stage::leave);
    }

    fn policy(&self) -> Policy<'_> {
        Policy { options: &self.context.options, umask: self.umask, is_root: self.owners.owners().is_super() }
    }

    /// The same about an entry that may be new in a directory whose [umask](Sink::umask_in) is asked for only then.
    fn policy_in(&self, umask: impl FnOnce() -> u32, entry: &Entry, own: Option<&Entry>) -> Policy<'_> {
        let is_new = own.is_none_or(|own| own.kind() != entry.kind());
        let umask = if is_new { umask() } else { self.umask };
        Policy { umask, ..self.policy() }
    }

    /// The permissions that new entries of a directory do not get where nobody asked for the source's: those that the
    /// directory's default ACL does not grant, or else the umask.
    fn umask_in(&self, dir: &Counterpart) -> u32 {
        if self.context.options.perms {
            return self.umask;
        }
        // One that cannot be read is the system's to heed.
        let default = dir.dir().and_then(|dir| dir.default_acl().ok().flatten());
        default.map_or(self.umask, |default| 0o777 & !default.mode())
    }

    /// A listed entry as it is to be here: with this host's owners, and the permissions of `--chmod`.
    fn entry_here(&self, mut entry: Entry) -> Entry {
        entry.meta = self.meta_here(entry.kind(), entry.meta);
        entry.extra = self.owners.translate_extra(entry.extra);
        entry
    }

    /// The same of an entry's attributes.
    fn meta_here(&self, kind: Kind, meta: Meta) -> Meta {
        asked_meta(&self.context.options, kind, self.owners.translate_meta(meta), self.umask)
    }

    /// Whether the running user may give the group of this number to a file.
    fn may_set_group(&self, group: Gid) -> bool {
        let owners = self.owners.owners();
        owners.is_super() || owners.in_group(group)
    }

    fn dry_run(&self) -> bool {
        self.context.options.dry_run
    }

    /// Sets what differs; what cannot be set is a problem of its own and leaves the rest as it should be.
    /// Permissions that are kept where the owner is are set with it.
    fn set_owner_first(
        &self,
        path: &RelPath,
        set: &SetMeta,
        chown: impl FnOnce(&SetMeta) -> Result<(), crate::fs::Error>,
    ) -> SetMeta {
        let (mut owner, mut rest) = set.split_owner();
        if self.context.options.fakes_super() {
            owner.mode = rest.mode.take();
        }
        if !owner.is_empty()
            && let Err(error) = chown(&owner)
        {
            self.tally.failed(path, &error);
        }
        rest
    }

    /// Counts regular files as settled, with the bytes of them that were not counted before.
    fn settle_progress(&self, files: u64, bytes: u64) {
        let progress = &self.context.progress;
        progress.advance(bytes);
        progress.settled(files);
        self.tell_progress();
    }

    fn tell_progress(&self) {
        if !self.context.tell_progress || !self.context.options.detail.progress {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= TELL {
            *told = Instant::now();
            // A closed link is noticed by those who need it.
            let _ = self.sender.send(Message::Progress(self.context.progress.read()));
        }
    }

    /// One thing in a directory is settled; closes what thereby has become settled as a whole.
    fn settle(&self, dir: crate::wire::DirId) -> Result<(), PassError> {
        self.directories.settle(self, dir, 1)
    }

    /// Everything is settled: removes what was kept in mind for that, and says so.
    fn finish(&self) -> Result<(), PassError> {
        self.publish()?;
        self.delete_spooled();
        self.finish_moves();
        if self.context.tell_progress {
            self.sender.send(Message::Progress(self.context.progress.read()))?;
        }
        self.finished.store(true, Ordering::Release);
        Ok(self.sender.send(Message::Finish(self.tally.totals()))?)
    }

    fn count_created(&self, kind: Kind) {
        self.tally.count(|totals| totals.created.add(kind));
    }
}
