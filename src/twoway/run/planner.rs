//! The side that was asked for the run: makes the plan.

use crate::fs::Root;
use crate::pass::PassError;
use crate::report::{Event, Reporter, Totals};
use crate::tree::{Name, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::exchange::{Conversation, Meet, Talk, Terms};
use crate::twoway::facet::{Facet, FacetSum, Facets, Value};
use crate::twoway::guard::{MaxDelete, Past, Refusal, Tally, guard_past};
use crate::twoway::history::new_token;
use crate::twoway::names::InCommon;
use crate::twoway::packed::{Collector, Packing, Store};
use crate::twoway::plan::{Plan, Rename, names};
use crate::twoway::policy::Policies;
use crate::twoway::reconcile::{Change, Elsewhere, Rules, Settler, Step, Why, reconcile};
use crate::twoway::record::Shared;
use crate::twoway::replica::Replica;
use crate::twoway::run::agreeing::agree;
use crate::twoway::run::alike::Similar;
use crate::twoway::run::asking::{Asking, Counting};
use crate::twoway::run::comparing::{self, Scope};
use crate::twoway::run::meeting::{Met, is_continued, meet};
use crate::twoway::run::own::{LOST, Own, owned};
use crate::twoway::run::share::{Carried, Share, Who, make_acquainted};
use crate::twoway::run::told::{Knowledge, Pairs, Told, acl_of, find_acl, pair};
use crate::twoway::run::{Around, Overseer, RunError};
use crate::twoway::task::{Planned, Task, Tasks};
use crate::wire::Link;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
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
    /// How the two are named in the logs.
    pub names: Names,
    /// Who is asked and told.
    pub overseer: &'a dyn Overseer,
    /// Who hears of problems that are not of one side alone.
    pub reporter: &'a dyn Reporter,
}

impl Settings<'_> {
    /// The run ends for this.
    fn halted(&self, refusal: Refusal) -> RunError {
        RunError::Halted(refusal.told(self.names.of(refusal.side())))
    }
}

/// How two replicas are named.
#[derive(Debug, Clone)]
pub struct Names {
    /// The planner's, as the other side may name it.
    pub here: String,
    /// The follower's, as the user did.
    pub there: String,
    /// Those of both sides for the user, as they were typed: the first argument's and the second's.
    pub sides: [String; 2],
}

impl Names {
    /// What the user calls a side.
    fn of(&self, side: Side) -> &str {
        let [left, right] = &self.sides;
        match side {
            Side::Left => left,
            Side::Right => right,
        }
    }
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
}

/// Makes a plan for the replica at `root` and the one at the other end of the link, and has both carry it out.
///
/// # Errors
/// One of the replicas cannot be used, a guard stopped the run, or the link broke. The other side has to be
/// [told](RunError::tell).
pub fn plan_and_carry_out(
    link: &mut Link,
    root: &Root,
    settings: &Settings<'_>,
    around: Around<'_>,
) -> Result<Outcome, RunError> {
    let context = around.context;
    let mut conversation = Conversation::new(link, &*context.reporter, &context.progress);
    let hiding = agree(root.dir(), &mut conversation, (around, Who::Planner))?;
    let own = Own::open(root, around, hiding)?;
    // Until the other side is met, what is asked for is all that is known.
    let shared = own.shared(&context.options, own.holds);
    Planner { own, root, settings, around, shared }.run(&mut conversation)
}

/// Files in the staging directory that hold what was merged, by path.
type Merged = HashMap<RelPath, Name>;

/// A plan that was made.
struct Made {
    plan: Plan,
    merged: Merged,
    /// Steps of a plan made before that do not fit any more, and were told as problems.
    unfit: u64,
    /// Whether anything has to be remembered of it.
    is_news: bool,
    /// Where the follower knows the same under other versions, and was not asked for it.
    similar: Similar,
    /// The follower's ACLs that name somebody, by the sums that they have here.
    acls: HashMap<FacetSum, Value>,
}

const OUT_OF_ORDER: PassError = PassError::Protocol("records are told out of order");

pub(super) struct Planner<'a> {
    pub own: Own,
    root: &'a Root,
    pub settings: &'a Settings<'a>,
    around: Around<'a>,
    /// Which attributes both keep alike.
    pub shared: Shared,
}

impl Planner<'_> {
    fn run(mut self, conversation: &mut Conversation<'_>) -> Result<Outcome, RunError> {
        let another = Refusal::Another { side: self.settings.side.other() };
        let settings = self.settings;
        let refuse = || match settings.max_delete {
            MaxDelete::Any => Ok(()),
            _ => Err(settings.halted(another)),
        };
        let met = meet(&mut self.own, conversation, (&settings.names, self.around), &refuse)?;
        if let Some(text) = met.clock.warning() {
            self.around.context.reporter.report(Event::Notice(text));
        }
        self.look_at_facets(&met);
        self.look_at_pasts(&met)?;
        let theirs = &met.theirs;
        let partner = theirs.author;
        let options = &self.around.context.options;
        let is_continued = is_continued(&self.own, theirs)? && self.settings.apply.is_none();
        make_acquainted(&mut self.own.history, partner)?;
        let scope = Scope::new(is_continued, &self.own, theirs, options);
        let Made { plan, merged, unfit, is_news, similar, acls } = self.plan(theirs, scope, conversation)?;
        self.own.problems = self.own.problems.saturating_add(unfit);
        self.settings.overseer.planned(&plan)?;
        let tally = Tally::new(&plan.steps);
        self.guard(&tally, &met)?;
        if tally.empties() {
            self.tell_emptied(&plan);
        }
        if options.dry_run || !is_news {
            conversation.say(&Talk::Nothing)?;
            self.own.was_met(partner, self.around.context)?;
            let failed = self.own.problems.saturating_add(met.theirs.problems);
            let totals = Totals { failed, ..Totals::default() };
            return Ok(Outcome { plan, undone: Vec::new(), totals });
        }
        if tally.settles() || (self.shared.facets.contains(Facet::Links) && plan.settles_names()) {
            self.settle(conversation)?;
        }
        let token = new_token()?;
        let side = self.settings.side;
        let names = &self.settings.names;
        let terms = Terms { side: side.other(), token };
        let renames = if options.shortcuts.renames { plan.renames() } else { Vec::new() };
        let (ours, theirs): (Vec<Rename>, _) = renames.into_iter().partition(|rename| rename.side == side);
        let of = |side, renames, merged| Planned { steps: plan.steps.clone(), side, renames, merged };
        let theirs = of(side.other(), theirs, Merged::new());
        self.tell(&theirs, (&similar, &acls), terms, conversation)?;
        let tasks = self.own_tasks(of(side, ours, merged));
        let (around, root, tasks, shared) = (self.around, self.root, Arc::new(tasks), self.shared);
        let share = Share {
            around,
            root,
            who: Who::Planner,
            side,
            partner,
            name: names.there.clone(),
            token,
            tasks,
            shared,
        };
        let Carried { undone, totals } = share.carry_out(self.own, conversation)?;
        Ok(Outcome { plan, undone, totals })
    }

    /// Makes the plan.
    fn plan(
        &self,
        theirs: &Meet,
        scope: Scope,
        conversation: &mut Conversation<'_>,
    ) -> Result<Made, RunError> {
        let knowledge = Knowledge::new(&self.own)?;
        let with = (scope, self.shared);
        let rest = comparing::ask((&self.own, &knowledge), theirs.author, with, conversation)?;
        let told = Told::hear(conversation, &self.own, rest)?;
        let is_news = scope != Scope::Changes || !told.is_empty();
        let mut pairs = Pairs::new(self.settings.side, &knowledge, &told)?;
        let (plan, merged, unfit) = match self.settings.apply {
            Some(plan) => {
                let (plan, unfit) = self.applied(plan, theirs, &mut pairs)?;
                (plan, HashMap::new(), unfit)
            }
            None => {
                let (plan, merged) =
                    self.reconciled(theirs, (&knowledge, &told), &mut pairs, conversation)?;
                (plan, merged, 0)
            }
        };
        let failure = pairs.failure.take();
        drop(pairs);
        match failure {
            Some(failure) => Err(failure.into()),
            None => {
                let (similar, acls) = told.into_parts();
                Ok(Made { plan, merged, unfit, is_news, similar, acls })
            }
        }
    }

    fn reconciled(
        &self,
        theirs: &Meet,
        (knowledge, told): (&Knowledge, &Told),
        pairs: &mut Pairs<'_>,
        conversation: &mut Conversation<'_>,
    ) -> Result<(Plan, Merged), RunError> {
        let side = self.settings.side;
        let Own { replica, history, .. } = &self.own;
        let elsewhere = |path: &RelPath| {
            if knowledge.hides(path, false) {
                return Elsewhere::Excluded;
            }
            let Ok(ours) = knowledge.told(path) else { return Elsewhere::Excluded };
            match told.knows(path) {
                Some(theirs) if ours != theirs => Elsewhere::Changed(pair(side, ours, theirs)),
                // The same, that is, but for versions, which do not matter where something is on both sides.
                _ => Elsewhere::Unchanged(Some(ours)),
            }
        };
        let settler = Settler { author: history.author(), count: history.generation().saturating_add(1) };
        let policies = self.settings.policies;
        let count = if policies.ask() {
            let again = Pairs::new(side, knowledge, told)?;
            self.count_asked(again, settler, &elsewhere)?
        } else {
            0
        };
        let mut resolver = Asking {
            policies,
            overseer: self.settings.overseer,
            conversation: RefCell::new(conversation),
            root: self.root.dir(),
            history,
            staging: replica.as_ref().map(Replica::staging),
            side,
            number: 0,
            count,
            merged: HashMap::new(),
            in_common: self.shared.facets.contains(Facet::Links).then(|| self.in_common()),
            files: HashMap::new(),
            stopped: None,
        };
        let mut steps = Collector::default();
        let shared = self.shared;
        let rules = Rules { settler, resolver: &mut resolver, elsewhere: &elsewhere, shared };
        reconcile(pairs, rules, &mut |step| steps.push(&step)).map_err(|_| OUT_OF_ORDER)?;
        if let Some(stopped) = resolver.stopped {
            return Err(stopped.into());
        }
        let (left, right) = self.of_sides(history.author(), theirs.author);
        let is_new = self.of_sides(self.own.is_new, theirs.is_new);
        let mut steps = self.own.hiding.keeping_files(steps.finish());
        if shared.facets.contains(Facet::Links) {
            let all = Pairs::of_all(side, knowledge, told)?;
            steps = self.with_names(steps, all, settler)?;
        }
        let new = [(Side::Left, is_new.0), (Side::Right, is_new.1)];
        let new = new.into_iter().filter(|(_, is_new)| *is_new).map(|(side, _)| side).collect();
        Ok((Plan { new, ..Plan::new(left, right, settler, steps) }, resolver.merged))
    }

    fn in_common(&self) -> InCommon {
        let (owner, group) = owned(&self.around.context.options);
        InCommon { shared: self.shared, owner, group }
    }

    /// The same steps, with what is to be said of names that are one file. `all` are the paths that are known.
    fn with_names(
        &self,
        steps: Store<Step>,
        mut all: Pairs<'_>,
        settler: Settler,
    ) -> Result<Store<Step>, RunError> {
        let identities = names::identities(steps.iter());
        if identities.is_empty() {
            return Ok(steps);
        }
        let is_of_these = |step: &Step| {
            let records = Side::BOTH.iter().flat_map(|side| [step.before.of(*side), step.after.of(*side)]);
            records.filter_map(|record| record.extended.identity()).any(|known| identities.contains(&known))
        };
        let mut named: Vec<Step> = steps.iter().filter(is_of_these).collect();
        let planned: HashSet<RelPath> = named.iter().map(|step| step.path.clone()).collect();
        for (path, pair) in &mut all {
            let (why, before, after, noted) = (Why::Clear, pair.clone(), pair, Vec::new());
            let step = Step { path, why, before, after, noted };
            if is_of_these(&step) && !planned.contains(&step.path) && steps.find(&step.path).is_none() {
                named.push(step);
            }
        }
        if let Some(failure) = all.failure {
            return Err(failure.into());
        }
        named.sort_by(|one, other| one.path.walk_order(&other.path));
        let named = names::settle(named, settler, self.in_common());
        let mut named: HashMap<RelPath, Step> =
            named.into_iter().map(|step| (step.path.clone(), step)).collect();
        let mut settled = Collector::default();
        steps.into_items().for_each(|step| settled.push(&named.remove(&step.path).unwrap_or(step)));
        let mut rest: Vec<Step> = named.into_values().collect();
        rest.sort_by(|one, other| one.path.walk_order(&other.path));
        rest.iter().for_each(|step| settled.push(step));
        Ok(settled.finish())
    }

    /// How many conflicts somebody has to be asked about.
    fn count_asked(
        &self,
        mut pairs: Pairs<'_>,
        settler: Settler,
        elsewhere: &dyn Fn(&RelPath) -> Elsewhere,
    ) -> Result<u64, RunError> {
        let mut counting = Counting { policies: self.settings.policies, count: 0 };
        let rules = Rules { settler, resolver: &mut counting, elsewhere, shared: self.shared };
        reconcile(&mut pairs, rules, &mut |_| ()).map_err(|_| OUT_OF_ORDER)?;
        match pairs.failure {
            Some(failure) => Err(failure.into()),
            None => Ok(counting.count),
        }
    }

    fn guard(&self, tally: &Tally, met: &Met) -> Result<(), RunError> {
        let (left, right) = self.of_sides(self.own.census(), met.theirs.census);
        tally
            .guard(left, right, self.settings.max_delete)
            .map_err(|refusal| self.settings.halted(refusal))?;
        let here = self.own.free();
        let (left, right) = self.of_sides(here, met.theirs.free);
        for (side, free) in [(Side::Left, left), (Side::Right, right)] {
            let needed = tally.bytes(side);
            if let Some(free) = free.filter(|free| needed > *free) {
                return Err(self.settings.halted(Refusal::Room { side, needed, free }));
            }
        }
        Ok(())
    }

    /// What is of the side here and of the other, the first argument's first.
    pub(super) fn of_sides<T>(&self, ours: T, theirs: T) -> (T, T) {
        match self.settings.side {
            Side::Left => (ours, theirs),
            Side::Right => (theirs, ours),
        }
    }

    /// Begins the generation in which conflicts are settled, and tells of it before anything of it is written down.
    fn settle(&mut self, conversation: &mut Conversation<'_>) -> Result<(), RunError> {
        let heads = self.own.history.lineages().heads();
        self.own.history.count_on()?;
        let news = self.own.history.lineages().news_for(&heads);
        Ok(conversation.say(&Talk::Settled(news))?)
    }

    /// Tells the follower what it is to do, and the user how much that is.
    fn tell(
        &self,
        theirs: &Planned,
        (similar, acls): (&Similar, &HashMap<FacetSum, Value>),
        terms: Terms,
        conversation: &mut Conversation<'_>,
    ) -> Result<(), RunError> {
        let progress = &self.around.context.progress;
        let joins = similar.joins(&theirs.steps, theirs.side);
        if let Some(told) = joins.told() {
            conversation.say(&Talk::Joined(told))?;
        }
        let mut packing = Packing::default();
        for (number, task) in theirs.iter().enumerate() {
            if joins.say(number, &task.path) {
                continue;
            }
            if task.is_fetched() {
                progress.found(task.after.state.size());
            }
            packing.task(&task);
            if self.own.owners.tells_names()
                && let Some(sum) = acl_of(&task.after).filter(|sum| acl_of(&task.before) != Some(*sum))
                && let Some(acl) = self.acl(&task, sum, acls)
            {
                packing.acl(&acl, &self.own.owners);
            }
            if packing.is_full() {
                conversation.say(&Talk::Tasks(packing.take_named(&self.own.owners), None))?;
            }
        }
        Ok(conversation.say(&Talk::Tasks(packing.take_named(&self.own.owners), Some(terms)))?)
    }

    /// The ACLs that a path of the follower's gets: those of the path here, or of the loser of a conflict, of either
    /// side.
    fn acl(&self, task: &Task, sum: FacetSum, theirs: &HashMap<FacetSum, Value>) -> Option<Value> {
        let here = |path: &RelPath| find_acl(self.root.dir(), path, sum);
        let original = || match &task.why {
            Why::CopyOf { original, .. } => here(original),
            _ => None,
        };
        here(&task.path).or_else(original).or_else(|| theirs.get(&sum).cloned())
    }

    /// What is to be done here. With that it is known how much is going to be fetched.
    fn own_tasks(&self, ours: Planned) -> Tasks {
        let progress = &self.around.context.progress;
        let tasks = Tasks::planned(ours);
        let fetched = tasks.such(|outline| outline.is_fetched);
        fetched.for_each(|(_, task)| progress.found(task.after.state.size()));
        progress.all_found();
        tasks
    }

    /// A side that had a past and has none now is compared as if it were new, if it is not empty, too.
    fn look_at_pasts(&self, met: &Met) -> Result<(), RunError> {
        let Meet { author, census, is_new, loss_told, remembers_another, .. } = met.theirs;
        let ours = Past { is_new: self.own.is_new, is_remembered: remembers_another };
        let is_remembered = self.own.remembers_another(&self.settings.names.there, author)?;
        let theirs = Past { is_new, is_remembered };
        let ours = (ours, self.own.census(), self.own.loss_told);
        let (left, right) = self.of_sides(ours, (theirs, census, loss_told));
        for (side, (past, census, is_told)) in [(Side::Left, left), (Side::Right, right)] {
            guard_past(side, past, census, self.settings.max_delete)
                .map_err(|refusal| self.settings.halted(refusal))?;
            if past.is_lost() && !is_told {
                let text = format!("{} {LOST}", self.settings.names.of(side));
                self.around.context.reporter.report(Event::Notice(text));
            }
        }
        Ok(())
    }

    /// Finds out which of the attributes that were asked for both can hold, and tells which cannot be kept.
    fn look_at_facets(&mut self, met: &Met) {
        let options = &self.around.context.options;
        self.shared = self.own.shared(options, met.theirs.holds);
        let missing = Facets::asked(options).without(self.shared.facets);
        let (left, right) = self.of_sides(self.own.holds, met.theirs.holds);
        for (facet, what) in [(Facet::Acls, "ACLs"), (Facet::Xattrs, "extended attributes")] {
            if !missing.contains(facet) {
                continue;
            }
            let [first, second] = &self.settings.names.sides;
            let which = match (left.contains(facet), right.contains(facet)) {
                (false, false) => "neither file system can hold".to_owned(),
                (false, true) => format!("the file system of {first} cannot hold"),
                _ => format!("the file system of {second} cannot hold"),
            };
            let text = format!("{which} {what}: each side keeps its own");
            self.around.context.reporter.report(Event::Notice(text));
        }
    }

    /// Says which directories stay although they were removed on the other side.
    fn tell_emptied(&self, plan: &Plan) {
        for step in &plan.steps {
            let is_emptied = |side: &Side| step.change(*side) == Some(Change::Empty) && !step.stays(*side);
            for side in Side::BOTH.into_iter().filter(is_emptied) {
                let (name, path) = (self.settings.names.of(side), &step.path);
                let text = format!(
                    "{name}: {path} stays a directory, since something in it takes no part in the run"
                );
                self.around.context.reporter.report(Event::Notice(text));
            }
        }
    }
}
