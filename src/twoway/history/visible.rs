//! Which extended attributes a history knows something of: those that were visible when they were last looked at.

use crate::twoway::TwoWayError;
use crate::twoway::facet::{Facets, Visible};
use crate::twoway::history::change::{Change, Told, WRITING, unwritable};
use crate::twoway::history::{History, Known, READING, VISIBLE, storage};
use redb::ReadTransaction;

pub(super) fn read(txn: &ReadTransaction) -> Result<Visible, TwoWayError> {
    let table = match txn.open_table(VISIBLE) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Visible::ALL),
        Err(error) => return Err(storage(READING)(error)),
    };
    let row = table.get(()).map_err(storage(READING))?;
    row.map_or_else(|| Ok(Visible::ALL), |row| Visible::decode(row.value()))
}

impl History {
    /// The extended attributes of which something is known here.
    pub fn visible(&self) -> &Visible {
        &self.visible
    }

    /// From now on these extended attributes are looked at. If they were others before, what is known of them is
    /// forgotten, in all records: it is the sum of something else, and a difference would be no edit.
    ///
    /// To be called when nothing is intended any more, as intentions were made of what was known.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub(in crate::twoway) fn sees(&mut self, visible: &Visible) -> Result<(), TwoWayError> {
        if self.visible == *visible {
            return Ok(());
        }
        let mut change = Change::begin(self)?;
        for row in change.history.snapshot()?.rows()? {
            let (key, mut known) = row?;
            if forget_xattrs(&mut known) {
                let before = known.sequence;
                change.put(key, known, Told::Anew(Some(before)))?;
            }
        }
        {
            let bytes = visible.encode().map_err(unwritable)?;
            let mut table = change.txn.open_table(VISIBLE).map_err(storage(WRITING))?;
            table.insert((), &*bytes).map_err(storage(WRITING))?;
        }
        change.commit()?;
        self.visible = visible.clone();
        Ok(())
    }
}

/// Returns whether anything was known.
fn forget_xattrs(known: &mut Known) -> bool {
    let extended = &mut known.record.extended;
    let are_known = Facets::XATTRS.iter().any(|facet| extended.get(facet).is_some());
    Facets::XATTRS.iter().for_each(|facet| extended.forget(facet));
    let Some(look) = &mut known.look else { return are_known };
    let were_seen = !look.facets.and(Facets::XATTRS).is_empty();
    look.facets = look.facets.without(Facets::XATTRS);
    are_known || were_seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Stamp;
    use crate::tree::filter::{Action, Rule, Rules};
    use crate::tree::{Gid, Uid};
    use crate::twoway::facet::{Facet, FacetSum, Register};
    use crate::twoway::history::tests::{open, path, record};
    use crate::twoway::history::{Acknowledgement, Look, Partner};
    use crate::twoway::record::{Attributes, Record, State};
    use crate::twoway::version::Author;
    use filetime::FileTime;

    fn without(name: &str) -> Visible {
        let rule = Rule { xattr: true, ..Rule::new(Action::Exclude, name) };
        Visible::by(&Rules::from(vec![rule]))
    }

    fn look(facets: Facets) -> Look {
        let time = FileTime::from_unix_time(5, 6);
        Look { stamp: Stamp { dev: 1, ino: 2, size: 1, mtime: time, ctime: time }, settled: true, facets }
    }

    fn known(facets: Facets, state: State) -> Known {
        let mut record = Record { state, ..record(1, &[(1, 1)]) };
        record.attributes = Attributes { owner: (Some(Uid(7)), Some(Gid(8))), ..record.attributes };
        let register = Register { sum: Some(FacetSum([3; 16])), version: record.content.clone() };
        facets.iter().for_each(|facet| record.extended.set(facet, register.clone()));
        Known::there(record, Some(look(facets)))
    }

    fn extended(history: &History, at: &str) -> (Vec<Facet>, Facets) {
        let known = history.known(&path(at)).unwrap().unwrap();
        let facets = known.record.extended.iter().map(|(facet, _)| facet).collect();
        (facets, known.look.unwrap().facets)
    }

    #[test]
    fn what_was_seen_by_other_rules_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (mut history, _) = open(dir.path()).unwrap();
        let rest = Facets::from_iter([Facet::Acls, Facet::Links]);
        let state = record(1, &[]).state;
        let written = [
            (path("a"), known(Facet::ALL.into_iter().collect(), state.clone())),
            (path("gone"), known(Facets::XATTRS, State::Absent)),
            (path("rest"), known(rest, state)),
        ];
        history.installed(&written, &[], &[]).unwrap();
        let partner =
            Partner { acknowledged: history.sequence(), received: 0, options: Some([0; 32]), token: [0; 16] };
        let author = Author([9; 16]);
        history.acknowledged(&Acknowledgement { author, partner, pending: &[], records: &[] }).unwrap();
        let sequence = history.sequence();

        history.takes_part((false, false));
        history.sees(&without("user.a")).unwrap();
        drop(history);
        let (mut history, _) = open(dir.path()).unwrap();
        assert_eq!(*history.visible(), without("user.a"));
        assert_eq!(extended(&history, "a"), (rest.iter().collect(), rest));
        assert_eq!(extended(&history, "gone"), (Vec::new(), Facets::NONE));
        assert_eq!(extended(&history, "rest"), (rest.iter().collect(), rest));
        let owner = history.known(&path("a")).unwrap().unwrap().record.attributes.owner;
        assert_eq!(owner, (Some(Uid(7)), Some(Gid(8))));
        let mut told = Vec::new();
        let each = &mut |path| {
            told.push(path);
            Ok(())
        };
        assert!(history.changes(sequence, each).unwrap());
        assert_eq!(told, [path("a"), path("gone")]);

        let sequence = history.sequence();
        history.installed(&written[..1], &[], &[]).unwrap();
        history.sees(&without("user.a")).unwrap();
        assert_eq!(history.sequence(), sequence + 1);
        assert!(extended(&history, "a").0.contains(&Facet::Xattrs));
        history.sees(&Visible::ALL).unwrap();
        assert_eq!(extended(&history, "a").0, rest.iter().collect::<Vec<_>>());
        drop(history);
        assert!(open(dir.path()).unwrap().0.visible().is_all());
    }

    #[test]
    fn where_rules_were_never_heeded_all_are_visible() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).unwrap());
        let (mut history, _) = open(dir.path()).unwrap();
        assert!(history.visible().is_all());
        history.sees(&Visible::ALL).unwrap();
        let txn = history.read().unwrap();
        assert!(matches!(txn.open_table(VISIBLE), Err(redb::TableError::TableDoesNotExist(_))));
    }
}
