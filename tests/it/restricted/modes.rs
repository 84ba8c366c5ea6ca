//! Which way content may go, and what may go away.

use super::{Jail, there};
use crate::support::command::is_rsync;
use crate::support::snapshot::Columns;
use crate::support::tools;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// What a restricted server is asked, and what it refuses of that.
struct Row {
    restriction: &'static str,
    options: &'static [&'static str],
    from: &'static str,
    to: &'static str,
    /// A word of what is said; nothing if it is not refused.
    told: &'static str,
}

fn row(
    restriction: &'static str,
    options: &'static [&'static str],
    (from, to): (&'static str, &'static str),
    told: &'static str,
) -> Row {
    Row { restriction, options, from, to, told }
}

const PUSH: (&str, &str) = ("here/", "host:docs/");
const PULL: (&str, &str) = ("host:docs/", "to/");

fn rows() -> Vec<Row> {
    let (ro, wo, nd) = ("--read-only", "--write-only", "--no-delete");
    const DELETE: &str = "--delete";
    vec![
        row(ro, &["-a"], PULL, ""),
        row(ro, &["-aL"], PULL, ""),
        row(ro, &["-a"], PUSH, "writing here"),
        row(ro, &["-an"], PUSH, "writing here"),
        row(ro, &["-a", "--remove-source-files"], PULL, "--remove-source-files"),
        row(ro, &["-2"], ("here", "host:docs"), "two-way"),
        row(ro, &["-2", "-n"], ("here", "host:docs"), "two-way"),
        row(ro, &["-a", "--copy-devices"], PULL, "--copy-devices"),
        row(wo, &["-a"], PUSH, ""),
        row(wo, &["-a", DELETE], PUSH, ""),
        row(wo, &["-a"], PULL, "reading here"),
        row(wo, &["-a", "--list-only"], PULL, "reading here"),
        row(wo, &["-2"], ("here", "host:docs"), "two-way"),
        row(wo, &["-a", "--files-from=:list"], ("here/", "host:docs/"), "--files-from"),
        row(wo, &["-a", DELETE, "--explain=f"], PUSH, "--explain"),
        row(wo, &["-a", "--detect-renames"], PUSH, "--detect-renames"),
        row(wo, &["-a", "--detect-renames", DELETE], PUSH, ""),
        row(wo, &["-a", "--inplace", "--write-devices"], PUSH, "--write-devices"),
        row(nd, &["-ab"], PUSH, ""),
        row(nd, &["-a", "--inplace"], PUSH, ""),
        row(nd, &["-a", "--delay-updates"], PUSH, "--delay-updates"),
        row(nd, &["-a", "-M--delay-updates"], PUSH, "--delay-updates"),
        row(nd, &["-a", DELETE, "--partial-dir=parts"], PULL, ""),
        row(nd, &["-a"], PULL, ""),
        row(nd, &["-a", DELETE], PUSH, "--delete"),
        row(nd, &["-a", "--delete-excluded"], PUSH, "--delete"),
        row(nd, &["-an", "--delete-after"], PUSH, "--delete"),
        row(nd, &["-a", "--delete-missing-args"], PUSH, "--delete-missing-args"),
        row(nd, &["-a", "--force"], PUSH, "--force"),
        row(nd, &["-a", "--partial-dir=parts"], PUSH, "--partial-dir"),
        row(nd, &["-a", "--remove-source-files"], PULL, "--remove-source-files"),
        row(nd, &["-a", "-M--delete"], PUSH, "--delete"),
        row(nd, &["-2"], ("here", "host:docs"), "two-way"),
        row("--write-only --no-delete", &["-a"], PUSH, ""),
        row("--write-only --no-delete", &["-a", DELETE], PUSH, "--delete"),
        row("--write-only --no-delete", &["-a"], PULL, "reading here"),
        row("", &["-a", "--copy-devices"], PULL, "--copy-devices"),
    ]
}

#[test]
fn each_mode_refuses_what_it_is_there_for() {
    if is_rsync() {
        return tools::not_for_rsync("rsync has a script for it");
    }
    for Row { restriction, options, from, to, told } in rows() {
        let jail = Jail::new();
        let (before, here) = (jail.scene.snapshot("jail"), jail.scene.snapshot("here"));
        let ends = [from, to].map(|end| match end.strip_prefix("host:") {
            Some(path) => there(path),
            None => end.to_owned(),
        });
        let output = jail.run(restriction, &[options, &[ends[0].as_str(), &ends[1]]].concat());
        let what = format!("{restriction} {options:?} {from} {to}\n{output}");
        jail.assert_outside_untouched(&what, &output);
        if told.is_empty() {
            let expected = if options.contains(&"-aL") { 23 } else { 0 };
            assert_eq!(output.code, Some(expected), "{what}");
            continue;
        }
        assert_eq!(output.code, Some(1), "{what}");
        assert!(output.err().contains(told) && output.err().contains("refused"), "{what}");
        assert!(output.err().contains("the server is restricted"), "{what}");
        before.assert_same(&jail.scene.snapshot("jail"), Columns::ALL);
        let differences = here.differences(&jail.scene.snapshot("here"), CONTENT);
        assert!(differences.is_empty(), "{what}{differences:#?}");
        assert!(jail.scene.paths("to").is_empty(), "{what}");
    }
}

const CONTENT: Columns =
    Columns { mode: false, owner: false, mtime: false, directory_mtime: false, xattrs: false };

/// It keeps names, and what was in them goes: as in rsync's script of that kind.
#[test]
fn what_may_not_be_deleted_may_be_overwritten() {
    if is_rsync() {
        return tools::not_for_rsync("rsync has a script for it");
    }
    let jail = Jail::new();
    fs::create_dir(jail.scene.path("here/g")).unwrap();
    fs::write(jail.scene.path("here/g/inner"), "x").unwrap();
    fs::remove_file(jail.scene.path("jail/docs/g")).unwrap();
    fs::create_dir(jail.scene.path("jail/docs/new")).unwrap();
    fs::write(jail.scene.path("jail/docs/new/kept"), "kept").unwrap();
    let output = jail.run("--no-delete", &["-a", "here/", &there("docs/")]).expect(23);
    assert_eq!(jail.scene.read("jail/docs/f"), b"newer content");
    assert_eq!(jail.scene.read("jail/docs/g/inner"), b"x");
    // A directory that holds something is not in the way of a file without --force.
    assert_eq!(jail.scene.read("jail/docs/new/kept"), b"kept", "{output}");
}

#[test]
fn a_server_does_not_seem_restricted_when_it_is_not() {
    if is_rsync() {
        return tools::not_for_rsync("these are options of dsync");
    }
    let jail = Jail::new();
    let dir = format!("--restrict={}", jail.scene.path("jail").display());
    for (arguments, told) in [
        (&["--server", "--read-only"][..], "--read-only needs --restrict=DIR"),
        (&["--server", "--write-only"], "--write-only needs --restrict=DIR"),
        (&["--server", "--no-delete"], "--no-delete needs --restrict=DIR"),
        (&["--server", "--no-delete", "--read-only"], "--read-only needs --restrict=DIR"),
        (&["--server", &dir, "--read-only", "--write-only"], "leave nothing to serve"),
        (&["--server", &dir, "--insecure-links"], "does not heed --insecure-links"),
        (&["--server", &dir, "--no-delete", "--delete"], "does not heed --delete"),
        (&["--server", &dir, "-a"], "does not heed --archive"),
        (&["--server", &dir, "somewhere"], "takes no operands"),
        (&[&dir, "here", "to"], "--restrict is for a server"),
        (&["--read-only", "here", "to"], "--read-only is for a server"),
        (&["-M--read-only", "here", "host:to"], "--remote-option cannot give --restrict"),
        (&["-M--restrict=/", "here", "host:to"], "--remote-option cannot give --restrict"),
    ] {
        let output = crate::support::command::dsync(arguments.iter().map(|word| (*word).to_owned()));
        let output = output.current_dir(jail.scene.root()).run().expect(1);
        assert!(output.err().contains(told), "{arguments:?}\n{output}");
    }
    let output = crate::support::command::dsync(["--server", "--restrict=/no/such/directory"]).run();
    assert_eq!(output.code, Some(11), "{output}");
    assert!(output.err().contains("--restrict=/no/such/directory"), "{output}");
}

/// Nobody joins it; a run that asks for more streams goes on with one, and says so.
#[test]
fn it_has_one_stream() {
    if is_rsync() {
        return tools::not_for_rsync("rsync has one always");
    }
    let jail = Jail::new();
    let output = jail.run("", &["-a", "--streams=4", &there("docs/"), "to/"]).expect(0);
    assert!(output.err().contains("going on with one stream"), "{output}");
    assert_eq!(jail.scene.read("to/f"), b"inside");
}

/// What the kernel keeps from a server is nothing that a run needs: users by name, attributes, every way of writing.
#[test]
fn a_restricted_run_does_all_that_another_does() {
    if is_rsync() {
        return tools::not_for_rsync("rsync has a script for it");
    }
    for options in [
        &["-aHUb", "--inplace", "--no-W"][..],
        &["-aHS", "--preallocate", "--backup-dir=../kept", "-b", "--fsync"],
        &["-aHX", "--delete-delay", "--detect-renames", "--fuzzy"],
        &["-aH", "--delay-updates", "--temp-dir=.", "-M--fake-super"],
        &["-aHA", "--delete-before", "--no-W", "-c", "--force"],
    ] {
        let jail = Jail::new();
        fs::hard_link(jail.scene.path("here/f"), jail.scene.path("here/again")).unwrap();
        fs::create_dir(jail.scene.path("here/dir")).unwrap();
        fs::rename(jail.scene.path("here/new"), jail.scene.path("here/dir/new")).unwrap();
        std::os::unix::fs::symlink("f", jail.scene.path("here/link")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            jail.scene.path("here/fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        for _ in 0..2 {
            jail.run("", &[options, &["here/", &there("docs/")]].concat()).success();
        }
        for (path, content) in [("f", "newer content"), ("again", "newer content"), ("dir/new", "new")] {
            assert_eq!(jail.scene.read(&format!("jail/docs/{path}")), content.as_bytes(), "{options:?}");
        }
    }
    if !tools::is_root() {
        return tools::missing("root, to give files away");
    }
    let jail = Jail::new();
    jail.run("", &["-a", "--chown=nobody:nogroup", "here/", &there("docs/")]).success();
    let (nobody, nogroup) = (uzers::get_user_by_name("nobody"), uzers::get_group_by_name("nogroup"));
    let given = fs::metadata(jail.scene.path("jail/docs/f")).unwrap();
    if let (Some(nobody), Some(nogroup)) = (nobody, nogroup) {
        assert_eq!((given.uid(), given.gid()), (nobody.uid(), nogroup.gid()));
    }
}
