//! Runs one case in one mode: rsync and dsync in turns, and between the pairs the limit.

use std::path::PathBuf;
use std::process::Command;

use crate::cases::{Case, Group, Limit, Mode};
use crate::contents;
use crate::failure::{Doing, Failure};
use crate::limit;
use crate::measure::{self, Observation, Timing};
use crate::scale::Scale;
use crate::server::{COUNTED, DIRECT, Server};
use crate::tool::{Job, Tool};
use crate::verify;

/// All runs of one tool in one case and mode.
#[derive(Default)]
pub(crate) struct Series {
    pub(crate) timings: Vec<Timing>,
    pub(crate) observation: Observation,
}

/// What the comparison found for one case and mode.
pub(crate) struct Row {
    pub(crate) case: &'static Case,
    pub(crate) mode: Mode,
    pub(crate) rsync: Series,
    pub(crate) dsync: Series,
    /// The limit's name and its runs.
    pub(crate) limit: Option<(&'static str, Vec<Timing>)>,
}

/// Where and with what the work is done.
pub(crate) struct Comparison {
    pub(crate) scale: Scale,
    /// Timed pairs of a case whose time matters.
    pub(crate) pairs: u64,
    pub(crate) rsync: Tool,
    pub(crate) dsync: Tool,
    pub(crate) server: Server,
    pub(crate) source: PathBuf,
    pub(crate) destination: PathBuf,
}

impl Comparison {
    /// Makes the source of a case, which stays for all its modes.
    pub(crate) fn make_source(&self, case: &Case) -> Result<(), Failure> {
        contents::make(&self.source, case.source, self.scale)
    }

    /// Runs a case in one mode. The observed runs come first, so that every timed run finds the programs in the page cache.
    pub(crate) fn run(&self, case: &'static Case, mode: Mode) -> Result<Row, Failure> {
        let (mut rsync, mut dsync) = (Series::default(), Series::default());
        rsync.observation = self.observe(&self.rsync, case, mode)?;
        dsync.observation = self.observe(&self.dsync, case, mode)?;
        let mut limit: Option<(&'static str, Vec<Timing>)> = None;
        let pairs = if case.group == Group::Memory { 1 } else { self.pairs };
        for _ in 0..pairs {
            rsync.timings.push(self.time(&self.rsync, case, mode)?);
            dsync.timings.push(self.time(&self.dsync, case, mode)?);
            if let Some((mut command, name)) = limit::command(case.limit, self.job(mode, DIRECT)) {
                let timing = self.time_limit(&mut command, case)?;
                limit.get_or_insert_with(|| (name, Vec::new())).1.push(timing);
            }
        }
        Ok(Row { case, mode, rsync, dsync, limit })
    }

    fn observe(&self, tool: &Tool, case: &Case, mode: Mode) -> Result<Observation, Failure> {
        self.reset(case)?;
        let observation = measure::observed(tool, &mut tool.command(self.job(mode, COUNTED)), &self.server)?;
        self.verify(tool, case, mode)?;
        Ok(observation)
    }

    fn time(&self, tool: &Tool, case: &Case, mode: Mode) -> Result<Timing, Failure> {
        self.reset(case)?;
        let timing = self.after_touching(&mut tool.command(self.job(mode, DIRECT)))?;
        self.verify(tool, case, mode)?;
        Ok(timing)
    }

    /// A limit that moves bytes fills an empty destination, one that looks at files needs both sides as the tools leave them.
    fn time_limit(&self, command: &mut Command, case: &Case) -> Result<Timing, Failure> {
        if case.limit != Limit::Stat {
            self.reset(case)?;
        }
        self.after_touching(command)
    }

    fn after_touching(&self, command: &mut Command) -> Result<Timing, Failure> {
        self.server.wait_until_idle()?;
        measure::touch_memory(self.scale.touched_bytes)?;
        measure::timed(command, &self.server)
    }

    fn reset(&self, case: &Case) -> Result<(), Failure> {
        self.server.wait_until_idle()?;
        contents::make(&self.destination, case.destination, self.scale)
    }

    fn verify(&self, tool: &Tool, case: &Case, mode: Mode) -> Result<(), Failure> {
        verify::equal(&self.source, &self.destination)
            .doing(|| format!("After {} ({}) by {}", case.name, mode.name(), tool.name))
    }

    fn job<'a>(&'a self, mode: Mode, host: &'a str) -> Job<'a> {
        Job {
            mode,
            source: &self.source,
            destination: &self.destination,
            ssh_config: &self.server.client_config,
            host,
        }
    }
}
