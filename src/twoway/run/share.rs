//! Carrying out one side's share of a plan, beside the other side, which does the same.
//!
//! The order is what makes it safe to be killed at any moment: the losers of conflicts get their own names first; then
//! all is written down that needs no file to be touched, and what is going to be done to files; and only when both
//! sides have come so far, anything is done to what has a name. Directories, links and new names come first, then the
//! files whose content has to come from the other side, in two passes, then what goes, and the times of directories
//! last.

use crate::fs::Root;
use crate::pass::sink::Goal;
use crate::pass::{self, Context, OwnerMap, PassError};
use crate::report::Totals;
use crate::request::Options;
use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::carry::{self, Carrier, Ended};
use crate::twoway::decide::Side;
use crate::twoway::exchange::{Conversation, Done, Ready, Talk, say_paths};
use crate::twoway::facet::{self, Facets};
use crate::twoway::hiding::Cursor;
use crate::twoway::history::{Acknowledgement, History, Partner};
use crate::twoway::log::{Ending, Outcome, Purpose};
use crate::twoway::record::Shared;
use crate::twoway::run::own::{Own, expire_trash, owned};
use crate::twoway::run::{Around, RunError};
use crate::twoway::task::{Outline, Task, Tasks};
use crate::twoway::version::Author;
use crate::view::{Selection, View};
use filetime::FileTime;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who carries out a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Planner,
    Follower,
}

/// One side's share of a plan, and with whom.
pub(super) struct Share<'a> {
    pub around: Around<'a>,
    pub root: &'a Root,
    pub who: Who,
    /// Which side this is.
    pub side: Side,
    pub partner: Author,
    /// How the user of this replica would name the partner.
    pub name: String,
    pub token: [u8; 16],
    pub tasks: Arc<Tasks>,
    /// Which attributes both keep alike.
    pub shared: Shared,
}

/// What came of it.
pub(super) struct Carried {
    /// What could not be done, on either side.
    pub undone: Vec<RelPath>,
    pub totals: Totals,
}

impl Share<'_> {
    /// Carries it out and remembers it.
    pub(super) fn carry_out(
        &self,
        own: Own,
        conversation: &mut Conversation<'_>,
    ) -> Result<Carried, RunError> {
        let holds = own.holds;
        let Own { begun, replica, mut history, problems, owners, hiding, digest, .. } = own;
        let replica = replica.ok_or(TwoWayError::Stopped)?;
        let context = self.around.context;
        let (partner, name, side) = (self.partner, self.name.clone(), self.side);
        let purpose = Purpose::Meeting { partner, name, side };
        let run = history.begin_run(FileTime::now(), purpose, self.shared.modes)?;
        if let Some(begun) = begun {
            begun.keep();
        }
        let (reporter, stop) = (context.reporter.clone(), context.stop.flag().clone());
        let settings = carry_settings(&context.options, self.shared, holds);
        let carrier = Carrier::new(&replica, history, run, self.tasks.clone(), settings, reporter, stop)?;
        let done = self.do_all((&carrier, &owners, hiding.cursor()), conversation);
        // Whatever ended it early, what was done is written down.
        let Ended { mut history, left, done: done_here, totals: mut here } = carrier.ended()?;
        let mut totals = done?;
        let here_undone = left.iter().filter_map(|number| self.tasks.get(*number)).map(|task| task.path);
        let here_undone: Vec<RelPath> = here_undone.collect();
        here.failed = here.failed.saturating_add(problems);
        let mut there_undone = tell_and_hear_undone(conversation, &here_undone, self.who)?;
        there_undone.retain(|path| self.tasks.find(path).is_some());
        let outcome = self.outcome(done_here, &here_undone, &there_undone);
        let undone: Vec<RelPath> = here_undone.into_iter().chain(there_undone).collect();
        let sequence = history.sequence();
        conversation.say(&Talk::Done(Done { sequence, totals: here }))?;
        let Talk::Done(there) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
        self.acknowledge((&mut history, digest), sequence, there.sequence, &undone)?;
        totals.merge(&here);
        totals.merge(&there.totals);
        history.end_run(Ending { at: FileTime::now(), outcome })?;
        expire_trash((&replica, &mut history), Some(run), context);
        Ok(Carried { undone, totals })
    }

    fn do_all(
        &self,
        (carrier, owners, hiding): (&Carrier, &OwnerMap, Cursor),
        conversation: &mut Conversation<'_>,
    ) -> Result<Totals, RunError> {
        self.copy_losers(carrier, conversation)?;
        carrier.write_down()?;
        let hiding = RefCell::new(hiding);
        carrier.find_names(&|path| !hiding.borrow_mut().hides(path, false))?;
        let fetches = self.tasks.outlines().iter().any(|outline| outline.is_fetched);
        let lacks = carrier.lacks_any();
        conversation.say(&Talk::Ready(Ready { fetches, lacks }))?;
        let Talk::Ready(theirs) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
        self.tell_and_hear_values((carrier, owners), (lacks, theirs.lacks), conversation)?;
        let they_fetch = theirs.fetches;
        carrier.make()?;
        let mut totals = Totals::default();
        // The forward pass goes from the left to the right.
        for source in Side::BOTH {
            let counted = match source == self.side {
                true if they_fetch => self.send(conversation)?,
                false if fetches => self.fetch(carrier, conversation)?,
                _ => continue,
            };
            totals.merge(&counted);
        }
        carrier.finish()?;
        Ok(totals)
    }

    /// Gives losers their names. What could not be copied on one side is left by both, as else the other would take it
    /// for settled.
    fn copy_losers(&self, carrier: &Carrier, conversation: &mut Conversation<'_>) -> Result<(), RunError> {
        let mut uncopied = carrier.copy_losers()?;
        if self.tasks.outlines().iter().any(|outline| outline.is_copy) {
            uncopied.extend(tell_and_hear_undone(conversation, &uncopied, self.who)?);
            carrier.leave_uncopied(&uncopied);
        }
        Ok(())
    }

    fn outcome(&self, done: u64, here: &[RelPath], there: &[RelPath]) -> Outcome {
        let count = |counts: &dyn Fn(&Outline) -> bool| {
            self.tasks.outlines().iter().filter(|outline| counts(outline)).count() as u64
        };
        let of = |undone: &[RelPath], is_change: &dyn Fn(&Task) -> bool| {
            let tasks = undone.iter().filter_map(|path| self.tasks.find(path));
            tasks.filter(|(_, task)| is_change(task)).count() as u64
        };
        let undone: BTreeSet<&RelPath> = here.iter().chain(there).collect();
        let done_there = count(&|task| task.there.is_some());
        Outcome {
            done,
            done_there: done_there.saturating_sub(of(there, &|task| task.there.is_some())),
            conflicts: count(&|task| task.is_conflict),
            problems: undone.len() as u64,
        }
    }

    /// The pass in which this side is the source.
    fn send(&self, conversation: &mut Conversation<'_>) -> Result<Totals, RunError> {
        let asked_for = || self.tasks.such(Outline::is_asked_for).map(|(_, task)| task);
        let view = View::planned(self.root.dir().clone(), Selection::new(asked_for().map(|task| task.path)));
        let context = for_passes(self.around.context);
        // Until the sink is done it may wait for a file in hand.
        let in_hand = context.stop.hold().ok_or(TwoWayError::Stopped)?;
        let counted = pass::source::run(conversation.link(), &view, &[], &context)?;
        drop(in_hand);
        if self.who == Who::Follower {
            // What it tells the planner of its own pass comes after that.
            let progress = &self.around.context.progress;
            asked_for().for_each(|task| progress.advance(task.after.state.size()));
            progress.settled(self.tasks.outlines().iter().filter(|outline| outline.is_asked_for()).count() as u64);
        }
        Ok(counted)
    }

    /// The pass in which this side is the sink.
    fn fetch(&self, carrier: &Carrier, conversation: &mut Conversation<'_>) -> Result<Totals, RunError> {
        let goal = Goal::Planned { root: self.root.clone(), agenda: carrier };
        let context = for_passes(self.around.context);
        let counted = pass::sink::run(conversation.link(), goal, &context)?;
        // What comes after it is not begun either.
        if context.stop.is_asked() { Err(TwoWayError::Stopped.into()) } else { Ok(counted) }
    }

    fn acknowledge(
        &self,
        (history, options): (&mut History, Option<[u8; 32]>),
        acknowledged: u64,
        received: u64,
        undone: &[RelPath],
    ) -> Result<(), RunError> {
        let left = self.tasks.such(|outline| outline.is_left).map(|(_, task)| task.path);
        let pending: Vec<RelPath> = left.chain(undone.iter().cloned()).collect();
        let partner = Partner { acknowledged, received, options, token: self.token };
        let (author, pending) = (self.partner, pending.as_slice());
        Ok(history.acknowledged(&Acknowledgement { author, partner, pending, records: &[] })?)
    }
}

/// What a pass has to know, of which attributes are no business: they have come before.
fn for_passes(context: &Context) -> Context {
    let options = Options { acls: false, xattrs: 0, hard_links: false, ..context.options.clone() };
    Context { options, ..context.clone() }
}

/// What of the options matters to who carries out tasks.
fn carry_settings(options: &Options, shared: Shared, holds: Facets) -> carry::Settings {
    let ((owner, group), detail) = (owned(options), options.detail);
    let keep_trash = options.two_way.is_none_or(|two_way| two_way.keep_trash);
    let is_root = facet::is_root();
    carry::Settings { shared, holds, owner, group, is_root, keep_trash, umask: crate::fs::umask(), detail }
}

/// Keeps what changes from now on for a partner that is not known yet.
pub(super) fn make_acquainted(history: &mut History, author: Author) -> Result<(), RunError> {
    if history.partner(author)?.is_none() {
        let partner = Partner { acknowledged: 0, received: 0, options: None, token: [0; 16] };
        history.acknowledged(&Acknowledgement { author, partner, pending: &[], records: &[] })?;
    }
    Ok(())
}

/// Both tell what could not be done, the planner first, as that may be long.
fn tell_and_hear_undone(
    conversation: &mut Conversation<'_>,
    undone: &[RelPath],
    who: Who,
) -> Result<Vec<RelPath>, RunError> {
    let told =
        |conversation: &mut Conversation<'_>| say_paths(conversation, undone.iter().cloned(), Talk::Undone);
    if who == Who::Planner {
        told(conversation)?;
    }
    let mut theirs = Vec::new();
    loop {
        let Talk::Undone(batch, is_last) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
        theirs.extend(batch.paths()?);
        if is_last {
            break;
        }
    }
    if who == Who::Follower {
        told(conversation)?;
    }
    Ok(theirs)
}

pub(super) const OUT_OF_TURN: PassError = PassError::Protocol("the other replica says something out of turn");
