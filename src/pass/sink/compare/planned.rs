//! An entry that is listed where it was planned what to fetch.

use crate::pass::decide::Update;
use crate::pass::sink::batches::Wanted;
use crate::pass::sink::compare::{Comparison, Current};
use crate::pass::sink::linked::Child;
use crate::pass::{Agenda, PassError, Planned, SMALL};
use crate::tree::{Entry, Kind, Name};

impl Comparison<'_, '_> {
    /// Fetches a file that was planned, whatever is here. Everything else that is listed is let pass.
    pub(super) fn planned(
        &self,
        agenda: &dyn Agenda,
        current: &mut Current,
        index: u32,
        entry: Entry,
    ) -> Result<(), PassError> {
        let sink = self.sink;
        if entry.is_dir() {
            return sink.directories.with(current.id, |dir| {
                dir.unsettled += 1;
                dir.children.insert(index, Child::meant(entry, None));
            });
        }
        let planned = match current.unusable {
            true => None,
            false => agenda.wants(&current.path.join(&entry.name), &entry),
        };
        let Some(Planned { is_new, like }) = planned.filter(|_| entry.kind() == Kind::File) else {
            sink.pass_by(&entry);
            return Ok(());
        };
        let own = current.file(&entry.name);
        // A large file that a killed run had begun goes on with that.
        let leftover = own.is_none()
            && entry.node.size() > SMALL
            && current.file(&crate::fs::stage_name(&entry.name)).is_some();
        let update = Update::planned(is_new);
        let wanted = Wanted { index, entry, own, found: None, like, update };
        self.transfer(current, wanted, leftover).map(|_| ())
    }
}

impl Current {
    /// The file that is here under this name. It only saves sending what it has, so if it cannot be looked at, that is
    /// done without.
    fn file(&self, name: &Name) -> Option<Entry> {
        let own = self.counterpart.dir()?.entry(name).ok()?;
        own.filter(|own| own.kind() == Kind::File)
    }
}
