//! A run in one direction, with which the link ends: one pass, or with `--delete-before` one that only removes, and
//! then one that does the rest.

use crate::pass::sink::Goal;
use crate::pass::{self, Context, PassError, Sweep};
use crate::report::Totals;
use crate::request::Options;
use crate::view::{View, ViewError, source_look};
use crate::wire::Link;
use std::borrow::Cow;
use std::sync::Arc;

/// Plays the source of what these arguments, and the names of a list, show, and then leaves: what the peer may still
/// say is not heard.
pub(super) fn source(
    mut link: Link,
    arguments: &[Vec<u8>],
    names: Option<Cow<'_, [u8]>>,
    context: &Context,
) -> Result<Totals, PassError> {
    let opened = View::open(arguments, names.as_deref(), &context.options, context.paths);
    drop(names);
    let played = match opened {
        Ok((view, missing)) => {
            shown(&mut link, &view.looking_at(source_look(&context.options)), &missing, context)
        }
        Err(error) => Err(pass::source::give_up(&link, error)),
    };
    link.sender.stopper().stop();
    played
}

/// Plays the source of what a view shows, in as many passes as there are.
fn shown(
    link: &mut Link,
    view: &View,
    missing: &[ViewError],
    context: &Context,
) -> Result<Totals, PassError> {
    let mut totals = Totals::default();
    if context.options.sweeps_first() {
        totals = pass::source::run(link, view, missing, &sweeping(context))?;
    }
    totals.merge(&pass::source::run(link, view, missing, context)?);
    Ok(totals)
}

/// Plays the sink below a destination argument, and then has nothing more to say.
pub(super) fn sink(mut link: Link, destination: &[u8], context: &Context) -> Result<Totals, PassError> {
    let goal = || if context.options.list_only { Goal::Listing } else { Goal::Destination(destination) };
    let (mut totals, mut sweep) = (Totals::default(), Sweep::None);
    if context.options.sweeps_first() {
        totals = pass::sink::run(&mut link, goal(), &sweeping(context))?;
        sweep = Sweep::Done(totals.deleted.total());
    }
    totals.merge(&pass::sink::run(&mut link, goal(), &Context { sweep, ..context.clone() })?);
    link.sender.close();
    Ok(totals)
}

/// The context of the pass that only removes, of which no progress is shown.
fn sweeping(context: &Context) -> Context {
    let mut options: Options = context.options.clone();
    options.detail.progress = false;
    Context { options, progress: Arc::default(), tell_progress: false, sweep: Sweep::Now, ..context.clone() }
}
