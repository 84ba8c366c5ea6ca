//! Whole runs between two replicas in this process: what both remember is the same, however they found out what they
//! have to tell each other.

use super::*;
use crate::delta::{StrongKind, SumChoice};
use crate::fs::{Links, Root};
use crate::pass::Sweep;
use crate::report::Reporter;
use crate::request::{Options, Shortcuts, TwoWay};
use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::guard::MaxDelete;
use crate::twoway::plan::Plan;
use crate::twoway::policy::{Policies, Policy};
use crate::twoway::record::Record;
use crate::twoway::replica::Replica;
use crate::twoway::version::{Author, Version};
use filetime::FileTime;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// More than a few stretches.
const FILES: usize = 300;

#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Reporter for Heard {
    fn report(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// Lets every plan pass.
struct Agrees;

impl Overseer for Agrees {
    fn planned(&self, _: &Plan) -> Result<(), Stopped> {
        Ok(())
    }

    fn resolve(&self, _: &Asked<'_>) -> Result<Answer, Stopped> {
        Ok(Answer::Skip)
    }
}

/// Three replicas with most in common, which have not met.
struct Scene {
    place: TempDir,
    /// Whether stretches are told.
    stretches: bool,
}

impl Scene {
    fn new(stretches: bool) -> Scene {
        let scene = Scene { place: TempDir::new().unwrap(), stretches };
        for name in ["one", "two", "three"] {
            for number in 0..FILES {
                scene.write(&format!("{name}/{}/{number}", number / 40), &format!("content {number}"), 0);
            }
        }
        scene.write("one/2/99", "edited on one", 10);
        scene.write("one/new on one", "new", 11);
        scene.write("two/new on two", "new", 12);
        scene.write("two/4/170", "in conflict", 13);
        scene.write("one/4/170", "also in conflict", 14);
        scene.write("three/new on three", "new", 15);
        scene.date();
        scene
    }

    fn write(&self, path: &str, content: &str, time: i64) {
        let path = self.place.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        filetime::set_file_mtime(path, FileTime::from_unix_time(1_000_000_000 + time, 0)).unwrap();
    }

    /// Dates all directories.
    fn date(&self) {
        let date = |path: &Path| {
            filetime::set_file_mtime(path, FileTime::from_unix_time(1_000_000_000, 0)).unwrap();
        };
        for root in ["one", "two", "three"].map(|name| self.place.path().join(name)) {
            for entry in fs::read_dir(&root).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    date(&entry.path());
                }
            }
            date(&root);
        }
    }

    fn context(&self, dry_run: bool) -> Context {
        let options = Options {
            recursive: true,
            times: true,
            perms: true,
            links: true,
            dry_run,
            two_way: Some(TwoWay::default()),
            shortcuts: Shortcuts { stretches: self.stretches, ..Shortcuts::default() },
            ..Options::default()
        };
        let sums = SumChoice { kind: StrongKind::Xxh3, seed: 1 };
        Context {
            options,
            sums,
            compare_sums: sums,
            reporter: Arc::new(Heard::default()),
            progress: Arc::default(),
            local: false,
            open_files: 256,
            paths: Links::Trusted,
            tell_progress: false,
            sweep: Sweep::None,
            stop: Arc::default(),
        }
    }

    fn root(&self, name: &str) -> Root {
        Root::open(self.place.path().join(name).as_os_str(), Links::Trusted).unwrap()
    }

    /// Brings two of them together, and returns the plan.
    fn meet(&self, [left, right]: [&str; 2], dry_run: bool) -> Outcome {
        let (mut planning, mut following) = Link::pair();
        let context = self.context(dry_run);
        let policies = Policies { general: Policy::KeepBoth, ..Policies::default() };
        let settings = Settings {
            side: Side::Left,
            policies: &policies,
            max_delete: MaxDelete::Half,
            apply: None,
            names: Names { here: left.into(), there: right.into(), sides: [left.into(), right.into()] },
            overseer: &Agrees,
            reporter: &*context.reporter,
        };
        let around = |name: &'static str| Around { context: &context, name: name.as_bytes() };
        let roots = [self.root(left), self.root(right)];
        std::thread::scope(|scope| {
            let followed = scope.spawn(|| {
                let followed = follow(&mut following, &roots[1], around("right"));
                following.sender.close();
                followed.map_err(|error| error.tell(&following))
            });
            let planned = plan_and_carry_out(&mut planning, &roots[0], &settings, around("left"));
            planning.sender.close();
            let planned = planned.map_err(|error| error.tell(&planning));
            followed.join().unwrap().unwrap();
            planned.unwrap()
        })
    }

    /// What each of them remembers, with a number for each of them in the place of its name.
    fn remembered(&self) -> Vec<BTreeMap<RelPath, Record>> {
        let histories: Vec<_> = ["one", "two", "three"]
            .iter()
            .map(|name| {
                let replica = Replica::open(&self.root(name).writable().unwrap()).unwrap();
                replica.history().unwrap().0
            })
            .collect();
        let authors: Vec<Author> = histories.iter().map(|history| history.author()).collect();
        let renamed = |version: &Version| -> Arc<Version> {
            let number = |author| authors.iter().position(|known| *known == author).unwrap();
            let counts = version.counts().map(|(author, count)| (Author([number(author) as u8; 16]), count));
            Arc::new(counts.collect())
        };
        let records = |history: &crate::twoway::history::History| {
            let mut records = BTreeMap::new();
            let add = &mut |path: RelPath, known: crate::twoway::history::Known| {
                let record = known.record;
                let (content, meta) = (renamed(&record.content), renamed(&record.meta));
                let extended = record.extended.renamed(|version| renamed(version));
                records.insert(path, Record { content, meta, extended, ..record });
                Ok(())
            };
            history.all(add).unwrap();
            records
        };
        histories.iter().map(records).collect()
    }

    /// Everything in one of the trees but dsync's own.
    fn tree(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        fn read(at: &Path, below: &str, tree: &mut BTreeMap<String, Vec<u8>>) {
            for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
                let path = format!("{below}/{}", entry.file_name().to_str().unwrap());
                if path == "/.dsync" {
                    continue;
                }
                match entry.file_type().unwrap().is_dir() {
                    true => read(&entry.path(), &path, tree),
                    false => drop(tree.insert(path, fs::read(entry.path()).unwrap())),
                }
            }
        }
        let mut tree = BTreeMap::new();
        read(&self.place.path().join(name), "", &mut tree);
        tree
    }
}

/// The steps of a plan, but for what depends on names drawn at random.
fn steps(outcome: &Outcome) -> Vec<String> {
    let told = |step: &crate::twoway::reconcile::Step| {
        format!("{} {:?} {:?}", step.path, step.why, Side::BOTH.map(|side| step.change(side)))
    };
    outcome.plan.steps.iter().map(|step| told(&step)).collect()
}

#[test]
fn what_is_concluded_from_stretches_is_remembered_as_if_it_were_told() {
    let scenes = [Scene::new(true), Scene::new(false)];
    for (pair, edit) in [
        (["one", "two"], "two/5/201"),
        (["three", "two"], "three/1/50"),
        (["one", "three"], "one/6/250"),
        (["two", "one"], "two/0/3"),
        (["one", "two"], "one/0/4"),
    ] {
        let plans = scenes.each_ref().map(|scene| {
            let dry = scene.meet(pair, true);
            let outcome = scene.meet(pair, false);
            assert_eq!(steps(&dry), steps(&outcome));
            assert!(outcome.undone.is_empty());
            steps(&outcome)
        });
        let [with, without] = &plans;
        let differing = with.iter().zip(without).find(|(with, without)| with != without);
        assert!(with == without, "{pair:?}: {differing:?}");
        let [with, without] = scenes.each_ref().map(Scene::remembered);
        for (with, without) in with.iter().zip(&without) {
            let differing = with.iter().zip(without).find(|(with, without)| with != without);
            assert!(with == without, "{pair:?}: {differing:?}");
        }
        for scene in &scenes {
            assert_eq!(scene.tree(pair[0]), scene.tree(pair[1]), "{pair:?}");
            scene.write(edit, "edited since", 100);
            scene.date();
        }
    }
    // All have met, so whatever has been joined on the way is known everywhere.
    let [with, _] = scenes.each_ref().map(Scene::remembered);
    let record = &with[0][&RelPath::new(*b"7/299").unwrap()];
    assert_eq!(record.content.counts().count(), 3);
}

#[test]
fn a_dry_run_of_a_first_meeting_writes_nothing() {
    let scene = Scene::new(true);
    let outcome = scene.meet(["one", "two"], true);
    assert!(outcome.plan.steps.len() > FILES);
    assert!(["one", "two"].iter().all(|name| !scene.place.path().join(name).join(".dsync").exists()));
}
