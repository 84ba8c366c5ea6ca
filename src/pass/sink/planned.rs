//! What the sink does with a file that was planned, once its content is there: whoever has the plan gives it its name.

use crate::fs::{Error, WriteDir};
use crate::pass::agenda::Place;
use crate::pass::sink::Sink;
use crate::report::ProblemClass;
use crate::tree::{Name, RelPath};

impl Sink<'_> {
    /// Has a file installed by whoever planned it. Returns whether it was; if not, that is told and counted.
    pub(super) fn install_planned(
        &self,
        (path, name): (&RelPath, &Name),
        dir: &WriteDir,
        install: impl FnOnce(&Place<'_>) -> Result<bool, Error>,
    ) -> bool {
        match install(&Place { path, dir, name }) {
            Ok(true) => return true,
            // That was told there.
            Ok(false) => self.tally.count(|totals| totals.count(ProblemClass::Failed)),
            Err(error) => self.tally.failed(path, &error),
        }
        false
    }
}
