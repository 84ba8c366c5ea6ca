//! Reading all directories of the destination, for their files.

use crate::pass::sink::Sink;
use crate::pass::sink::moved::index::{Gathering, Index};
use crate::tree::{Kind, Name, RelPath};

impl Sink<'_> {
    /// The files that are here. What cannot be read is left out: whoever is to do something there will tell. Other file
    /// systems are not entered, nor is what belongs to dsync itself or waits in directories for that.
    pub(super) fn walk_here(&self) -> Index {
        let mut gathering = Gathering::default();
        let destination = self.destination.get().filter(|destination| destination.rename.is_none());
        let root = destination.and_then(|destination| Some(destination.root.as_ref()?.dir().clone()));
        let device = root.as_ref().and_then(|root| Some(root.identity().ok()?.0));
        let mut ahead = vec![RelPath::root()];
        while let (Some(root), Some(path)) = (&root, ahead.pop())
            && !self.sender.is_stopped()
        {
            let Ok(dir) = root.open_beneath(&path) else { continue };
            if dir.identity().ok().map(|(device, _)| device) != device {
                continue;
            }
            let Ok(listing) = dir.list() else { continue };
            let is_own =
                |name: &Name| self.context.options.parts().is_some_and(|parts| parts == name.as_bytes());
            let entries = listing.entries.iter().filter(|entry| !crate::fs::is_reserved(entry));
            let (dirs, rest): (Vec<_>, Vec<_>) = entries.partition(|entry| entry.is_dir());
            gathering.add(&path, rest.into_iter().filter(|entry| entry.kind() == Kind::File));
            ahead.extend(dirs.iter().filter(|dir| !is_own(&dir.name)).map(|dir| path.join(&dir.name)));
        }
        gathering.finish()
    }
}
