//! Steps: of the four records of each, hardly two are different.

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::exchange::Garbled;
use crate::twoway::packed::{Packable, PackedRecord, Packing, Versions};
use crate::twoway::reconcile::{Pair, Step, Why};
use crate::twoway::record::Record;
use serde::{Deserialize, Serialize};

/// A step without its path.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PackedStep {
    why: Why,
    /// Each record once.
    records: Vec<PackedRecord>,
    /// Which it is before on the left and on the right, and after on the left and on the right.
    which: [u8; 4],
    noted: Vec<Side>,
}

impl Packable for Step {
    type Packed = PackedStep;

    fn path(&self) -> &RelPath {
        &self.path
    }

    fn pack(&self, packing: &mut Packing<PackedStep>) -> PackedStep {
        let Step { why, before, after, noted, .. } = self;
        let (records, which) =
            pack_each_once([&before.left, &before.right, &after.left, &after.right], packing);
        PackedStep { why: why.clone(), records, which, noted: noted.clone() }
    }

    fn unpack(path: RelPath, packed: PackedStep, versions: &Versions) -> Result<Step, Garbled> {
        let PackedStep { why, records, which, noted } = packed;
        let [a, b, c, d] = unpack_each(records, which, versions)?;
        let (before, after) = (Pair { left: a?, right: b? }, Pair { left: c?, right: d? });
        Ok(Step { path, why, before, after, noted })
    }
}

/// Packs what differs among the records of one path, and tells which each of them is.
pub(super) fn pack_each_once<T, const N: usize>(
    records: [&Record; N],
    packing: &mut Packing<T>,
) -> (Vec<PackedRecord>, [u8; N]) {
    let mut packed: Vec<(&Record, PackedRecord)> = Vec::with_capacity(N);
    let which = records.map(|record| {
        let place = packed.iter().position(|(known, _)| *known == record).unwrap_or_else(|| {
            packed.push((record, packing.pack(record)));
            packed.len().saturating_sub(1)
        });
        u8::try_from(place).unwrap_or(u8::MAX)
    });
    (packed.into_iter().map(|(_, packed)| packed).collect(), which)
}

/// The records that were packed so.
pub(super) fn unpack_each<const N: usize>(
    records: Vec<PackedRecord>,
    which: [u8; N],
    versions: &Versions,
) -> Result<[Result<Record, Garbled>; N], Garbled> {
    let records = records.into_iter().map(|record| versions.unpack(record));
    let records = records.collect::<Result<Vec<Record>, Garbled>>()?;
    Ok(which
        .map(|place| records.get(usize::from(place)).cloned().ok_or(Garbled("a record that was not told"))))
}
