use super::*;
use crate::pass::OwnerMap;
use crate::request::Options;
use crate::tree::{Gid, Uid};
use crate::twoway::facet::{Extended, Facet, FacetSum, Register};
use crate::twoway::lineage::Tag;
use crate::twoway::packed::Collector;
use crate::twoway::policy::{Conflict, Resolution, Resolver};
use crate::twoway::reconcile::{Elsewhere, Pair, Rules, Settler, reconcile};
use crate::twoway::record::{Attributes, ContentSum, Modes, Shared, State};
use crate::twoway::version::{Author, Version};
use filetime::FileTime;

const HERE: Author = Author([1; 16]);
const THERE: Author = Author([2; 16]);
const COUNT: usize = 500;

type Rows = Vec<(RelPath, Record)>;

fn shared() -> Shared {
    Shared { modes: Modes::Whole, facets: Facet::ALL.into_iter().collect() }
}

fn version(author: Author, count: u64) -> Arc<Version> {
    Arc::new(Version::new().edited(author, count))
}

fn record(number: usize, author: Author) -> Record {
    let sum = ContentSum(*blake3::hash(&number.to_le_bytes()).as_bytes());
    // Some have extended attributes, which are an edit, and others have none, which is not.
    let register = match number % 3 {
        0 => Register { sum: Some(FacetSum([7; 16])), version: version(author, 1) },
        _ => Register { sum: None, version: Arc::default() },
    };
    Record {
        state: State::File { sum, size: 10 },
        attributes: Attributes { mode: 0o644, owner: (Some(Uid(1000)), Some(Gid(1000))) },
        mtime: FileTime::from_unix_time(1_000_000_000, 5),
        content: version(author, 1),
        meta: version(author, 1),
        extended: [(Facet::Xattrs, register)].into_iter().collect(),
        occupied: false,
    }
}

/// What a replica knows that has found all of it at once.
fn rows(author: Author) -> Rows {
    let path = |number| RelPath::new(format!("{number:06}").as_bytes()).unwrap();
    (0..COUNT).map(|number| (path(number), record(number, author))).collect()
}

fn read(rows: &Rows) -> impl Iterator<Item = Row> {
    rows.iter().cloned().map(Ok)
}

/// What is known of each other by comparing stretches.
struct Compared {
    here: Similar,
    there: Similar,
    /// How many paths are to be told.
    told: [usize; 2],
    bytes: usize,
}

fn compared_by(shared: Shared, ours: &Rows, theirs: &Rows) -> Option<Compared> {
    let owners = OwnerMap::new(&Options::default()).unwrap().0;
    let cutting = Cutting::new(shared, &owners);
    let (stretches, cuts) = stretches(read(ours), &cutting).unwrap().unwrap();
    let (alike, there, keys) = compare(read(theirs), &cutting, &stretches).unwrap()?;
    let bytes = [postcard::to_stdvec(&stretches), postcard::to_stdvec(&alike)];
    let bytes = bytes.into_iter().map(|bytes| bytes.unwrap().len()).sum();
    let (here, more) = cuts.answered(&alike, read(ours)).unwrap();
    Some(Compared { here, there, told: [more.len(), keys.len()], bytes })
}

fn compared(ours: &Rows, theirs: &Rows) -> Compared {
    compared_by(shared(), ours, theirs).unwrap()
}

/// How many paths are similar; each of them is known exactly.
fn similar(compared: &Compared, ours: &Rows, theirs: &Rows) -> usize {
    let here: Vec<_> = compared.here.on_both(read(ours)).map(Result::unwrap).collect();
    let there: Vec<_> = compared.there.on_both(read(theirs)).map(Result::unwrap).collect();
    assert_eq!(here.len(), there.len());
    for ((path, ours, theirs), (their_path, here, there)) in here.iter().zip(&there) {
        assert_eq!((path, ours, theirs), (their_path, there, here));
    }
    let known = |rows: &Rows, at: &RelPath| rows.iter().find(|(path, _)| path == at).unwrap().1.clone();
    assert!(here.iter().all(|(path, one, other)| known(ours, path) == *one && known(theirs, path) == *other));
    here.len()
}

#[test]
fn who_meets_an_equal_tree_knows_all_of_it() {
    let (ours, theirs) = (rows(HERE), rows(THERE));
    let compared = compared(&ours, &theirs);
    assert_eq!(similar(&compared, &ours, &theirs), COUNT);
    assert_eq!(compared.told, [0, 0]);
    assert!(compared.bytes < 2 * COUNT, "{}", compared.bytes);
}

#[test]
fn what_is_the_same_with_its_versions_is_not_similar() {
    let ours = rows(HERE);
    let compared = compared(&ours, &ours);
    assert!(compared.here.is_empty() && compared.there.is_empty());
    assert_eq!(compared.told, [0, 0]);
}

#[test]
fn a_stretch_is_told_where_anything_in_it_differs() {
    let changes: [fn(&mut Record); 6] = [
        |record| record.state = State::Directory,
        |record| record.attributes.mode = 0o600,
        |record| record.attributes.owner.0 = None,
        |record| record.mtime = FileTime::zero(),
        |record| record.extended = Extended::default(),
        |record| record.content = version(THERE, 2),
    ];
    for (number, change) in changes.iter().enumerate() {
        let (ours, mut theirs) = (rows(HERE), rows(THERE));
        change(&mut theirs[250].1);
        let compared = compared(&ours, &theirs);
        let known = similar(&compared, &ours, &theirs);
        assert!(known < COUNT && known > COUNT / 2, "change {number}: {known}");
        assert_eq!(compared.told, [COUNT - known; 2], "change {number}");
    }
}

/// Each of these is the same on both sides, and yet the sum says too little of it.
#[test]
fn what_its_sum_does_not_say_everything_of_is_told() {
    fn with(facet: Facet, record: &mut Record) {
        let version = record.content.clone();
        record.extended.set(facet, Register { sum: Some(FacetSum([9; 16])), version });
    }
    let changes: [fn(&mut Record); 4] = [
        |record| record.state = State::Absent,
        |record| record.state = State::Unknown,
        |record| with(Facet::Acls, record),
        |record| with(Facet::Links, record),
    ];
    for (number, change) in changes.iter().enumerate() {
        let (mut ours, mut theirs) = (rows(HERE), rows(THERE));
        change(&mut ours[250].1);
        change(&mut theirs[250].1);
        let first = compared(&ours, &theirs);
        let path = &ours[250].0;
        assert!(first.here.on_both(read(&ours)).all(|row| row.unwrap().0 != *path), "{number}");
        assert!(first.told.iter().all(|told| *told > 0), "{number}");
        // Later, when both know the same of it, it is told only if it could not be looked at.
        let later = compared(&ours, &ours);
        assert_eq!(later.told.iter().all(|told| *told > 0), number == 1, "{number}");
    }
}

#[test]
fn what_each_side_has_of_its_own_is_told_at_first_and_makes_no_difference_later() {
    let own = Shared { modes: Modes::Own, ..shared() };
    assert!(compared_by(own, &rows(HERE), &rows(THERE)).is_none());
    let fewer = Shared { facets: Facets::NONE, ..shared() };
    assert!(compared_by(fewer, &rows(HERE), &rows(THERE)).is_none());
    let (ours, mut theirs) = (rows(HERE), rows(HERE));
    theirs[250].1.attributes.mode = 0o600;
    assert_eq!(compared_by(own, &ours, &theirs).unwrap().told, [0, 0]);
}

#[test]
fn beyond_the_versions_that_are_told_only_what_is_the_same_with_them_is_alike() {
    let owners = OwnerMap::new(&Options::default()).unwrap().0;
    let cutting = Cutting { usual: 1, ..Cutting::new(shared(), &owners) };
    let count = 3 * MOST_VERSIONS;
    let rows = |author| -> Rows {
        let path = |number| RelPath::new(format!("{number:06}").as_bytes()).unwrap();
        let found = |number: usize| {
            let version = version(author, number as u64 + 1);
            Record { content: version.clone(), meta: version, ..record(1, author) }
        };
        (0..count).map(|number| (path(number), found(number))).collect()
    };
    let (ours, theirs) = (rows(HERE), rows(THERE));
    let (told, cuts) = stretches(read(&ours), &cutting).unwrap().unwrap();
    assert_eq!((told.each.len(), told.versions.len()), (count, MOST_VERSIONS));
    let (alike, there, keys) = compare(read(&ours), &cutting, &told).unwrap().unwrap();
    assert!(there.is_empty() && keys.is_empty());
    let (here, keys) = cuts.answered(&alike, read(&ours)).unwrap();
    assert!(here.is_empty() && keys.is_empty());
    assert!(compare(read(&theirs), &cutting, &told).unwrap().is_none());
}

/// Leaves all conflicts.
struct Skip;

impl Resolver for Skip {
    fn resolve(&mut self, _: &Conflict<'_>) -> Resolution {
        Resolution::Skip
    }

    fn removals_win(&self, _: &RelPath) -> Option<Side> {
        None
    }
}

/// The plan of all that both know.
fn plan(ours: &Rows, theirs: &Rows) -> Vec<Step> {
    let pairs = ours
        .iter()
        .zip(theirs)
        .map(|((path, left), (_, right))| (path.clone(), Pair { left: left.clone(), right: right.clone() }));
    let settler = Settler { author: HERE, count: 2 };
    let elsewhere = |_: &RelPath| Elsewhere::Excluded;
    let rules = Rules { settler, resolver: &mut Skip, elsewhere: &elsewhere, shared: shared() };
    let mut steps = Vec::new();
    reconcile(pairs, rules, &mut |step| steps.push(step)).unwrap();
    steps
}

fn stored(steps: &[Step]) -> Store<Step> {
    let mut collector = Collector::default();
    steps.iter().for_each(|step| collector.push(step));
    collector.finish()
}

/// The follower's tasks by what it is told, and how many of them it was told one by one.
fn tasks(compared: &Compared, theirs: &Rows, steps: &[Step]) -> (Vec<Task>, usize) {
    let steps = stored(steps);
    let joins = compared.here.joins(&steps, Side::Right);
    let mut tasks = Vec::new();
    let told = joins.told().unwrap_or_default();
    compared.there.tasks(read(theirs), &told, &mut |task| tasks.push(task)).unwrap();
    let concluded = tasks.len();
    for (number, step) in steps.iter().enumerate() {
        if !joins.say(number, &step.path) {
            tasks.push(Task::new(step, Side::Right));
        }
    }
    tasks.sort_by(|one, other| one.path.walk_order(&other.path));
    let told = tasks.len() - concluded;
    (tasks, told)
}

#[test]
fn the_follower_joins_versions_by_itself() {
    let (ours, theirs) = (rows(HERE), rows(THERE));
    let compared = compared(&ours, &theirs);
    let steps = plan(&ours, &theirs);
    let all: Vec<Task> = steps.iter().map(|step| Task::new(step.clone(), Side::Right)).collect();
    assert_eq!(all.len(), COUNT);
    assert_eq!(tasks(&compared, &theirs, &steps), (all, 0));
}

/// Where a plan does anything else in a stretch than to join versions, or leaves something in it as it is, all of that
/// stretch is told.
#[test]
fn what_a_plan_does_otherwise_is_told() {
    let (ours, theirs) = (rows(HERE), rows(THERE));
    let compared = compared(&ours, &theirs);
    let changes: [fn(&mut Vec<Step>); 6] = [
        |steps| drop(steps.remove(250)),
        |steps| steps[250].after = steps[250].before.clone(),
        |steps| steps[250].why = Why::Kept { removed: Side::Left },
        |steps| steps[250].after.right.content = version(HERE, 2),
        |steps| steps[250].after.right.mtime = FileTime::zero(),
        |steps| steps[250].after.left.mtime = FileTime::zero(),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut steps = plan(&ours, &theirs);
        change(&mut steps);
        let all: Vec<Task> = steps.iter().map(|step| Task::new(step.clone(), Side::Right)).collect();
        let (found, told) = tasks(&compared, &theirs, &steps);
        assert_eq!(found, all, "change {number}");
        assert!(told > 0 && told < COUNT / 2, "change {number}: {told}");
    }
}

/// A copy that gets a name among those of a stretch is a task as any other.
#[test]
fn what_gets_a_name_in_a_stretch_is_told() {
    let (ours, theirs) = (rows(HERE), rows(THERE));
    let compared = compared(&ours, &theirs);
    let mut steps = plan(&ours, &theirs);
    let mut copy = steps[250].clone();
    copy.path = RelPath::new(*b"000250.conflict").unwrap();
    copy.why = Why::CopyOf { original: steps[250].path.clone(), loser: Side::Left };
    copy.before = Pair { left: Record::never(), right: Record::never() };
    steps.insert(251, copy);
    let all: Vec<Task> = steps.iter().map(|step| Task::new(step.clone(), Side::Right)).collect();
    assert_eq!(tasks(&compared, &theirs, &steps), (all, 1));
}

#[test]
fn impossible_answers_are_refused() {
    let owners = OwnerMap::new(&Options::default()).unwrap().0;
    let cutting = Cutting::new(shared(), &owners);
    let mut ours = rows(HERE);
    // In no stretch at all the versions are the same.
    for (number, (_, record)) in ours.iter_mut().enumerate() {
        record.content = version(HERE, 1 + number as u64 % 2);
    }
    let answered = |ours: &Rows, each: Vec<Likeness>| {
        let (_, cuts) = stretches(read(ours), &cutting).unwrap().unwrap();
        let alike = Alike { each, versions: vec![Versions::of(&record(0, THERE), Facets::NONE)] };
        cuts.answered(&alike, read(ours)).map(|(similar, keys)| (similar.is_empty(), keys.len()))
    };
    let refused = |answer: Result<(bool, usize), RunError>| {
        assert!(matches!(answer, Err(RunError::Pass(PassError::Protocol(_)))));
    };
    let (mixed, plain) = (&ours, &rows(HERE));
    // A record alone in its stretch has the same versions as itself.
    let (cut, _) = stretches(read(mixed), &cutting).unwrap().unwrap();
    let first = cut.each.iter().position(|stretch| stretch.versions.is_none()).unwrap();
    let claim = |number| [vec![Likeness::Different; first], vec![Likeness::Similar(number)]].concat();
    refused(answered(mixed, claim(0)));
    refused(answered(plain, claim(1)));
    // What is not answered is different, and answers to what was not told are none.
    assert_eq!(answered(plain, Vec::new()).unwrap(), (true, COUNT));
    assert_eq!(answered(plain, vec![Likeness::Same; 10 * COUNT]).unwrap(), (true, 0));
    assert!(!answered(plain, vec![Likeness::Similar(0); 10 * COUNT]).unwrap().0);
}

#[test]
fn generations_that_nobody_has_heard_of_are_refused() {
    let owners = OwnerMap::new(&Options::default()).unwrap().0;
    let cutting = Cutting::new(shared(), &owners);
    let (ours, theirs) = (rows(HERE), rows(THERE));
    let (stretches, _) = stretches(read(&ours), &cutting).unwrap().unwrap();
    let (alike, ..) = compare(read(&theirs), &cutting, &stretches).unwrap().unwrap();
    let mut lineages = Lineages::default();
    assert!(stretches.check(&lineages).is_err() && alike.check(&lineages).is_err());
    lineages.count_on(HERE, Tag(1));
    assert!(stretches.check(&lineages).is_ok() && alike.check(&lineages).is_err());
    lineages.count_on(THERE, Tag(2));
    assert!(alike.check(&lineages).is_ok());
}
