//! Both roles in one process.

use crate::pass::{self, Context, PassError};
use crate::session::{Failure, Outcome, Run, Surroundings, random_seed, sums};
use crate::view::View;
use crate::wire::Link;
use std::thread;
use std::time::Duration;

pub(super) fn run(
    run: &Run,
    surroundings: &Surroundings,
    sources: &[Vec<u8>],
    destination: &[u8],
) -> Result<Outcome, Failure> {
    let context = Context {
        options: run.options.clone(),
        sums: sums(&run.options, random_seed()),
        reporter: surroundings.reporter.clone(),
        progress: surroundings.progress.clone(),
        local: true,
        tell_progress: false,
    };
    let (source, sink) = Link::pair();
    for end in [&source, &sink] {
        let stopper = end.sender.stopper();
        surroundings.cancel.on_cancel(move || stopper.stop());
    }
    let (view, missing) = View::open(sources, context.options.rules.clone(), context.options.recursive);
    let (read, written) = thread::scope(|scope| {
        let reading = thread::Builder::new()
            .name("source".into())
            .spawn_scoped(scope, || pass::source::run(source, &view, missing, &context));
        match reading {
            Err(error) => (Err(PassError::thread(error)), Err(PassError::Lost)),
            Ok(reading) => {
                let written = pass::sink::run(sink, destination, &context);
                (reading.join().unwrap_or(Err(PassError::Lost)), written)
            }
        }
    });
    // Each role that fails takes the other with it; the one with a reason of its own is the one to name.
    let totals = match (read, written) {
        (_, Ok(totals)) => totals,
        (Err(error), Err(PassError::Lost | PassError::Peer(_))) | (_, Err(error)) => return Err(error.into()),
    };
    let sent = totals.literal.saturating_add(totals.list_bytes);
    Ok(Outcome { totals, sent, received: 0, elapsed: Duration::ZERO, connecting: Duration::ZERO })
}
