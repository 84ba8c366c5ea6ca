//! Steps: of the four records of each, hardly two are different.

use crate::tree::RelPath;
use crate::twoway::exchange::Garbled;
use crate::twoway::packed::{Packable, PackedRecord, Packing, Versions};
use crate::twoway::reconcile::{Pair, Step, Why};
use crate::twoway::record::Record;
use serde::{Deserialize, Serialize};

/// A step without its path.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PackedStep {
    why: Why,
    /// Before on the left, before on the right, after on the left, after on the right.
    records: [Again; 4],
}

/// One of several records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Again {
    New(PackedRecord),
    /// The same as that with this number.
    As(u8),
}

impl Again {
    /// Packs a record that comes after others of the same path.
    pub(super) fn pack<T>(record: &Record, earlier: &[&Record], packing: &mut Packing<T>) -> Again {
        match earlier.iter().position(|earlier| *earlier == record).map(u8::try_from) {
            Some(Ok(number)) => Again::As(number),
            _ => Again::New(packing.pack(record)),
        }
    }

    pub(super) fn unpack(self, earlier: &[&Record], versions: &Versions) -> Result<Record, Garbled> {
        match self {
            Again::New(packed) => versions.unpack(packed),
            Again::As(number) => {
                let earlier = earlier.get(usize::from(number)).copied();
                earlier.cloned().ok_or(Garbled("a record that was not told"))
            }
        }
    }
}

impl Packable for Step {
    type Packed = PackedStep;

    fn path(&self) -> &RelPath {
        &self.path
    }

    fn pack(&self, packing: &mut Packing<PackedStep>) -> PackedStep {
        let Step { why, before, after, .. } = self;
        let [a, b, c, d] = [&before.left, &before.right, &after.left, &after.right];
        let records = [
            Again::pack(a, &[], packing),
            Again::pack(b, &[a], packing),
            Again::pack(c, &[a, b], packing),
            Again::pack(d, &[a, b, c], packing),
        ];
        PackedStep { why: why.clone(), records }
    }

    fn unpack(path: RelPath, packed: PackedStep, versions: &Versions) -> Result<Step, Garbled> {
        let PackedStep { why, records: [a, b, c, d] } = packed;
        let a = a.unpack(&[], versions)?;
        let b = b.unpack(&[&a], versions)?;
        let c = c.unpack(&[&a, &b], versions)?;
        let d = d.unpack(&[&a, &b, &c], versions)?;
        Ok(Step { path, why, before: Pair { left: a, right: b }, after: Pair { left: c, right: d } })
    }
}
