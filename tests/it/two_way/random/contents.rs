//! What is written somewhere before a run is somewhere after it, and nothing else is.

use super::{Case, Checked, Played, check};
use crate::two_way::model::{Node, What};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// All contents of files and targets of links at and below a directory.
pub(super) fn gather(directory: &Path, found: &mut BTreeSet<Vec<u8>>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            found.insert(fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec());
        } else if path.is_dir() {
            gather(&path, found);
        } else {
            found.insert(fs::read(path).unwrap());
        }
    }
}

fn contents(tree: &Node) -> BTreeSet<&Vec<u8>> {
    tree.below()
        .into_values()
        .filter_map(|node| match &node.what {
            What::File(content) | What::Link(content) => Some(content),
            What::Dir(_) => None,
        })
        .collect()
}

/// Invariant 5: what was there is in the trees or the trash; and in the trees, if it was an edit and no policy gave it
/// up.
pub(super) fn no_loss(case: &Case, played: &Played) -> Checked<()> {
    let in_trees: BTreeSet<&Vec<u8>> = played.after.iter().flat_map(contents).collect();
    let base = played.base.below();
    for (path, node) in played.before.iter().flat_map(Node::below) {
        let (What::File(content) | What::Link(content)) = &node.what else { continue };
        let is_edit = base.get(&path).is_none_or(|base| !base.same_content(node));
        let gives_nothing_up = ["skip", "keep-both"].contains(&case.policy);
        let kept =
            in_trees.contains(content) || (played.trash.contains(content) && !(is_edit && gives_nothing_up));
        check!(kept, "{path} with {:?} is lost: {}", String::from_utf8_lossy(content), played.output);
    }
    Ok(())
}

/// Invariant 6.
pub(super) fn no_invention(played: &Played) -> Checked<()> {
    let known: BTreeSet<&Vec<u8>> = played.before.iter().flat_map(contents).collect();
    let paths: BTreeSet<String> = played.before.iter().flat_map(|tree| tree.below().into_keys()).collect();
    for tree in &played.after {
        check!(contents(tree).is_subset(&known), "something was made up: {}", played.output);
        let new = tree.below().into_keys().find(|path| !paths.contains(path) && !path.contains(".conflict-"));
        check!(new.is_none(), "{new:?} was made up: {}", played.output);
    }
    Ok(())
}
