//! ACLs and extended attributes on their way to who needs them.
//!
//! A plan has sums of them only. When both sides know what they are to do, each asks for the values that it has not:
//! each of them once, by a path that has it on the other side. They are checked by their sums when they come, and what
//! did not come as it was planned is what changed there meanwhile.

use crate::pass::{OwnerMap, PassError};
use crate::twoway::TwoWayError;
use crate::twoway::carry::Carrier;
use crate::twoway::exchange::{Conversation, Talk};
use crate::twoway::facet::{Facets, Value};
use crate::twoway::packed::{Packing, TellingValues};
use crate::twoway::run::RunError;
use crate::twoway::run::share::{OUT_OF_TURN, Share, Who};

/// Bytes after which values are sent.
const FULL: usize = 256 << 10;

impl Share<'_> {
    /// Each side tells the other what it lacks, the planner first.
    pub(super) fn tell_and_hear_values(
        &self,
        (carrier, owners): (&Carrier, &OwnerMap),
        (here, there): (bool, bool),
        conversation: &mut Conversation<'_>,
    ) -> Result<(), RunError> {
        if self.who == Who::Follower && there {
            self.tell_values((carrier, owners), conversation)?;
        }
        if here {
            hear_values(carrier, owners, conversation)?;
        }
        if self.who == Who::Planner && there {
            self.tell_values((carrier, owners), conversation)?;
        }
        Ok(())
    }

    /// Tells what the other side asks for. What cannot be read is left out.
    fn tell_values(
        &self,
        (carrier, owners): (&Carrier, &OwnerMap),
        conversation: &mut Conversation<'_>,
    ) -> Result<(), RunError> {
        loop {
            let Talk::Lack(batch, is_last) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
            let mut values = TellingValues::default();
            for (path, facets) in batch.needed()? {
                if self.tasks.find(&path).is_none() {
                    continue;
                }
                for facet in facets.and(self.shared.facets).attributes().iter() {
                    let value = Value::at(self.root.dir(), &path, (facet, carrier.visible()));
                    let Ok(value) = value else { continue };
                    values.add(facet, &value);
                    if values.size() >= FULL {
                        conversation.say(&Talk::Values(values.take(owners), false))?;
                    }
                }
            }
            conversation.say(&Talk::Values(values.take(owners), true))?;
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Asks for what is needed here.
fn hear_values(
    carrier: &Carrier,
    owners: &OwnerMap,
    conversation: &mut Conversation<'_>,
) -> Result<(), RunError> {
    let mut packing = Packing::default();
    let mut ask = |packing: &mut Packing<Facets>, is_last| -> Result<(), RunError> {
        conversation.say(&Talk::Lack(packing.take(), is_last))?;
        loop {
            let Talk::Values(values, is_all) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
            // What is no value is what did not come.
            for (facet, value) in values.hear(owners).map_err(PassError::from)? {
                carrier.is_told(facet, &value).map_err(TwoWayError::at(".dsync/staging"))?;
            }
            if is_all {
                return Ok(());
            }
        }
    };
    for (path, facets) in carrier.lacks() {
        packing.add(&path, facets);
        if packing.is_full() {
            ask(&mut packing, false)?;
        }
    }
    ask(&mut packing, true)
}
