//! How two replicas meet: what each knows of generations becomes the same on both sides, before anything is compared.

use crate::pass::PassError;
use crate::twoway::TwoWayError;
use crate::twoway::decide::Side;
use crate::twoway::exchange::{Conversation, Meet, Talk};
use crate::twoway::guard::Refusal;
use crate::twoway::history::Partner;
use crate::twoway::run::own::Own;
use crate::twoway::run::planner::Names;
use crate::twoway::run::share::OUT_OF_TURN;
use crate::twoway::run::{Around, RunError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often what is known is told before the two give up. Each time shows at most a few forks that were not known, and
/// two honest replicas agree after the first.
const ROUNDS: usize = 8;

const NEVER: PassError = PassError::Protocol("the two replicas do not agree on who counted what");

/// What the planner has learned of the follower.
#[derive(Debug)]
pub(super) struct Met {
    pub theirs: Meet,
    pub clock: Clock,
}

/// The follower's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// How many seconds later it is there.
    ahead: f64,
    /// How long it took to ask, by which that may be wrong.
    took: Duration,
}

/// How many seconds apart two clocks may be before somebody is told.
const CLOCKS_DIFFER: f64 = 2.0;

impl Clock {
    /// What is said of it, if it is another time there for certain.
    pub(super) fn warning(self) -> Option<String> {
        let (seconds, doubt) = (self.ahead.abs(), self.took.as_secs_f64() / 2.0);
        let which = if self.ahead > 0.0 { "ahead of" } else { "behind" };
        (seconds - doubt > CLOCKS_DIFFER).then(|| {
            format!(
                "the other clock is {seconds:.0} s {which} this one, which matters to --conflict=newer and older"
            )
        })
    }
}

/// Meets as the planner. Whom it does not expect it asks `refuse` about.
pub(super) fn meet(
    own: &mut Own,
    conversation: &mut Conversation<'_>,
    (names, around): (&Names, Around<'_>),
    refuse: &dyn Fn() -> Result<(), RunError>,
) -> Result<Met, RunError> {
    for round in 0..ROUNDS {
        let (asked, here) = (Instant::now(), now());
        let introduction = Meet { name: names.here.clone(), ..own.introduction() };
        conversation.say(&Talk::Meet(introduction))?;
        let Talk::Meet(theirs) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
        if round == 0 && own.meets_another(&names.there, &theirs)? {
            refuse()?;
        }
        if theirs.heads == own.history.lineages().heads() {
            let took = asked.elapsed();
            let there = theirs.now.saturating_sub(here) as f64 / 1e9;
            let clock = Clock { ahead: there - took.as_secs_f64() / 2.0, took };
            return Ok(Met { theirs, clock });
        }
        conversation.say(&Talk::News(own.history.lineages().news_for(&theirs.heads)))?;
        let Talk::News(news) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
        own.learn(&news, around)?;
    }
    Err(NEVER.into())
}

/// Meets as the follower. Returns who the planner is.
pub(super) fn be_met(
    own: &mut Own,
    conversation: &mut Conversation<'_>,
    around: Around<'_>,
) -> Result<Meet, RunError> {
    let options = &around.context.options;
    let is_allowed = options.two_way.is_some_and(|two_way| two_way.allow_mass_delete);
    for round in 0..ROUNDS {
        let Talk::Meet(theirs) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
        if round == 0 && !is_allowed && own.meets_another(&theirs.name, &theirs)? {
            // Which side it is, its name tells.
            return Err(RunError::Halted(Refusal::Another { side: Side::Left }.told(&theirs.name)));
        }
        let memory = own.memory(theirs.author)?;
        let remembers_another = own.remembers_another(&theirs.name, theirs.author)?;
        conversation.say(&Talk::Meet(Meet { memory, remembers_another, ..own.introduction() }))?;
        if theirs.heads == own.history.lineages().heads() {
            return Ok(theirs);
        }
        let news = own.history.lineages().news_for(&theirs.heads);
        let Talk::News(theirs) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
        conversation.say(&Talk::News(news))?;
        own.learn(&theirs, around)?;
    }
    Err(NEVER.into())
}

/// Whether what both remember of each other is of the same run, so that only what has changed since is compared.
pub(super) fn is_continued(own: &Own, theirs: &Meet) -> Result<bool, TwoWayError> {
    let remembered = own.memory(theirs.author)?;
    let is_same = |(ours, theirs): (Partner, Partner)| {
        ours.token == theirs.token
            && ours.acknowledged == theirs.received
            && ours.received == theirs.acknowledged
    };
    Ok(remembered.zip(theirs.memory).is_some_and(is_same))
}

impl Own {
    fn introduction(&self) -> Meet {
        Meet {
            author: self.history.author(),
            heads: self.history.lineages().heads(),
            census: self.census(),
            holds: self.holds,
            problems: self.problems,
            is_new: self.is_new,
            loss_told: self.loss_told,
            name: String::new(),
            remembers_another: false,
            free: self.free(),
            now: now(),
            memory: None,
        }
    }
}

/// Nanoseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_differs_for_certain_is_told_of() {
        let warning = |ahead, millis| Clock { ahead, took: Duration::from_millis(millis) }.warning();
        for (ahead, millis) in [(0.0, 0), (2.0, 0), (-2.0, 10), (3.0, 2000), (-30.0, 60_000)] {
            assert_eq!(warning(ahead, millis), None, "{ahead} {millis}");
        }
        assert!(warning(30.2, 100).unwrap().contains("is 30 s ahead of this one"));
        assert!(warning(-3.0, 1900).unwrap().contains("is 3 s behind this one"));
    }
}
