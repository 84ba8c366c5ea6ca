//! Carrying out one side's share of a plan, beside the other side, which does the same.
//!
//! The order is what makes it safe to be killed at any moment: the losers of conflicts get their own names first; then
//! all is written down that needs no file to be touched, and what is going to be done to files; and only when both
//! sides have come so far, anything is done to what has a name. Directories, links and new names come first, then the
//! files whose content has to come from the other side, in two passes, then what goes, and the times of directories
//! last.

use crate::fs::Root;
use crate::pass::sink::Goal;
use crate::pass::{self, PassError};
use crate::report::Totals;
use crate::tree::RelPath;
use crate::twoway::carry::{self, Carrier, Ended};
use crate::twoway::decide::Side;
use crate::twoway::exchange::{Conversation, Done, Talk, say_paths};
use crate::twoway::history::{Acknowledgement, History, Partner};
use crate::twoway::reconcile::Change;
use crate::twoway::record::State;
use crate::twoway::run::own::{Own, digest};
use crate::twoway::run::{Around, RunError};
use crate::twoway::task::{Task, Tasks};
use crate::twoway::version::Author;
use crate::view::{Selection, View};
use std::sync::Arc;

/// One side's share of a plan, and with whom.
pub(super) struct Share<'a> {
    pub around: Around<'a>,
    pub root: &'a Root,
    /// Which side this is.
    pub side: Side,
    pub partner: Author,
    pub token: [u8; 16],
    pub tasks: Arc<Tasks>,
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
        let Own { replica, mut history, problems, .. } = own;
        let run = history.begin_run()?;
        let settings = carry::Settings::new(self.around.context);
        let carrier = Arc::new(Carrier::new(replica, history, run, self.tasks.clone(), settings)?);
        let done = self.do_all(&carrier, conversation);
        // Whatever ended it early, what was done is written down.
        let ended = Carrier::ended(carrier)?;
        let mut totals = done?;
        let Ended { history: returned, undone, totals: carried, .. } = ended;
        history = returned;
        totals.merge(&carried);
        let theirs = tell_and_hear_undone(conversation, &undone)?;
        let mut here = carried;
        here.failed = here.failed.saturating_add(problems);
        let sequence = history.sequence();
        conversation.say(&Talk::Done(Done { sequence, totals: here }))?;
        let Talk::Done(there) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
        totals.failed = totals.failed.saturating_add(problems);
        totals.merge(&there.totals);
        let undone: Vec<RelPath> = undone.into_iter().chain(theirs).collect();
        self.acknowledge(&mut history, sequence, there.sequence, &undone)?;
        Ok(Carried { undone, totals })
    }

    fn do_all(
        &self,
        carrier: &Arc<Carrier>,
        conversation: &mut Conversation<'_>,
    ) -> Result<Totals, RunError> {
        carrier.copy_losers()?;
        carrier.write_down()?;
        let fetches = self.tasks.iter().any(|(_, task)| task.is_fetched());
        conversation.say(&Talk::Ready(fetches))?;
        let Talk::Ready(they_fetch) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
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

    /// The pass in which this side is the source.
    fn send(&self, conversation: &mut Conversation<'_>) -> Result<Totals, RunError> {
        let is_asked_for = |task: &Task| {
            let content = matches!(task.there, Some(Change::Create | Change::Update | Change::Replace));
            content && matches!(task.after.state, State::File { .. })
        };
        let paths = self.tasks.iter().map(|(_, task)| task).filter(is_asked_for).map(|task| task.path);
        let view = View::selected(self.root.dir().clone(), Selection::new(paths));
        Ok(pass::source::run(conversation.link(), &view, Vec::new(), self.around.context)?)
    }

    /// The pass in which this side is the sink.
    fn fetch(
        &self,
        carrier: &Arc<Carrier>,
        conversation: &mut Conversation<'_>,
    ) -> Result<Totals, RunError> {
        let goal = Goal::Planned { root: self.root.clone(), agenda: &**carrier };
        Ok(pass::sink::run(conversation.link(), goal, self.around.context)?)
    }

    fn acknowledge(
        &self,
        history: &mut History,
        acknowledged: u64,
        received: u64,
        undone: &[RelPath],
    ) -> Result<(), RunError> {
        let left = self.tasks.iter().filter(|(_, task)| task.why.is_left()).map(|(_, task)| task.path);
        let pending: Vec<RelPath> = left.chain(undone.iter().cloned()).collect();
        let options = Some(digest(&self.around.context.options));
        let partner = Partner { acknowledged, received, options, token: self.token };
        let (author, pending) = (self.partner, pending.as_slice());
        Ok(history.acknowledged(&Acknowledgement { author, partner, pending, records: &[] })?)
    }
}

/// Keeps what changes from now on for a partner that is not known yet.
pub(super) fn make_acquainted(history: &mut History, author: Author) -> Result<(), RunError> {
    if history.partner(author)?.is_none() {
        let partner = Partner { acknowledged: 0, received: 0, options: None, token: [0; 16] };
        history.acknowledged(&Acknowledgement { author, partner, pending: &[], records: &[] })?;
    }
    Ok(())
}

fn tell_and_hear_undone(
    conversation: &mut Conversation<'_>,
    undone: &[RelPath],
) -> Result<Vec<RelPath>, RunError> {
    say_paths(conversation, undone.iter().cloned(), Talk::Undone)?;
    let mut theirs = Vec::new();
    loop {
        let Talk::Undone(batch, is_last) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
        theirs.extend(batch.paths()?);
        if is_last {
            return Ok(theirs);
        }
    }
}

pub(super) const OUT_OF_TURN: PassError = PassError::Protocol("the other replica says something out of turn");
