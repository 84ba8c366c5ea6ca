//! How two sides agree on what takes no part: before anything else each finds the files of rules in its own tree, and
//! unless both have the same, they tell each other.

use crate::fs::{Dir, Error};
use crate::pass::PassError;
use crate::report::{Event, Problem, ProblemClass, Role};
use crate::tree::RelPath;
use crate::tree::filter::RuleFiles;
use crate::twoway::exchange::{Conversation, Talk};
use crate::twoway::hiding::{self, Hiding, gather};
use crate::twoway::run::share::{OUT_OF_TURN, Who};
use crate::twoway::run::{Around, RunError};
use std::sync::Arc;

/// How many bytes of files of rules are told, and heard, at most.
const MOST: usize = 64 << 20;

/// How many go into one message, unless a single file is longer.
const BATCH: usize = 256 << 10;

/// What both sides have agreed on.
pub(super) struct Agreed {
    /// What takes no part.
    pub hiding: Arc<Hiding>,
    /// How many files of rules here could not be read or understood, all of which were told.
    pub problems: u64,
}

/// Agrees with the other side on what takes no part. Where neither tree can make a difference, nothing is said.
///
/// # Errors
/// There are too many files of rules, or the link broke.
pub(super) fn agree(
    root: &Dir,
    conversation: &mut Conversation<'_>,
    (around, who): (Around<'_>, Who),
) -> Result<Agreed, RunError> {
    let rules = &around.context.options.rules;
    if !rules.has_dir_merges() && !rules.look_at_root() {
        return Ok(Agreed { hiding: Arc::new(Hiding::of_rules(rules)), problems: 0 });
    }
    let mut problems: u64 = 0;
    let mut trouble = |path: &RelPath, error: Error| {
        problems = problems.saturating_add(1);
        tell(around, path, &error);
    };
    let ours = gather(root, (rules, around.name), around.context.stop.flag(), &mut trouble)?;
    if ours.len() > MOST {
        return Err(RunError::Halted(format!(
            "{}: its files of filter rules are longer than {} MiB together, which is more than the other side takes",
            around.name(),
            MOST >> 20
        )));
    }
    let theirs = match who {
        Who::Planner => ask(conversation, &ours)?,
        Who::Follower => answer(conversation, &ours)?,
    };
    let hiding = Arc::new(Hiding::new(rules, [Some(ours), theirs].into_iter().flatten()));
    Ok(Agreed { hiding, problems })
}

fn tell(around: Around<'_>, path: &RelPath, error: &Error) {
    let cause = format!("{}; nothing in there takes part", crate::pass::describe(&error.source));
    let problem = Problem::new(Role::Source, error.doing, path, &cause).of_class(ProblemClass::Failed);
    around.context.reporter.report(Event::Problem(problem));
}

/// As the planner. Returns the other side's files; `None` if they are the same.
fn ask(conversation: &mut Conversation<'_>, ours: &RuleFiles) -> Result<Option<RuleFiles>, PassError> {
    conversation.say(&Talk::Rules(hiding::digest(ours)))?;
    let theirs = match conversation.hear()? {
        Talk::SameRules => return Ok(None),
        first => hear(conversation, first)?,
    };
    say(conversation, ours)?;
    Ok(Some(theirs))
}

/// As the follower.
fn answer(conversation: &mut Conversation<'_>, ours: &RuleFiles) -> Result<Option<RuleFiles>, PassError> {
    let Talk::Rules(digest) = conversation.hear()? else { return Err(OUT_OF_TURN) };
    if digest == hiding::digest(ours) {
        conversation.say(&Talk::SameRules)?;
        return Ok(None);
    }
    say(conversation, ours)?;
    let first = conversation.hear()?;
    hear(conversation, first).map(Some)
}

fn say(conversation: &mut Conversation<'_>, files: &RuleFiles) -> Result<(), PassError> {
    let mut parts = files.parts(BATCH).into_iter().peekable();
    while let Some(part) = parts.next() {
        conversation.say(&Talk::RuleFiles(part, parts.peek().is_none()))?;
    }
    Ok(())
}

/// The other side's files, of which the first have come.
fn hear(conversation: &mut Conversation<'_>, first: Talk) -> Result<RuleFiles, PassError> {
    let mut talk = first;
    let (mut files, mut len) = (RuleFiles::default(), 0_usize);
    loop {
        let Talk::RuleFiles(batch, is_last) = talk else { return Err(OUT_OF_TURN) };
        len = len.saturating_add(batch.len());
        files.merge(batch);
        // Each part has the path of the tree with it.
        if len > MOST.saturating_mul(2) {
            return Err(PassError::Protocol("the other side's files of rules are too long"));
        }
        if is_last {
            return Ok(files);
        }
        talk = conversation.hear()?;
    }
}
