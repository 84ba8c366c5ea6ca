//! A server that somebody restricted to a directory, as `command=` of a key does it.
//!
//! The clients here are real ones that ask for what they should not; [`hostile`](crate::hostile) has those that do not
//! keep to the protocol besides.

mod modes;
mod paths;
mod ssh;

use crate::support::command::{Invocation, Output, binary, dsync};
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, Snapshot};
use crate::support::transport::{remote, rsh_script, shell_options_for};
use crate::support::tree::Tree;
use std::fs;
use std::path::Path;

const SECRET: &str = "SECRET";

/// A directory that a server is restricted to, `jail`, one beside it that is nobody's business, and what a client has.
pub(crate) struct Jail {
    pub(crate) scene: Scene,
    outside: Snapshot,
}

impl Jail {
    pub(crate) fn new() -> Jail {
        let jail = Tree::new()
            .file("docs/f", "inside")
            .file("docs/g", "too")
            .file("list", "f\n")
            .symlink("in", "docs")
            .symlink("out", "../outside")
            .symlink("docs/out", "../../outside")
            .symlink("docs/up", "../../outside/only-outside")
            .mtime("docs/f", 1_000_000_000);
        let outside = Tree::new()
            .file("only-outside", SECRET)
            .file("f", SECRET)
            .file("dir/only-outside", SECRET)
            .file("list", "g\n");
        let here = Tree::new().file("f", "newer content").file("new", "new");
        let scene = Scene::new().tree("jail", &jail).tree("outside", &outside).tree("here", &here);
        std::os::unix::fs::symlink(scene.path("outside"), scene.path("jail/abs")).unwrap();
        fs::create_dir(scene.path("to")).unwrap();
        let outside = scene.snapshot("outside");
        Jail { scene, outside }
    }

    /// A run with the server, which was started with these options besides.
    pub(crate) fn run(&self, restriction: &str, arguments: &[&str]) -> Output {
        self.invocation(restriction, arguments).run()
    }

    pub(crate) fn invocation(&self, restriction: &str, arguments: &[&str]) -> Invocation {
        let script = rsh_script(self.scene.root(), "exec /bin/sh -c \"$*\"\n");
        let jail = self.scene.path("jail");
        let program = format!("{} --restrict={} {restriction}", binary().display(), jail.display());
        dsync(shell_options_for(&script, Path::new(&program)))
            .args(arguments.iter().map(|argument| (*argument).to_owned()))
            .current_dir(self.scene.root())
    }

    /// Fails if anything outside was changed, or is known to the client.
    #[track_caller]
    pub(crate) fn assert_outside_untouched(&self, what: &str, output: &Output) {
        let differences = self.outside.differences(&self.scene.snapshot("outside"), Columns::ALL);
        assert!(differences.is_empty(), "{what}: outside changed\n{}\n{output}", differences.join("\n"));
        assert!(!output.err().contains("panicked"), "{what}\n{output}");
        for tree in ["to", "here", "jail"] {
            let snapshot = self.scene.snapshot(tree);
            for path in snapshot.paths() {
                let stamp = snapshot.get(path).unwrap();
                let shown = path.escape_ascii();
                assert!(!path.ends_with(b"only-outside"), "{what}: {tree}/{shown} is there\n{output}");
                let secret = self.outside.get("f").unwrap();
                assert!(stamp.content != secret.content, "{what}: {tree}/{shown} was read\n{output}");
            }
        }
        assert!(!output.out().contains(SECRET) && !output.err().contains(SECRET), "{what}\n{output}");
    }
}

/// A path on the server.
pub(crate) fn there(path: &str) -> String {
    remote(path).into_string().unwrap()
}
