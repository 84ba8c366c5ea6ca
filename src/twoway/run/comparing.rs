//! What two replicas compare, and how they find out what of it they have to tell.

use crate::request::Options;
use crate::twoway::exchange::{Compare, Conversation, Meet, Talk, say_paths};
use crate::twoway::history;
use crate::twoway::record::Shared;
use crate::twoway::run::RunError;
use crate::twoway::run::alike::{self, Cutting, Similar};
use crate::twoway::run::own::Own;
use crate::twoway::run::share::OUT_OF_TURN;
use crate::twoway::run::told::{Keys, Knowledge, Rest};
use crate::twoway::version::Author;

/// What is compared to make a plan.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// What has changed since the last run of the two.
    Changes,
    /// All that is not known alike.
    Differences,
    /// Everything.
    Everything,
}

impl Scope {
    /// For two that go on, or do not go on, from a run of theirs.
    pub(super) fn new(is_continued: bool, own: &Own, theirs: &Meet, options: &Options) -> Scope {
        let is_fresh = |is_new: bool, found: u64| is_new && found == 0;
        let is_filled =
            is_fresh(own.is_new, own.census().found) || is_fresh(theirs.is_new, theirs.census.found);
        match (is_continued, options.shortcuts.stretches) {
            (true, _) => Scope::Changes,
            // Where there is nothing on one side, nothing is known alike.
            (false, true) if !is_filled => Scope::Differences,
            (false, _) => Scope::Everything,
        }
    }
}

/// As the planner: has the follower tell what is different there, and what it knows of all that is different here.
/// Returns what it knows of the rest.
pub(super) fn ask(
    (own, knowledge): (&Own, &Knowledge),
    partner: Author,
    (scope, shared): (Scope, Shared),
    conversation: &mut Conversation<'_>,
) -> Result<Rest, RunError> {
    let mut keys = Keys::new();
    let mut rest = Rest::Alike(Similar::default());
    match scope {
        Scope::Changes => {
            conversation.say(&Talk::Compare(Compare::Changes))?;
            if let Some(remembered) = own.history.partner(partner)? {
                knowledge.changed(&own.history, partner, &remembered, &mut keys)?;
            }
        }
        Scope::Differences => (rest, keys) = compare((own, knowledge), shared, conversation)?,
        Scope::Everything => {
            conversation.say(&Talk::Compare(Compare::Everything))?;
            rest = Rest::Nothing;
        }
    }
    // Each of them was the key of a path.
    let paths = keys.into_iter().filter_map(|key| history::path(&key).ok());
    say_paths(conversation, paths, Talk::Paths)?;
    Ok(rest)
}

/// Tells the stretches of what is known here. Returns what the follower knows of what it will not tell, and the keys of
/// what it is to tell.
fn compare(
    (own, knowledge): (&Own, &Knowledge),
    shared: Shared,
    conversation: &mut Conversation<'_>,
) -> Result<(Rest, Keys), RunError> {
    let cutting = Cutting::new(shared, knowledge.owners());
    let Some((stretches, cuts)) = alike::stretches(knowledge.all()?, &cutting)? else {
        conversation.say(&Talk::Compare(Compare::Everything))?;
        return Ok((Rest::Nothing, Keys::new()));
    };
    conversation.say(&Talk::Compare(Compare::Stretches(stretches)))?;
    let Talk::Alike(alike) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
    let Some(alike) = alike else { return Ok((Rest::Nothing, Keys::new())) };
    alike.check(own.history.lineages())?;
    let (similar, keys) = cuts.answered(&alike, knowledge.all()?)?;
    Ok((Rest::Alike(similar), keys))
}

/// As the follower: finds out what is to be compared. Returns the keys of what is to be told besides what the planner
/// asks for, `None` if that is everything; and the stretches of which nothing is told as only the versions are others
/// there.
pub(super) fn answer(
    compare: &Compare,
    (own, knowledge): (&Own, &Knowledge),
    (partner, shared): (Author, Shared),
    conversation: &mut Conversation<'_>,
) -> Result<(Option<Keys>, Similar), RunError> {
    let mut keys = Keys::new();
    match compare {
        Compare::Changes => {
            if let Some(remembered) = own.history.partner(partner)? {
                knowledge.changed(&own.history, partner, &remembered, &mut keys)?;
            }
            Ok((Some(keys), Similar::default()))
        }
        Compare::Stretches(theirs) => {
            theirs.check(own.history.lineages())?;
            let cutting = Cutting::new(shared, knowledge.owners());
            let compared = alike::compare(knowledge.all()?, &cutting, theirs)?;
            let (alike, similar, keys) = match compared {
                Some((alike, similar, keys)) => (Some(alike), similar, Some(keys)),
                None => (None, Similar::default(), None),
            };
            conversation.say(&Talk::Alike(alike))?;
            Ok((keys, similar))
        }
        Compare::Everything => Ok((None, Similar::default())),
    }
}
