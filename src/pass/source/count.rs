//! Counts what there is ahead of the walk, so that progress has a whole to be a part of.
//!
//! It reads the directories a second time, without waiting for anyone; when nobody watches it does not run.

use crate::pass::source::Source;
use crate::tree::Node;
use crate::view::ViewDir;
use crate::wire::Message;
use std::time::{Duration, Instant};

/// How often the peer is told.
const INTERVAL: Duration = Duration::from_millis(100);

pub(super) fn run(source: &Source<'_>) {
    let progress = &source.context.progress;
    let mut told = Instant::now();
    let mut stack: Vec<ViewDir> = vec![source.view.root()];
    while let Some(dir) = stack.pop() {
        if source.sender.is_stopped() {
            return;
        }
        let listing = source.view.list(&dir);
        for entry in listing.entries.iter().rev() {
            match &entry.node {
                Node::File { size } => progress.found(*size),
                Node::Directory => stack.push(source.view.child(&dir, &listing, &entry.name)),
                _ => {}
            }
        }
        if source.context.tell_progress && told.elapsed() > INTERVAL {
            told = Instant::now();
            tell(source);
        }
    }
    progress.all_found();
    if source.context.tell_progress {
        tell(source);
    }
}

fn tell(source: &Source<'_>) {
    // A closed link is noticed by those who need it.
    let _ = source.sender.send(Message::Progress(source.context.progress.read()));
}
