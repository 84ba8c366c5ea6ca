//! The side that has been asked: tells what has changed, and does what it is told.

use crate::fs::{Dir, Root};
use crate::report::Totals;
use crate::tree::RelPath;
use crate::twoway::exchange::{Conversation, Talk, Terms};
use crate::twoway::history;
use crate::twoway::packed::{Collector, Store};
use crate::twoway::record::Shared;
use crate::twoway::run::agreeing::agree;
use crate::twoway::run::comparing;
use crate::twoway::run::contents::{show_file, show_replaced};
use crate::twoway::run::meeting::be_met;
use crate::twoway::run::own::Own;
use crate::twoway::run::share::{OUT_OF_TURN, Share, Who, make_acquainted};
use crate::twoway::run::told::Knowledge;
use crate::twoway::run::{Around, RunError};
use crate::twoway::task::{Task, Tasks};
use crate::twoway::version::Author;
use crate::wire::Link;
use std::sync::Arc;

/// Takes part in a run as the replica at `root`.
///
/// # Errors
/// The replica cannot be used, a guard stopped the run, or the link broke. The other side has to be
/// [told](RunError::tell).
pub fn follow(link: &mut Link, root: &Root, around: Around<'_>) -> Result<Totals, RunError> {
    let context = around.context;
    let mut conversation = Conversation::new(link, &*context.reporter, &context.progress);
    let hiding = agree(root.dir(), &mut conversation, (around, Who::Follower))?;
    let mut own = Own::open(root, around, hiding)?;
    let planner = be_met(&mut own, &mut conversation, around)?;
    let shared = own.shared(&context.options, planner.holds);
    let (partner, name) = (planner.author, planner.name);
    let with = (partner, shared);
    let Some((tasks, terms)) = tell(&mut own, with, &mut conversation, (around, root.dir()))? else {
        own.was_met(partner, context)?;
        return Ok(Totals::default());
    };
    let Terms { side, token } = terms;
    let share = Share {
        around,
        root,
        who: Who::Follower,
        side,
        partner,
        name,
        token,
        tasks: Arc::new(Tasks::told(tasks)),
        shared,
    };
    Ok(share.carry_out(own, &mut conversation)?.totals)
}

/// Tells what has changed, and hears the plan; `None` if there is nothing to be done or remembered.
fn tell(
    own: &mut Own,
    (partner, shared): (Author, Shared),
    conversation: &mut Conversation<'_>,
    (around, root): (Around<'_>, &Dir),
) -> Result<Option<(Store<Task>, Terms)>, RunError> {
    let Talk::Compare(compare) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
    make_acquainted(&mut own.history, partner)?;
    let knowledge = Knowledge::new(own)?;
    let (mut keys, similar) =
        comparing::answer(&compare, (own, &knowledge), (partner, shared), conversation)?;
    loop {
        let Talk::Paths(batch, is_last) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
        let paths = batch.paths()?;
        if let Some(keys) = &mut keys {
            keys.extend(paths.iter().map(history::key));
        }
        if is_last {
            break;
        }
    }
    knowledge.tell(conversation, keys, root)?;
    let told = |path: &RelPath| Ok(knowledge.told(path)?);
    let mut tasks = Collector::default();
    let mut similar = Some(similar);
    loop {
        match conversation.hear()? {
            Talk::Nothing => return Ok(None),
            Talk::Read(path, limit) => show_file(conversation, root, &path, limit)?,
            Talk::ReadReplaced(path, version, limit) => {
                show_replaced(conversation, (root, &own.history), (&path, &version), limit)?;
            }
            Talk::Settled(lineages) => own.learn(&lineages, around)?,
            Talk::Joined(joined) => {
                let similar = similar.take().ok_or(OUT_OF_TURN)?;
                similar.tasks(knowledge.all()?, &joined, &mut |task| tasks.push(&task))?;
            }
            Talk::Tasks(batch, terms) => {
                batch.tasks::<RunError>(knowledge.owners(), told)?.iter().for_each(|task| tasks.push(task));
                if let Some(terms) = terms {
                    return Ok(Some((tasks.finish(), terms)));
                }
            }
            _ => return Err(OUT_OF_TURN.into()),
        }
    }
}
