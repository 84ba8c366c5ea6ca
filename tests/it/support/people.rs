//! Hosts whose users have other numbers than here.

use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::{rsh_script, shell_options};
use std::ffi::OsString;
use std::fs;

/// What such a host calls `nobody` and nobody's group; here they are others.
pub(crate) const THERE: u32 = 4_242;
/// A number that is nobody's on either host.
pub(crate) const NAMELESS: u32 = 54_321;

/// Whether such hosts can be had.
pub(crate) fn can_have_hosts() -> bool {
    if !tools::is_root() {
        tools::missing("root, who may give files away");
    }
    tools::is_root() && tools::find("unshare").is_some()
}

/// The options for a remote shell to such a host.
pub(crate) fn host(scene: &Scene) -> Vec<OsString> {
    let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:4242:4242::/:/bin/false\n";
    fs::write(scene.path("passwd"), passwd).unwrap();
    fs::write(scene.path("group"), format!("root:x:0:\n{}:x:4242:\n", group_here().0)).unwrap();
    let root = scene.root().display();
    let mounts = format!("mount --bind {root}/passwd /etc/passwd && mount --bind {root}/group /etc/group");
    let script =
        rsh_script(scene.root(), &format!("exec unshare --mount /bin/sh -c '{mounts} && exec '\"$*\"\n"));
    shell_options(&script)
}

/// The numbers of `nobody` and of nobody's group here.
pub(crate) fn here() -> (u32, u32) {
    (number("/etc/passwd", "nobody").expect("nobody is there"), group_here().1)
}

/// What systems call nobody's group, and its number: Debian and its kin one thing, others another.
fn group_here() -> (&'static str, u32) {
    let found = |name| Some((name, number("/etc/group", name)?));
    ["nogroup", "nobody"].into_iter().find_map(found).expect("nobody has a group")
}

/// The number that a file in the form of passwd(5) or group(5) gives to `name`.
fn number(file: &str, name: &str) -> Option<u32> {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2).unwrap().parse().ok()
}
