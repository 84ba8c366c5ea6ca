//! Runs one case in one mode: rsync and dsync in turns, and between the pairs the limit.

use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::cases::{Bounds, Case, Group, Limit, Mode, Rival, TwoWay};
use crate::contents;
use crate::failure::{Doing, Failure};
use crate::limit;
use crate::measure::{self, Observation, Timing};
use crate::scale::Scale;
use crate::server::{COUNTED, DIRECT, Server};
use crate::statistics;
use crate::tool::{Job, Tool};
use crate::verify;

/// All runs of one tool in one case and mode.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) timings: Vec<Timing>,
    pub(crate) observation: Observation,
}

/// All runs of the command that shows what the machine could do.
#[derive(Serialize, Deserialize)]
pub(crate) struct LimitSeries {
    pub(crate) name: String,
    pub(crate) timings: Vec<Timing>,
}

/// All runs of dsync in another way.
#[derive(Serialize, Deserialize)]
pub(crate) struct RivalSeries {
    pub(crate) way: Rival,
    pub(crate) timings: Vec<Timing>,
    /// How many times faster dsync was than in this way, see `statistics::paired_ratio`.
    pub(crate) speedup: f64,
}

/// What the comparison found for one case and mode, and what it is held to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    /// The case's name.
    pub(crate) case: String,
    pub(crate) mode: Mode,
    /// How many times faster dsync was, see `statistics::paired_ratio`.
    pub(crate) ratio: f64,
    pub(crate) rsync: Series,
    pub(crate) dsync: Series,
    /// The other way in which dsync did the same.
    #[serde(default)]
    pub(crate) rival: Option<RivalSeries>,
    pub(crate) limit: Option<LimitSeries>,
    pub(crate) bounds: Bounds,
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

    /// Runs a case in one mode. The observed runs come first, so that every timed run finds the programs in the page
    /// cache.
    pub(crate) fn run(&self, case: &Case, mode: Mode) -> Result<Row, Failure> {
        let (mut rsync, mut dsync, mut rival) = (Series::default(), Series::default(), Series::default());
        rsync.observation = self.observe(&self.rsync, case, mode)?;
        dsync.observation = self.observe(&self.dsync, case, mode)?;
        let mut limit: Option<LimitSeries> = None;
        let pairs = if case.group == Group::Memory { 1 } else { self.pairs };
        for _ in 0..pairs {
            rsync.timings.push(self.time(&self.rsync, case, mode)?);
            dsync.timings.push(self.time(&self.dsync, case, mode)?);
            if let Some(way) = case.rival {
                rival.timings.push(self.time(&self.dsync.in_the_way_of(way), case, mode)?);
            }
            if let Some((mut command, name)) = limit::command(case.limit, self.job(case, mode, DIRECT)) {
                let timing = self.time_limit(&mut command, case)?;
                let new = || LimitSeries { name: name.to_owned(), timings: Vec::new() };
                limit.get_or_insert_with(new).timings.push(timing);
            }
        }
        let ratio = statistics::paired_ratio(&rsync, &dsync);
        let rival = case.rival.map(|way| RivalSeries {
            way,
            speedup: statistics::paired_ratio(&rival, &dsync),
            timings: rival.timings,
        });
        let bounds = case.bounds(mode);
        Ok(Row { case: case.name.to_owned(), mode, ratio, rsync, dsync, rival, limit, bounds })
    }

    fn observe(&self, tool: &Tool, case: &Case, mode: Mode) -> Result<Observation, Failure> {
        self.reset(case)?;
        self.meet(tool, case, mode)?;
        let observation =
            measure::observed(tool, &mut tool.command(self.job(case, mode, COUNTED)), &self.server)?;
        self.verify(tool, case, mode)?;
        Ok(observation)
    }

    fn time(&self, tool: &Tool, case: &Case, mode: Mode) -> Result<Timing, Failure> {
        self.reset(case)?;
        self.meet(tool, case, mode)?;
        let timing = self.after_touching(&mut tool.command(self.job(case, mode, DIRECT)))?;
        self.verify(tool, case, mode)?;
        Ok(timing)
    }

    /// A limit that moves bytes fills an empty destination, one that looks at files needs both sides as the tools leave
    /// them.
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

    /// Lets the two trees of a case that goes both ways meet for the first time, where they are to have met.
    fn meet(&self, tool: &Tool, case: &Case, mode: Mode) -> Result<(), Failure> {
        if case.two_way.is_some() {
            contents::forget(&self.source)?;
        }
        let job = self.job(case, mode, DIRECT);
        if tool.goes_both_ways(job) && case.two_way == Some(TwoWay::Met) {
            measure::timed(&mut tool.command(job), &self.server)?;
        }
        Ok(())
    }

    fn reset(&self, case: &Case) -> Result<(), Failure> {
        self.server.wait_until_idle()?;
        contents::make(&self.destination, case.destination, self.scale)
    }

    fn verify(&self, tool: &Tool, case: &Case, mode: Mode) -> Result<(), Failure> {
        verify::equal(&self.source, &self.destination)
            .doing(|| format!("After {} ({}) by {}", case.name, mode.name(), tool.name))
    }

    /// A case with a path of its own goes over it in every run; the others to `host`.
    fn job<'a>(&'a self, case: &Case, mode: Mode, host: &'a str) -> Job<'a> {
        Job {
            mode,
            options: case.options,
            streams: case.streams,
            two_way: case.two_way.is_some(),
            detects_renames: case.detects_renames,
            source: &self.source,
            destination: &self.destination,
            ssh_config: &self.server.client_config,
            host: case.link.map_or(host, |link| link.host),
        }
    }
}
