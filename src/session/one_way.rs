//! A run that is one pass, with which the link ends.

use crate::pass::sink::Goal;
use crate::pass::{self, Context, PassError};
use crate::report::Totals;
use crate::view::{View, ViewError};
use crate::wire::Link;

/// Plays the source, and then leaves: what the peer may still say is not heard.
pub(super) fn source(
    mut link: Link,
    view: &View,
    missing: Vec<ViewError>,
    context: &Context,
) -> Result<Totals, PassError> {
    let played = pass::source::run(&mut link, view, missing, context);
    link.sender.stopper().stop();
    played
}

/// Plays the sink below a destination argument, and then has nothing more to say.
pub(super) fn sink(mut link: Link, destination: &[u8], context: &Context) -> Result<Totals, PassError> {
    let goal = if context.options.list_only { Goal::Listing } else { Goal::Destination(destination) };
    let played = pass::sink::run(&mut link, goal, context)?;
    link.sender.close();
    Ok(played)
}
