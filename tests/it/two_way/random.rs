//! Random edits on both sides, random policies: what comes out is what the [model](model) says, and whatever the model
//! cannot tell keeps the promises that hold for every run.
//!
//! * `DSYNC_TWO_WAY_SEED`: the seed of the first case; case n has the seed after it by n.
//! * `DSYNC_TWO_WAY_CASES`: how many cases. A failing one is shown as small as it can be made, to be pasted below as a
//!   test of its own.

mod contents;
mod links;
mod smaller;

use crate::oracle::{number, random::Random};
use crate::support::command::Output;
use crate::support::scene::Scene;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::model::{self, Node, difference, undated, undated_directories};
use crate::two_way::user::{self, Edit, Files};
use filetime::FileTime;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const CASES: usize = 600;
const POLICIES: [&str; 8] = ["skip", "keep-both", "newer", "older", "larger", "smaller", "local", "remote"];
/// What a run may leave out.
const EXCLUDED: [&str; 5] = ["/a/a", "*.txt", "/c", "d", "/a"];
/// The file of rules that a side may have at its top.
const RULES: &str = ".rules";

/// What happens before a run, and how it is run.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// One of [`Way::plain`].
    way: usize,
    /// Whether names of one file are kept so.
    links: bool,
    policy: &'static str,
    excluded: Option<&'static str>,
    /// What a file of rules leaves out, which is on one side only: on the left and on the right.
    in_files: [Option<&'static str>; 2],
    /// Without `--allow-mass-delete`.
    guarded: bool,
    /// Whether the two have met before: all edits above those of the sides are the base's.
    met: bool,
    /// Done on the left before a first run.
    base: Vec<Edit>,
    /// Done before a second one: the first half on the left, the second on the right.
    more: Vec<Edit>,
    left: Vec<Edit>,
    right: Vec<Edit>,
    /// Whether it is also done the other way round.
    turned: bool,
    /// Whether it is also done at other times.
    other_clocks: bool,
    /// Whether files that got another name are fetched all the same, and what is known is told path by path.
    plain: bool,
}

/// What a run came to.
struct Played {
    base: Node,
    /// The trees before and after it, the first argument's first.
    before: [Node; 2],
    after: [Node; 2],
    /// Which names are one file: on both sides after they met, before the run and after it.
    files: [[Files; 2]; 3],
    /// All that is in the trash on either side.
    trash: BTreeSet<Vec<u8>>,
    output: Output,
}

type Checked<T> = Result<T, String>;

macro_rules! check {
    ($holds:expr, $($said:tt)+) => {
        if !$holds {
            return Err(format!($($said)+));
        }
    };
}

use check;

impl Case {
    fn draw(seed: u64) -> Case {
        let random = &mut Random::new(seed);
        let places = Edit::places(random);
        let way = random.below(12) / 10 * (1 + random.below(2));
        let &policy = random.pick(&POLICIES);
        let mut case = Case {
            way,
            links: false,
            policy,
            excluded: random.chance(20).then(|| *random.pick(&EXCLUDED)),
            in_files: [None; 2],
            guarded: random.chance(10),
            met: random.chance(90),
            base: Edit::first(random),
            more: Edit::some(random, &places, 8),
            left: Edit::some(random, &places, 6),
            right: Edit::some(random, &places, 6),
            // Every case would take too long.
            turned: random.chance(30),
            other_clocks: random.chance(30),
            plain: false,
        };
        // Last, so that all the others stay what they are.
        if random.chance(25) {
            case.link(random, &places);
        } else if random.chance(15) {
            case.in_files = [80, 50].map(|chance| random.chance(chance).then(|| *random.pick(&EXCLUDED)));
        }
        case
    }

    /// Gives files more names, of which those that take no part would change with the others.
    fn link(&mut self, random: &mut Random, places: &[&'static str]) {
        (self.links, self.excluded) = (true, None);
        for edits in [&mut self.base, &mut self.more, &mut self.left, &mut self.right] {
            for _ in 0..random.below(4) {
                let at = random.below(edits.len() + 1);
                edits.insert(at, Edit::of_names(random, places));
            }
        }
    }

    /// The options that say what is synchronised.
    fn kept_alike(&self) -> &'static str {
        if self.links { "-2AXH" } else { "-2AX" }
    }

    /// What is compared of a tree. A file that several names are given to has one time, whichever that is.
    fn comparable(&self, tree: &Node) -> Node {
        if self.links { undated(tree) } else { undated_directories(tree) }
    }

    /// Whether everything takes part.
    fn excludes_nothing(&self) -> bool {
        self.excluded.is_none() && !self.has_files_of_rules()
    }

    fn has_files_of_rules(&self) -> bool {
        self.in_files.iter().any(Option::is_some)
    }

    fn is_ignored(&self, path: &str) -> bool {
        let elements: Vec<&str> = path.split('/').collect();
        let is_left_out = |pattern: &str| {
            (1..=elements.len()).any(|n| match (pattern.strip_prefix('/'), pattern.strip_prefix('*')) {
                (Some(whole), _) => elements[..n].join("/") == whole,
                (_, Some(end)) => elements[n - 1].ends_with(end),
                _ => elements[n - 1] == pattern,
            })
        };
        let patterns = self.in_files.iter().chain([&self.excluded]);
        patterns.flatten().any(|pattern| is_left_out(pattern)) || (self.has_files_of_rules() && path == RULES)
    }

    /// The same with everything that is dated dated otherwise.
    fn with_other_clocks(&self) -> Case {
        let other = |edits: &[Edit], by: u8| -> Vec<Edit> {
            let time = |time: u8| (time * 5 + by) % 6;
            let dated = |edit: &Edit| match *edit {
                Edit::Write(at, content, on) => Edit::Write(at, content, time(on)),
                Edit::Replace(at, content, on) => Edit::Replace(at, content, time(on)),
                Edit::Link(at, target, on) => Edit::Link(at, target, time(on)),
                Edit::MakeDir(at, on) => Edit::MakeDir(at, time(on)),
                Edit::Touch(at, on) => Edit::Touch(at, time(on)),
                ref same => same.clone(),
            };
            edits.iter().map(dated).collect()
        };
        Case { left: other(&self.left, 3), right: other(&self.right, 1), ..self.clone() }
    }

    /// Does it all in a new place, with the right side as the first argument if it is turned, and checks what needs the
    /// trees as they are on disk.
    fn play(&self, turned: bool) -> Checked<Played> {
        let scene = Scene::in_memory();
        let way = Way::plain()[self.way];
        for place in ["left", "right", "outside"] {
            Tree::new().write(&scene.path(place));
        }
        fs::write(scene.path("outside/kept"), "kept").unwrap();
        let roots = [scene.path("left"), scene.path("right")];
        let outside = user::stamps(&scene.path("outside"));
        let go = |options: &[&str]| {
            let options: Vec<&str> = [self.kept_alike()].iter().chain(options).copied().collect();
            let [first, second] = if turned { [&roots[1], &roots[0]] } else { [&roots[0], &roots[1]] };
            way.copy(&options, &[first], second).run()
        };
        // What both settle has absorbed edits of both.
        let (more_left, more_right) = self.more.split_at(self.more.len() / 2);
        for edits in [[&self.base[..], &[]], [more_left, more_right]].iter().filter(|_| self.met) {
            roots.iter().zip(edits).for_each(|(root, edits)| user::edit(root, edits));
            let output = go(&["--allow-mass-delete", "--conflict=keep-both"]);
            check!(output.code == Some(0), "while they met: {output}");
            let [left, right] = [&roots[0], &roots[1]].map(|root| user::read(root));
            check!(
                left == right,
                "after they met: {}\n{output}",
                difference([&left, &left], [&right, &right])
            );
            let [left, right] = [&roots[0], &roots[1]].map(|root| user::files(root));
            check!(
                links::are_same(&left, &right) || !self.links,
                "linked otherwise after they met: {output}"
            );
        }
        let base = if self.met { user::read(&roots[0]) } else { Node::empty() };
        let order = if turned { [1, 0] } else { [0, 1] };
        let files = || order.map(|n| user::files(&roots[n]));
        let base_files = if self.met { files() } else { Default::default() };
        for (root, edits) in roots.iter().zip([&self.left, &self.right]) {
            user::edit(root, edits);
        }
        for (root, pattern) in roots.iter().zip(self.in_files) {
            if let Some(pattern) = pattern {
                fs::write(root.join(RULES), format!("- {pattern}\n")).unwrap();
                filetime::set_file_mtime(root.join(RULES), FileTime::from_unix_time(1_000_000_000, 0))
                    .unwrap();
            }
        }
        let files_before = files();
        let before = order.map(|n| user::read(&roots[n]));
        let policy = match (self.policy, turned) {
            ("local", true) => "remote",
            ("remote", true) => "local",
            (same, _) => same,
        };
        let mut options = vec!["-i".to_owned(), format!("--conflict={policy}")];
        options.extend(self.excluded.map(|pattern| format!("--exclude={pattern}")));
        if self.has_files_of_rules() {
            options.push(format!("--filter=:e {RULES}"));
        }
        if !self.guarded {
            options.push("--allow-mass-delete".to_owned());
        }
        if self.plain {
            options.push("--plain=renames,stretches".to_owned());
        }
        let marks = || order.map(|n| user::stamps(&roots[n]));
        let run = |more: Option<&str>| -> Output {
            let options: Vec<&str> = options.iter().map(String::as_str).chain(more).collect();
            go(&options)
        };
        // Invariant 18.
        let (marks_before, dry) = (marks(), run(Some("-n")));
        check!(marks() == marks_before, "a dry run changed something: {dry}");
        let mut output = run(None);
        // Of trees in sync only a dry run speaks.
        let said = |output: &Output| -> Vec<String> {
            let is_told = |line: &&str| !line.ends_with(" are in sync");
            output.out().lines().filter(is_told).map(str::to_owned).collect()
        };
        check!(
            output.code == dry.code && said(&output) == said(&dry),
            "a dry run said otherwise: {dry}\n{output}"
        );
        if output.code == Some(41) && self.guarded {
            let now = order.map(|n| user::read(&roots[n]));
            check!(now == before, "something was changed in spite of a guard: {output}");
            options.push("--allow-mass-delete".to_owned());
            output = run_with(&go, &options);
        }
        let after = order.map(|n| user::read(&roots[n]));
        let kept = [base_files, files_before, files()];
        // Invariant 8.
        let bare = || order.map(|n| without_own(user::stamps(&roots[n]), &roots[n]));
        let (bare_before, again) = (bare(), run_with(&go, &options));
        check!(bare() == bare_before, "a second run changed something:\n{output}\n{again}");
        check!(again.code == output.code && !does_something(&again), "second thoughts:\n{output}\n{again}");
        check!(
            output.code != Some(0) || again.stdout.is_empty(),
            "a second run has something to say: {again}"
        );
        // Invariant 22.
        check!(user::stamps(&scene.path("outside")) == outside, "something outside was changed: {output}");
        for root in &roots {
            let staged = fs::read_dir(root.join(".dsync/staging")).unwrap().count();
            check!(staged == 0, "something staged is left: {output}");
        }
        let mut trash = BTreeSet::new();
        roots.iter().for_each(|root| contents::gather(&root.join(".dsync/trash"), &mut trash));
        // Invariant 10: equal trees need no history.
        if output.code == Some(0) && self.excludes_nothing() {
            roots.iter().for_each(|root| fs::remove_dir_all(root.join(".dsync")).unwrap());
            let met_anew = run_with(&go, &options);
            let now = order.map(|n| user::read(&roots[n]));
            let is_same =
                now.each_ref().map(undated_directories) == after.each_ref().map(undated_directories);
            check!(met_anew.code == Some(0) && is_same, "without histories: {met_anew}");
            let is_linked_so = files().iter().zip(&kept[2]).all(|(now, then)| links::are_same(now, then));
            check!(is_linked_so || !self.links, "linked otherwise without histories: {met_anew}");
        }
        Ok(Played { base, before, after, files: kept, trash, output })
    }

    /// Plays it and checks everything.
    fn hold(&self) -> Checked<Played> {
        let played = self.play(false)?;
        let expected_codes: &[i32] =
            if self.policy == "keep-both" && self.excludes_nothing() { &[0] } else { &[0, 40] };
        let code = played.output.code.unwrap_or(-1);
        check!(expected_codes.contains(&code), "unexpected end: {}", played.output);
        if self.excludes_nothing() {
            check!(code != 0 || played.output.stderr.is_empty(), "complaints: {}", played.output);
            self.as_expected(&played)?;
        }
        self.convergence(&played)?;
        contents::no_loss(self, &played)?;
        contents::no_invention(&played)?;
        self.excluded_untouched(&played)?;
        if self.turned {
            self.hold_turned(&played)?;
            self.hold_without_shortcuts(&played)?;
        }
        if self.other_clocks {
            self.hold_at_other_times(&played)?;
            if self.excludes_nothing() && !self.guarded {
                self.hold_beside(&played, &self.with_other_clocks())?;
            }
        }
        Ok(played)
    }

    /// Invariant 9.
    fn hold_turned(&self, played: &Played) -> Checked<()> {
        let turned = self.play(true)?;
        // A directory that is gone but for what is excluded has the time at which it was left so.
        let comparable =
            |node: &Node| if !self.excludes_nothing() { undated_directories(node) } else { node.clone() };
        let [second, first] = turned.after.each_ref().map(comparable);
        let [left, right] = played.after.each_ref().map(comparable);
        let same = left == first && right == second;
        check!(same, "turned, {}", difference([&left, &right], [&first, &second]));
        let [second, first] = &turned.files[2];
        let is_linked_so =
            links::are_same(first, &played.files[2][0]) && links::are_same(second, &played.files[2][1]);
        check!(
            is_linked_so || !self.links,
            "linked otherwise when turned: {}\n{}",
            played.output,
            turned.output
        );
        check!(turned.output.code == played.output.code, "turned: {}\n{}", played.output, turned.output);
        Ok(())
    }

    /// Invariant 19.
    fn hold_without_shortcuts(&self, played: &Played) -> Checked<()> {
        let plain = Case { plain: true, ..self.clone() }.play(false)?;
        let [found, expected] =
            [&plain, played].map(|played| played.after.each_ref().map(undated_directories));
        check!(found == expected, "without shortcuts: {}", plain.output);
        Ok(())
    }

    /// Invariant 17: beside another case in a directory of its own, all is as it is alone.
    fn hold_beside(&self, played: &Played, other: &Case) -> Checked<()> {
        let scene = Scene::in_memory();
        let roots = ["left", "right"].map(|side| scene.path(side));
        let cases = [("one", self), ("two", other)];
        for root in &roots {
            Tree::new().directory("one").directory("two").write(root);
        }
        let go = |options: &[&str]| {
            let all = [self.kept_alike(), "--allow-mass-delete"];
            let options: Vec<&str> = all.iter().chain(options).copied().collect();
            Way::LOCAL.copy(&options, &[&roots[0]], &roots[1]).run()
        };
        let edit = |edits: &dyn Fn(&Case) -> [Vec<Edit>; 2]| {
            for (name, case) in cases {
                roots.iter().zip(edits(case)).for_each(|(root, edits)| user::edit(&root.join(name), &edits));
            }
        };
        if self.met {
            edit(&|case| [case.base.clone(), Vec::new()]);
            check!(go(&["--conflict=keep-both"]).code == Some(0), "while they met");
            edit(&|case| {
                let (left, right) = case.more.split_at(case.more.len() / 2);
                [left.to_vec(), right.to_vec()]
            });
            check!(go(&["--conflict=keep-both"]).code == Some(0), "while they met");
        }
        edit(&|case| [case.left.clone(), case.right.clone()]);
        let output = go(&[&format!("--conflict={}", self.policy)]);
        let after = roots.each_ref().map(|root| self.comparable(&user::read(&root.join("one"))));
        let alone = played.after.each_ref().map(|tree| self.comparable(tree));
        let [[left, right], [expected_left, expected_right]] = [&after, &alone];
        check!(
            after == alone,
            "beside another, {}\n{output}",
            difference([left, right], [expected_left, expected_right])
        );
        Ok(())
    }

    /// Invariant 15.
    fn hold_at_other_times(&self, played: &Played) -> Checked<()> {
        if !["newer", "older", "keep-both"].contains(&self.policy) {
            let other = self.with_other_clocks().play(false)?;
            let same = other.after.each_ref().map(undated) == played.after.each_ref().map(undated);
            check!(same, "with other clocks: {}", other.output);
        }
        Ok(())
    }

    fn as_expected(&self, played: &Played) -> Checked<()> {
        let [left, right] = &played.before;
        let expected = model::expected(self.policy, &played.base, left, right);
        let [left, right] = [&played.after[0], &played.after[1]];
        let same = self.comparable(left) == self.comparable(&expected.left)
            && self.comparable(right) == self.comparable(&expected.right);
        check!(
            same,
            "not what the table says, but {}\n{}",
            difference([left, right], [&expected.left, &expected.right]),
            played.output
        );
        let code = if expected.conflicts.is_empty() { 0 } else { 40 };
        check!(
            played.output.code == Some(code),
            "{:?} should be left: {}",
            expected.conflicts,
            played.output
        );
        let said = played.output.out() + &played.output.err();
        let unsaid = expected.conflicts.iter().find(|path| !said.contains(&**path));
        check!(unsaid.is_none(), "{unsaid:?} is not reported: {}", played.output);
        if self.links { links::hold(played, &expected.conflicts) } else { Ok(()) }
    }

    /// Invariants 1 and 2, for what takes part: where nothing is left, both are the same.
    fn convergence(&self, played: &Played) -> Checked<()> {
        if played.output.code != Some(0) {
            return Ok(());
        }
        let [left, right] = &played.after;
        if self.excludes_nothing() {
            check!(
                left == right,
                "not the same: {}\n{}",
                difference([left, left], [right, right]),
                played.output
            );
            return Ok(());
        }
        let (one, other) = (left.below(), right.below());
        for (path, node) in one.iter().chain(&other) {
            // A directory that is gone but for what takes no part in it.
            let holds_ignored = |tree: &BTreeMap<String, &Node>| {
                tree.keys().any(|at| self.is_ignored(at) && at.starts_with(&format!("{path}/")))
            };
            let kept = holds_ignored(&one) || holds_ignored(&other);
            if self.is_ignored(path) || (node.is_dir() && kept) {
                continue;
            }
            let [one, other] = [&one, &other].map(|tree| tree.get(path).map(|node| undated(node)));
            let same = match (&one, &other) {
                (Some(one), Some(other)) => {
                    one.same_content(other) && (one.mode, one.marks) == (other.mode, other.marks)
                }
                _ => false,
            };
            check!(same, "{path} is {one:?} and {other:?}: {}", played.output);
        }
        Ok(())
    }

    /// Invariant 16.
    fn excluded_untouched(&self, played: &Played) -> Checked<()> {
        for (before, after) in played.before.iter().zip(&played.after) {
            let ignored = |tree: &Node| -> BTreeMap<String, Node> {
                let all = tree.below().into_iter().filter(|(path, _)| self.is_ignored(path));
                all.map(|(path, node)| (path, node.clone())).collect()
            };
            let [before, after] = [ignored(before), ignored(after)];
            check!(before == after, "what is excluded was touched: {before:?} {after:?} {}", played.output);
        }
        Ok(())
    }
}

fn run_with(go: &impl Fn(&[&str]) -> Output, options: &[String]) -> Output {
    go(&options.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Whether a plan that was shown has steps: they are indented.
fn does_something(output: &Output) -> bool {
    output.out().lines().any(|line| line.starts_with("  "))
}

type Stamps = BTreeMap<std::path::PathBuf, [i64; 8]>;

fn without_own(mut stamps: Stamps, root: &Path) -> Stamps {
    stamps.retain(|path, _| !path.starts_with(root.join(".dsync")));
    stamps
}

/// A case that went wrong once.
#[track_caller]
fn again(case: &Case) {
    if let Err(why) = case.hold() {
        panic!("{why}");
    }
}

#[test]
fn trees_become_what_the_table_says() {
    let first_seed = number("DSYNC_TWO_WAY_SEED").unwrap_or(1);
    let wanted = number("DSYNC_TWO_WAY_CASES").map_or(CASES, |cases| usize::try_from(cases).unwrap());
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let codes = Mutex::new(BTreeMap::<i32, usize>::new());
    let threads = thread::available_parallelism().map_or(1, usize::from).min(4);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let offset = next.fetch_add(1, Ordering::Relaxed)
                    && offset < wanted
                    && failures.lock().unwrap().len() < 3
                {
                    let seed = first_seed + offset as u64;
                    match Case::draw(seed).hold() {
                        Ok(played) => {
                            *codes.lock().unwrap().entry(played.output.code.unwrap_or(-1)).or_default() += 1;
                        }
                        Err(why) => failures.lock().unwrap().push((seed, why)),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    for (seed, why) in &failures {
        let (case, why) = Case::draw(*seed).smallest(why.clone());
        println!("--- seed {seed}:\n{}\n{why}\n", case.text());
    }
    assert!(failures.is_empty(), "{} cases of {wanted} from seed {first_seed}", failures.len());
    let codes = codes.into_inner().unwrap();
    println!("exit codes: {codes:?}");
    if wanted >= CASES {
        assert!(codes.values().all(|count| count * 20 > wanted), "too few of some: {codes:?}");
    }
}

#[test]
fn two_empty_trees() {
    again(&Case {
        way: 0,
        links: false,
        policy: "skip",
        excluded: None,
        in_files: [None; 2],
        guarded: false,
        met: true,
        base: vec![],
        more: vec![],
        left: vec![],
        right: vec![],
        turned: false,
        other_clocks: false,
        plain: false,
    });
}
