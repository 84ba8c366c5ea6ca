//! What a run tells programs: every line fits the schema, and says what happened.

use crate::support::command::{self, Output, dsync};
use crate::support::scene::Scene;
use crate::support::schema::Schema;
use crate::support::tools;
use crate::support::transport::{Direction, Way};
use crate::support::tree::Tree;
use serde_json::Value;
use std::fs;

/// The lines of a run, each of which fits the schema.
fn events(output: &Output) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/man/dsync-events.schema.json");
    let schema = Schema::new(&fs::read_to_string(path).unwrap());
    let line = |line: &str| {
        let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{output}"));
        schema.check(&value).unwrap_or_else(|why| panic!("{why}\n{output}"));
        value
    };
    output.out().lines().map(line).collect()
}

/// Those of one kind.
fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

fn the<'a>(events: &'a [Value], kind: &str, path: &str) -> &'a Value {
    let found = of(events, kind).into_iter().find(|event| event["path"] == path);
    found.unwrap_or_else(|| panic!("no {kind} of {path} in {events:#?}"))
}

#[test]
fn a_run_tells_what_it_does() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync speaks no JSON");
    }
    for way in Way::plain() {
        let source = Tree::new().file("new", "hello\n").file(b"odd\xff", "").symlink("link", "new");
        let scene = Scene::with_source(&source.directory("dir").directory("there").mtime("there", 1_000))
            .tree("to", &Tree::new().file("extra", "1").file("excluded/x", "2").directory("there"));
        let options = ["-rlt", "--json", "--delete", "--progress"];
        let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        let events = events(&output);
        let direction = match (way == Way::LOCAL, way.direction) {
            (true, _) => "local",
            (false, Direction::Push) => "push",
            (false, Direction::Pull) => "pull",
        };
        assert_eq!(events[0]["event"], "start", "{way:?}");
        assert_eq!(events[0]["direction"], direction);
        assert_eq!(events[0]["destination"]["host"].is_null(), direction != "push");
        let file = the(&events, "transferred", "new");
        assert_eq!((&file["new"], &file["size"], &file["sent"]), (&true.into(), &6.into(), &6.into()));
        assert!(file["owner"].is_null() && file["mode"].is_string(), "{file}");
        assert_eq!(the(&events, "created", "link")["target"], "new");
        assert_eq!(the(&events, "created", "dir")["kind"], "directory");
        assert_eq!(the(&events, "attributes", "there")["changed"], serde_json::json!(["time"]));
        assert_eq!(the(&events, "deleted", "excluded")["kind"], "directory");
        the(&events, "deleted", "extra");
        let odd = of(&events, "transferred").into_iter().find(|event| event["path"].is_null()).unwrap();
        assert_eq!(odd["path_escaped"], "odd\\#377");
        assert!(!of(&events, "progress").is_empty());
        let summary = events.last().unwrap();
        assert_eq!(summary["event"], "summary");
        assert_eq!((&summary["exit_code"], &summary["transferred_files"]), (&0.into(), &2.into()));
        assert_eq!((&summary["deleted"]["files"], &summary["created"]["symlinks"]), (&2.into(), &1.into()));
    }
}

#[test]
fn what_is_left_alone_and_what_fails_is_told_too() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync speaks no JSON");
    }
    let scene = Scene::with_source(&Tree::new().file("same", "1").file("long", "12345").symlink("link", "x"));
    let copy = |more: &[&str]| {
        let words = ["-rt", "--json", "-vv", "--max-size=4"].iter().chain(more);
        dsync(words.map(std::ffi::OsString::from))
            .args([scene.path("source/"), scene.path("nowhere/"), scene.path("to")])
            .run()
    };
    let first = copy(&["-n"]).expect(23);
    let told = events(&first);
    assert_eq!(told[0]["dry_run"], true);
    assert_eq!(the(&told, "transferred", "same")["sent"], 0);
    let second = copy(&[]).expect(23);
    let told = events(&second);
    assert_eq!(the(&told, "skipped", "long")["reason"], "too-large");
    assert_eq!(the(&told, "skipped", "link")["reason"], "not-regular");
    assert_eq!(of(&told, "problem").len(), 1);
    assert!(second.err().contains("nowhere"), "{second}");
    let last = told.last().unwrap();
    assert_eq!((&last["exit_code"], &last["problems"]), (&23.into(), &1.into()));
    let third = events(&copy(&[]));
    assert_eq!(the(&third, "unchanged", "same")["kind"], "file");
}

#[test]
fn a_run_that_is_ended_says_why() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync speaks no JSON");
    }
    let scene = Scene::with_source(&Tree::new().file("a", "1").file("b", "2"));
    fs::write(scene.path("to"), "a file").unwrap();
    let sources = [scene.path("source/a"), scene.path("source/b")];
    let output = dsync(["-r", "--json"]).args(sources).args([scene.path("to")]).run().expect(3);
    let told = events(&output);
    let last = told.last().unwrap();
    assert_eq!(last["exit_code"], 3, "{output}");
    assert!(last["message"].as_str().is_some_and(|message| message.starts_with("dsync: ")), "{output}");
}

#[test]
fn a_run_that_cannot_begin_says_why() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync speaks no JSON");
    }
    let scene = Scene::with_source(&Tree::new().file("a", "1"));
    let run =
        |option: &str| dsync(["-r", "--json", option]).args([scene.path("source/"), scene.path("to")]).run();
    let told = events(&run("--exclude-from=/nonexistent/rules").expect(11));
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["event"], &told[0]["exit_code"]), (&"summary".into(), &11.into()));
    assert!(told[0]["message"].as_str().is_some_and(|message| message.contains("/nonexistent/rules")));
    let told = events(&run("--info=nosuch").expect(1));
    assert_eq!(told[0]["exit_code"], 1, "{told:?}");
    // Of a command line that is not understood it is not known what it asks for.
    assert_eq!(run("--nosuch").expect(1).out(), "");
}

#[test]
fn directories_that_are_made_for_the_destination_are_told() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync speaks no JSON");
    }
    for way in Way::plain() {
        let scene = Scene::with_source(&Tree::new().file("a", "1"));
        for (option, to, count) in [("-r", "new", 1), ("--mkpath", "x/y/z", 3)] {
            let options = ["-r", "--json", option];
            let output = way.copy(&options, &[scene.path("source/")], scene.path(to)).run().success();
            let events = events(&output);
            let made = of(&events, "created");
            let made: Vec<_> = made.iter().filter(|event| !event["destination"].is_null()).collect();
            assert_eq!(made.len(), 1, "{way:?}: {events:#?}");
            assert_eq!((&made[0]["kind"], &made[0]["count"]), (&"directory".into(), &count.into()));
            assert!(made[0]["destination"].as_str().is_some_and(|path| path.ends_with(to)), "{}", made[0]);
        }
    }
}

#[test]
fn a_two_way_run_tells_its_plan_and_its_conflicts() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has no two-way runs");
    }
    let scene = Scene::new()
        .tree("left", &Tree::new().file("both", "1").file("one", "only here").file("old", "a name to change"))
        .tree("right", &Tree::new().file("both", "22").file("dir/two", "there"));
    let run = |more: &[&str], code| {
        let words = ["-2", "--json"].iter().chain(more).map(std::ffi::OsString::from);
        events(&dsync(words).args([scene.path("left"), scene.path("right")]).run().expect(code))
    };
    let told = run(&[], 40);
    assert_eq!((&told[0]["two_way"], &told[0]["direction"]), (&true.into(), &"local".into()));
    let planned = the(&told, "planned", "one");
    assert_eq!((&planned["side"], &planned["change"]), (&"second".into(), &"created".into()));
    assert_eq!(the(&told, "planned", "dir/two")["side"], "first");
    let conflict = the(&told, "conflict", "both");
    assert_eq!((&conflict["about"], &conflict["settled"]), (&"content".into(), &"left".into()));
    let last = told.last().unwrap();
    assert_eq!((&last["exit_code"], &last["conflicts"]), (&40.into(), &1.into()));
    fs::rename(scene.path("left/old"), scene.path("left/new")).unwrap();
    fs::remove_file(scene.path("right/dir/two")).unwrap();
    let told = run(&["--conflict=local"], 0);
    let renamed = the(&told, "planned", "new");
    assert_eq!((&renamed["change"], &renamed["from"]), (&"renamed".into(), &"old".into()));
    assert_eq!(the(&told, "planned", "dir/two")["change"], "deleted");
    assert_eq!(the(&told, "conflict", "both")["settled"], "first");
}

#[test]
fn what_is_linked_or_copied_is_told() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync speaks no JSON");
    }
    for way in Way::plain() {
        let tree = Tree::new().file("a", "one file").file("copied", "2").file("linked", "3");
        let scene = Scene::with_source(&tree)
            .tree("before", &Tree::new().file("copied", "2").mode("copied", 0o600).file("linked", "3"));
        fs::hard_link(scene.path("source/a"), scene.path("source/b")).unwrap();
        let options = ["-aH", "-vv", "--json", "--link-dest=../before"];
        let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        let events = events(&output);
        let linked = the(&events, "linked", "b");
        assert_eq!((&linked["leader"], &linked["new"]), (&"a".into(), &true.into()), "{way:?}");
        let copied = the(&events, "copied", "copied");
        assert_eq!(copied["changed"], serde_json::json!(["permissions"]), "{way:?}");
        the(&events, "unchanged", "linked");
    }
}

#[test]
fn what_a_run_would_make_of_paths() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync speaks no JSON");
    }
    let source = Tree::new()
        .file("list", "x")
        .file("large", "0123456789")
        .file("git/.gitignore", "\n*.log\n")
        .file("git/b.log", "x")
        .file("build/deep", "x");
    let scene = Scene::with_source(&source).tree("to", &Tree::new());
    let options = ["-a", "--json", "--delete", "--max-size=5", "--exclude=/build", "--gitignore"];
    let paths =
        ["list", "large", "no/where", "git/b.log", "build/deep"].map(|path| format!("--explain={path}"));
    let output = dsync(options).args(paths).args([scene.path("source/"), scene.path("to")]).run().expect(0);
    let expected = [
        r#"{"event":"explained","path":"list","part":"takes-part"}"#,
        r#"{"event":"explained","path":"large","part":"left-alone","reason":"too-large"}"#,
        r#"{"event":"explained","path":"no/where","part":"missing","as":"no",
            "deletion":{"protected":false,"there":false}}"#,
        r#"{"event":"explained","path":"git/b.log","part":"left-out","reason":"rule",
            "rule":{"text":"*.log","file":"git/.gitignore","line":2},
            "deletion":{"protected":false,"there":false}}"#,
        r#"{"event":"explained","path":"build/deep","part":"left-out","reason":"rule","as":"build",
            "rule":{"text":"- /build","option":"--exclude"},
            "deletion":{"protected":true,"there":false,"as":"build",
            "rule":{"text":"- /build","option":"--exclude"}}}"#,
    ];
    let expected: Vec<Value> = expected.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(of(&events(&output), "explained"), expected.iter().collect::<Vec<_>>(), "{output}");
}
