//! Between hosts an owner is a name, unless numbers are asked for.

use crate::support::command::{self, Invocation};
use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::{Direction, remote, rsh_script, shell_options};
use crate::support::tree::Tree;
use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};

/// What the other host calls `nobody` and `nogroup`; here they are others.
const THERE: u32 = 4_242;
/// A number that is nobody's on either host.
const NAMELESS: u32 = 54_321;

/// Runs a copy to or from a host with users of its own, and returns the owners and groups of what arrived.
fn arriving(direction: Direction, owner: u32, option: &str) -> (u32, u32) {
    let scene = Scene::with_source(&Tree::new().file("file", "content"));
    lchown(scene.path("source/file"), Some(owner), Some(owner)).unwrap();
    for (file, line) in [("passwd", "nobody:x:4242:4242::/:/bin/false\n"), ("group", "nogroup:x:4242:\n")] {
        let root = "root:x:0:0:root:/root:/bin/sh\n";
        fs::write(scene.path(file), [if file == "passwd" { root } else { "root:x:0:\n" }, line].concat())
            .unwrap();
    }
    let root = scene.root().display();
    let mounts = format!("mount --bind {root}/passwd /etc/passwd && mount --bind {root}/group /etc/group");
    let script =
        rsh_script(scene.root(), &format!("exec unshare --mount /bin/sh -c '{mounts} && exec '\"$*\"\n"));
    let (source, to) = (scene.path("source/"), scene.path("to"));
    let operands = match direction {
        Direction::Push => [source.into_os_string(), remote(&to)],
        Direction::Pull => [remote(source), to.clone().into_os_string()],
    };
    let options = shell_options(&script);
    Invocation::new(command::binary(), options).args(["-a", option]).args(operands).run().success();
    let meta = fs::metadata(to.join("file")).unwrap();
    (meta.uid(), meta.gid())
}

#[test]
fn owners_by_name_or_by_number() {
    if !tools::is_root() {
        return tools::missing("root, who may give files away");
    }
    if tools::find("unshare").is_none() {
        return;
    }
    let here = (number("/etc/passwd", "nobody"), number("/etc/group", "nogroup"));
    assert!(here.0 != THERE && here.1 != THERE);
    assert_eq!(arriving(Direction::Pull, THERE, "-v"), here);
    assert_eq!(arriving(Direction::Pull, THERE, "--numeric-ids"), (THERE, THERE));
    assert_eq!(arriving(Direction::Pull, NAMELESS, "-v"), (NAMELESS, NAMELESS));
    assert_eq!(arriving(Direction::Push, here.0, "-v").0, THERE);
    assert_eq!(arriving(Direction::Push, here.0, "--numeric-ids").0, here.0);
    assert_eq!(arriving(Direction::Push, NAMELESS, "--numeric-ids"), (NAMELESS, NAMELESS));
}

/// The number that a file in the form of passwd(5) or group(5) gives to `name`.
fn number(file: &str, name: &str) -> u32 {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find(|line| line.split(':').next() == Some(name)).expect("the name is there");
    line.split(':').nth(2).unwrap().parse().unwrap()
}
