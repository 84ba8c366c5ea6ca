//! ACLs and extended attributes on their way to who needs them.
//!
//! A plan has sums of them only. When both sides know what they are to do, each asks for the values that it has not:
//! each of them once, by a path that has it on the other side. They are checked by their sums when they come, and what
//! did not come as it was planned is what changed there meanwhile.

use crate::twoway::TwoWayError;
use crate::twoway::carry::Carrier;
use crate::twoway::exchange::{Conversation, Talk};
use crate::twoway::facet::{Facets, Value};
use crate::twoway::packed::Packing;
use crate::twoway::run::RunError;
use crate::twoway::run::share::{OUT_OF_TURN, Share, Who};

/// Bytes after which values are sent.
const FULL: usize = 256 << 10;

impl Share<'_> {
    /// Each side tells the other what it lacks, the planner first.
    pub(super) fn tell_and_hear_values(
        &self,
        carrier: &Carrier,
        (here, there): (bool, bool),
        conversation: &mut Conversation<'_>,
    ) -> Result<(), RunError> {
        if self.who == Who::Follower && there {
            self.tell_values(conversation)?;
        }
        if here {
            hear_values(carrier, conversation)?;
        }
        if self.who == Who::Planner && there {
            self.tell_values(conversation)?;
        }
        Ok(())
    }

    /// Tells what the other side asks for. What cannot be read is left out.
    fn tell_values(&self, conversation: &mut Conversation<'_>) -> Result<(), RunError> {
        loop {
            let Talk::Lack(batch, is_last) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
            let (mut values, mut size) = (Vec::new(), 0_usize);
            for (path, facets) in batch.needed()? {
                if self.tasks.find(&path).is_none() {
                    continue;
                }
                for facet in facets.and(self.shared.facets).attributes().iter() {
                    let Ok(value) = Value::at(self.root.dir(), &path, facet) else { continue };
                    let bytes = value.encode();
                    size = size.saturating_add(bytes.len());
                    values.push((facet, bytes));
                    if size >= FULL {
                        size = 0;
                        conversation.say(&Talk::Values(std::mem::take(&mut values), false))?;
                    }
                }
            }
            conversation.say(&Talk::Values(values, true))?;
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Asks for what is needed here.
fn hear_values(carrier: &Carrier, conversation: &mut Conversation<'_>) -> Result<(), RunError> {
    let mut packing = Packing::default();
    let mut ask = |packing: &mut Packing<Facets>, is_last| -> Result<(), RunError> {
        conversation.say(&Talk::Lack(packing.take(), is_last))?;
        loop {
            let Talk::Values(values, is_all) = conversation.hear()? else { return Err(OUT_OF_TURN.into()) };
            for (facet, bytes) in values {
                // What is no value is what did not come.
                if let Ok(value) = Value::decode(facet, &bytes) {
                    carrier.is_told(facet, &value).map_err(TwoWayError::at(".dsync/staging"))?;
                }
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
