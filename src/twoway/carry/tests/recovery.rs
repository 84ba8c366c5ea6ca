//! What a run that was killed has done counts, and what it began leaves no trace.

use super::*;
use crate::fs::stage_name;

impl Scene {
    /// Does everything but the recording, as if the process had ended before.
    fn killed_before_recording(&mut self, tasks: Vec<Task>, contents: &[(&str, &str)], finish: bool) {
        let (carrier, _) = self.begin(tasks);
        carrier.copy_losers().unwrap();
        carrier.write_down().unwrap();
        drop(carrier);
        drop(self.history.take());
        // The history as it is now; what is done from here on is not in it.
        let saved = fs::read(self.path(".dsync/history")).unwrap();
        self.open();
        let tasks = self.history().intents().unwrap();
        let tasks: Vec<Task> =
            tasks.into_iter().map(|(at, record)| self.task_to(at.to_string().as_str(), record)).collect();
        let (carrier, _) = self.begin(tasks);
        carrier.make().unwrap();
        self.fetch(&carrier, contents);
        if finish {
            carrier.finish().unwrap();
        }
        drop(carrier);
        fs::write(self.path(".dsync/history"), saved).unwrap();
        self.open();
    }

    fn task_to(&self, at: &str, record: Record) -> Task {
        let Record { content, meta, .. } = record.clone();
        let task = self.task(at, |now| *now = record);
        Task { after: Record { content, meta, ..task.after.clone() }, ..task }
    }

    fn open(&mut self) {
        let (history, _) = self.replica.history().unwrap();
        self.history = Some(history);
    }
}

fn tasks(scene: &Scene) -> Vec<Task> {
    vec![
        scene.becomes("new", State::Directory, 0o555),
        scene.becomes("new/file", file("content"), 0o640),
        scene.becomes("new/link", link("x"), 0),
        scene.becomes("edited", file("newer"), 0o600),
        scene.becomes("kind", State::Directory, 0o751),
        scene.goes("gone"),
        scene.goes("gone/file"),
        scene.task("mode", |record| record.attributes.mode = 0o400),
    ]
}

const CONTENTS: [(&str, &str); 2] = [("new/file", "content"), ("edited", "newer")];

#[test]
fn what_was_done_is_taken_over() {
    let mut scene = Scene::new(&[("edited", "1"), ("kind", "2"), ("gone/file", "3"), ("mode", "4")]);
    let tasks = tasks(&scene);
    scene.killed_before_recording(tasks.clone(), &CONTENTS, true);
    assert_ne!(scene.record("edited"), tasks[3].after);
    scene.recover();
    scene.is_known(&tasks);
}

#[test]
fn a_directory_that_was_not_finished_is() {
    let mut scene = Scene::new(&[("edited", "1"), ("kind", "2"), ("gone/file", "3"), ("mode", "4")]);
    let tasks = tasks(&scene);
    scene.killed_before_recording(tasks.clone(), &CONTENTS, false);
    assert_eq!(scene.looks("new").1, 0o755);
    scene.recover();
    assert_eq!(scene.looks("new"), (THEN, 0o555));
    assert_eq!(scene.looks("kind"), (THEN, 0o751));
    for task in tasks.iter().filter(|task| task.here != Some(Change::Remove)) {
        assert_eq!(scene.record(&task.path.to_string()), task.after, "{}", task.path);
    }
    assert!(!scene.scan().has_edits());
    assert_eq!(scene.tree("gone"), ["file=3"]);
}

#[test]
fn what_was_not_done_is_forgotten() {
    let mut scene = Scene::new(&[("edited", "1"), ("kind", "2"), ("gone/file", "3"), ("mode", "4")]);
    let tasks = tasks(&scene);
    let records: Vec<Record> = tasks.iter().map(|task| scene.record(&task.path.to_string())).collect();
    let (carrier, _) = scene.begin(tasks.clone());
    carrier.write_down().unwrap();
    drop(carrier);
    scene.open();
    assert_eq!(scene.history().intents().unwrap().len(), tasks.len());
    scene.put("new", "theirs");
    scene.recover();
    let known: Vec<Record> = tasks.iter().map(|task| scene.record(&task.path.to_string())).collect();
    assert_eq!(known, records);
    assert_eq!(scene.scan().created, 1);
}

#[test]
fn an_edit_after_the_end_stays_an_edit() {
    let mut scene = Scene::new(&[("edited", "1"), ("kind", "2"), ("gone/file", "3"), ("mode", "4")]);
    let tasks = tasks(&scene);
    scene.killed_before_recording(tasks, &CONTENTS, true);
    fs::write(scene.path("edited"), "again").unwrap();
    scene.recover();
    let counts = scene.scan();
    assert_eq!((counts.edited, counts.created, counts.gone), (1, 0, 0));
}

#[test]
fn what_was_staged_is_gone() {
    let mut scene = Scene::new(&[("edited", "1")]);
    let (carrier, _) = scene.begin(vec![scene.becomes("edited", file("newer"), 0o600)]);
    carrier.write_down().unwrap();
    drop(carrier);
    scene.open();
    let name = stage_name(&Name::new("edited").unwrap());
    fs::write(scene.path(std::str::from_utf8(name.as_bytes()).unwrap()), "new").unwrap();
    fs::write(scene.path(".dsync/staging/x"), "new").unwrap();
    scene.recover();
    assert_eq!((scene.tree(""), scene.tree(".dsync/staging")), (vec!["edited=1".to_owned()], vec![]));
}

/// Whom something belongs to that a killed run without owners was to change says nothing of how far that has come.
#[test]
fn owners_that_took_no_part_stay_known() {
    let mut scene = Scene::new(&[("mode", "4")]);
    let mut known = scene.history().known(&path("mode")).unwrap().unwrap();
    // It was given away since.
    known.record.attributes.owner = (Some(Uid(u32::MAX - 7)), None);
    scene.history().installed(&[(path("mode"), known)], &[], &[]).unwrap();
    assert!(!scene.scan().has_edits());
    let before = scene.record("mode");
    assert_eq!(before.attributes.owner, (None, None));
    let (carrier, _) = scene.begin(vec![scene.task("mode", |record| record.attributes.mode = 0o400)]);
    carrier.write_down().unwrap();
    drop(carrier);
    scene.open();
    scene.recover();
    assert_eq!(scene.looks("mode").1, before.attributes.mode);
    assert_eq!(scene.record("mode").attributes.owner, (Some(Uid(u32::MAX - 7)), None));
    assert!(!scene.scan().has_edits());
    assert_eq!(scene.record("mode"), before);
}
