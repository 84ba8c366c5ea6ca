//! Watches over two-way runs for the person at the terminal: shows the plan, and settles the conflicts that somebody
//! has to be asked about.

mod dialogue;
mod diff;
mod merge;

pub(super) use self::dialogue::Dialogue;

use crate::cli::output::{Printer, Screen};
use crate::cli::plan_file;
use crate::report::{Event, Reporter};
use crate::twoway::plan::Plan;
use crate::twoway::policy::Policy;
use crate::twoway::run::{Answer, Asked, Overseer, Stopped};
use std::path::PathBuf;
use std::sync::Arc;

/// Tells and asks the person who started the run.
pub(super) struct TerminalOverseer {
    /// Shows the plan, and what went wrong with a merge.
    pub printer: Arc<Printer>,
    /// Lends the terminal to merge commands.
    pub screen: Arc<Screen>,
    /// Asks about conflicts, in a two-way run.
    pub dialogue: Option<Dialogue>,
    /// Where the plan is to be written.
    pub plan_file: Option<PathBuf>,
}

impl Overseer for TerminalOverseer {
    fn planned(&self, plan: &Plan) -> Result<(), Stopped> {
        self.printer.plan(plan);
        match &self.plan_file {
            Some(path) => plan_file::write(plan, path)
                .map_err(|error| Stopped(format!("writing the plan to {}: {error}", path.display()))),
            None => Ok(()),
        }
    }

    fn resolve(&self, asked: &Asked<'_>) -> Result<Answer, Stopped> {
        let notice = |text: String| self.printer.report(Event::Notice(text));
        match asked.policy {
            Policy::Ask => match &self.dialogue {
                Some(dialogue) => dialogue.resolve(asked, &notice),
                None => Ok(Answer::Skip),
            },
            Policy::Merge(command) => {
                let run = |command: &mut std::process::Command| self.screen.aside(|| command.status());
                let merged = merge::merge(command, asked, &run);
                Ok(merged.unwrap_or_else(|why| {
                    notice(format!("not merged: {}: {why}", asked.conflict.path));
                    Answer::Skip
                }))
            }
            // What a policy decides by itself is not asked about.
            _ => Ok(Answer::Skip),
        }
    }
}
