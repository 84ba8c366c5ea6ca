//! The side that was asked for the run: makes the plan.

use crate::fs::Root;
use crate::report::{Event, Totals};
use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::decide::Side;
use crate::twoway::exchange::{Compare, Conversation, Packing, Talk, Terms, say_paths};
use crate::twoway::guard::{Census, MaxDelete, Tally};
use crate::twoway::history::{self, new_token};
use crate::twoway::plan::Plan;
use crate::twoway::policy::{Policies, Resolver};
use crate::twoway::reconcile::{Change, Elsewhere, Pair, Rules, Settler, Step, Why, reconcile};
use crate::twoway::record::State;
use crate::twoway::run::meeting::{Met, is_continued, meet};
use crate::twoway::run::own::Own;
use crate::twoway::run::share::{Carried, Share, make_acquainted};
use crate::twoway::run::told::{Knowledge, Pairs, Told, pair};
use crate::twoway::run::{Around, Overseer, RunError};
use crate::twoway::scan;
use crate::twoway::task::{Task, Tasks};
use crate::wire::Link;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// How conflicts are settled, and what is too much.
pub struct Settings<'a> {
    /// Which side this one is: the first argument's or the second's.
    pub side: Side,
    /// Who wins.
    pub policies: &'a Policies,
    /// How many removals are too many.
    pub max_delete: MaxDelete,
    /// The plan to be carried out, in place of one that is made now.
    pub apply: Option<&'a Plan>,
    /// Who is asked and told.
    pub overseer: &'a dyn Overseer,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What was to be done.
    pub plan: Plan,
    /// What of it could not be done, on either side.
    pub undone: Vec<RelPath>,
    /// What was counted on both sides.
    pub totals: Totals,
    /// By how many milliseconds the clock of the second side is ahead of that of the first.
    pub clock_offset: i64,
}

/// Makes a plan for the replica at `root` and the one at the other end of the link, and has both carry it out.
///
/// # Errors
/// One of the replicas cannot be used, a guard stopped the run, or the link broke; the other side has been told.
pub fn plan_and_carry_out(
    link: &mut Link,
    root: &Root,
    settings: &Settings<'_>,
    around: Around<'_>,
) -> Result<Outcome, RunError> {
    let own = Own::open(root, around);
    let done = own.and_then(|own| {
        let context = around.context;
        let mut conversation = Conversation::new(link, &*context.reporter, &context.progress);
        Planner { own, root, settings, around }.run(&mut conversation)
    });
    done.inspect_err(|error| error.close(link))
}

struct Planner<'a> {
    own: Own,
    root: &'a Root,
    settings: &'a Settings<'a>,
    around: Around<'a>,
}

impl Planner<'_> {
    fn run(mut self, conversation: &mut Conversation<'_>) -> Result<Outcome, RunError> {
        let met = meet(&mut self.own, conversation)?;
        self.warn_of_clock(&met);
        let theirs = &met.theirs;
        let partner = theirs.author;
        let options = &self.around.context.options;
        let is_continued = is_continued(&self.own, theirs, options)? && self.settings.apply.is_none();
        make_acquainted(&mut self.own.history, partner)?;
        let (plan, is_news) = self.plan(partner, !is_continued, conversation)?;
        self.settings.overseer.planned(&plan)?;
        self.guard(&plan, &met)?;
        if options.dry_run || !is_news {
            conversation.say(&Talk::Nothing)?;
            let failed = self.own.problems;
            let totals = Totals { failed, ..Totals::default() };
            return Ok(Outcome { plan, undone: Vec::new(), totals });
        }
        self.settle(&plan, conversation)?;
        let renames = Renames::new(&plan);
        let token = new_token()?;
        let side = self.settings.side;
        self.tell(&plan, &renames, Terms { side: side.other(), token }, conversation)?;
        let tasks = plan.steps.iter().map(|step| renames.task(step, side)).collect();
        let (around, root, tasks) = (self.around, self.root, Arc::new(Tasks::new(tasks)));
        let share = Share { around, root, side, partner, token, tasks };
        let Carried { undone, totals } = share.carry_out(self.own, conversation)?;
        Ok(Outcome { plan, undone, totals })
    }

    /// Makes the plan. Also whether there is anything to be done or to be remembered.
    fn plan(
        &mut self,
        partner: crate::twoway::version::Author,
        everything: bool,
        conversation: &mut Conversation<'_>,
    ) -> Result<(Plan, bool), RunError> {
        let side = self.settings.side;
        let rules = &self.around.context.options.rules;
        let history = &self.own.history;
        let knowledge = Knowledge::new(history, rules)?;
        let mut keys = BTreeSet::new();
        if !everything && let Some(remembered) = history.partner(partner)? {
            knowledge.changed(history, partner, &remembered, &mut keys)?;
        }
        conversation.say(&Talk::Compare(Compare { everything }))?;
        let paths: Vec<RelPath> =
            keys.iter().map(|key| history::path(key)).collect::<Result<_, TwoWayError>>()?;
        say_paths(conversation, paths, Talk::Paths)?;
        let told = Told::hear(conversation)?;
        let settler = Settler { author: history.author(), count: history.generation().saturating_add(1) };
        let elsewhere = |path: &RelPath| {
            if scan::is_ignored(rules, path, false) {
                return Elsewhere::Excluded;
            }
            let Ok(ours) = knowledge.told(path) else { return Elsewhere::Excluded };
            match told.find(path) {
                Some(theirs) if ours != theirs => Elsewhere::Changed(pair(side, ours, theirs)),
                _ => Elsewhere::Unchanged(Some(ours)),
            }
        };
        let mut resolver: Box<dyn Resolver> = Box::new(self.settings.policies.clone());
        let mut pairs = Pairs::new(side, &knowledge, &told, everything)?;
        let mut steps: Vec<Step> = Vec::new();
        let asked = Rules { settler, resolver: &mut *resolver, elsewhere: &elsewhere };
        let planned = reconcile(&mut pairs, asked, &mut |step| steps.push(step));
        if let Some(failure) = pairs.failure.take() {
            return Err(failure.into());
        }
        planned.map_err(|_| crate::pass::PassError::Protocol("records are told out of order"))?;
        let is_news = everything || !told.is_empty();
        let authors = match side {
            Side::Left => (history.author(), partner),
            Side::Right => (partner, history.author()),
        };
        Ok((Plan::new(authors.0, authors.1, settler, steps), is_news))
    }

    fn guard(&self, plan: &Plan, met: &Met) -> Result<(), RunError> {
        let mut tally = Tally::default();
        plan.steps.iter().for_each(|step| tally.count(step));
        let (left, right) = self.of_sides(self.own.census(), met.theirs.census);
        tally
            .guard(left, right, self.settings.max_delete)
            .map_err(|refusal| RunError::Halted(refusal.to_string()))?;
        let here = self.own.replica.root().free_bytes().ok();
        let (left, right) = self.of_sides(here, met.theirs.free);
        for (side, free) in [(Side::Left, left), (Side::Right, right)] {
            let needed = needed(plan, side);
            if free.is_some_and(|free| needed > free) {
                let which = if side == Side::Left { "first" } else { "second" };
                return Err(RunError::Halted(format!(
                    "the {which} tree needs {needed} bytes more than there are ({} are free); make room, or leave \
                     something out with --exclude",
                    free.unwrap_or(0)
                )));
            }
        }
        Ok(())
    }

    fn of_sides<T>(&self, ours: T, theirs: T) -> (T, T) {
        match self.settings.side {
            Side::Left => (ours, theirs),
            Side::Right => (theirs, ours),
        }
    }

    /// Begins the generation in which conflicts are settled, if any are, and tells of it before anything of it is
    /// written down.
    fn settle(&mut self, plan: &Plan, conversation: &Conversation<'_>) -> Result<(), RunError> {
        let settles = |step: &Step| matches!(step.why, Why::Settled(..) | Why::Kept { .. } | Why::CopyOf(_));
        if !plan.steps.iter().any(settles) {
            return Ok(());
        }
        let heads = self.own.history.lineages().heads();
        self.own.history.count_on()?;
        let news = self.own.history.lineages().news_for(&heads);
        Ok(conversation.say(&Talk::Settled(news))?)
    }

    fn tell(
        &self,
        plan: &Plan,
        renames: &Renames,
        terms: Terms,
        conversation: &Conversation<'_>,
    ) -> Result<(), RunError> {
        let mut packing = Packing::default();
        for step in &plan.steps {
            packing.task(&renames.task(step, terms.side));
            if packing.is_full() {
                conversation.say(&Talk::Tasks(packing.take(), None))?;
            }
        }
        Ok(conversation.say(&Talk::Tasks(packing.take(), Some(terms)))?)
    }

    fn warn_of_clock(&self, met: &Met) {
        let Met { ahead, took, .. } = met;
        if ahead.abs() - took.as_secs_f64() / 2.0 > CLOCKS_DIFFER {
            let which = if *ahead > 0.0 { "ahead of" } else { "behind" };
            let text = format!(
                "the other clock is {:.0} s {which} this one, which matters to --conflict=newer and older",
                ahead.abs()
            );
            self.around.context.reporter.report(Event::Notice(text));
        }
    }
}

/// How many seconds apart two clocks may be before somebody is told.
const CLOCKS_DIFFER: f64 = 2.0;

/// How many bytes a plan takes on a side, at most: what it replaces is kept.
fn needed(plan: &Plan, side: Side) -> u64 {
    let bytes = plan.steps.iter().map(|step| match (step.change(side), &step.after.of(side).state) {
        (Some(Change::Create | Change::Update | Change::Replace), State::File { size, .. }) => *size,
        _ => 0,
    });
    bytes.fold(0, u64::saturating_add)
}

/// The files of a plan that only get another name.
struct Renames(HashMap<(Side, RelPath), RelPath>);

impl Renames {
    fn new(plan: &Plan) -> Renames {
        let renames = plan.renames().into_iter();
        Renames(
            renames.map(|rename| ((rename.side, rename.to.path.clone()), rename.from.path.clone())).collect(),
        )
    }

    fn task(&self, step: &Step, side: Side) -> Task {
        let renamed_from = self.0.get(&(side, step.path.clone())).cloned();
        Task { renamed_from, ..Task::new(step, side) }
    }
}
