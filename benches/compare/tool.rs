//! The two tools and how each is called for a piece of work.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cases::{Mode, Rival};
use crate::failure::{Doing, Failure};

/// Whose options a program understands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Rsync,
    Dsync,
}

/// A program under comparison.
pub(crate) struct Tool {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// Its file, without symbolic links, as `/proc` will name it. Both sides run this one.
    pub(crate) program: PathBuf,
    dialect: Dialect,
    /// How it goes about it, if not as by default.
    way: Option<Rival>,
}

/// The work of one run.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) mode: Mode,
    /// Beside `-a`.
    pub(crate) options: &'static [&'static str],
    /// What dsync is given as `--streams`.
    pub(crate) streams: Option<u8>,
    /// Whether dsync goes both ways.
    pub(crate) two_way: bool,
    /// Whether dsync looks for what was renamed.
    pub(crate) detects_renames: bool,
    pub(crate) source: &'a Path,
    pub(crate) destination: &'a Path,
    pub(crate) ssh_config: &'a Path,
    /// The name in the configuration to connect to.
    pub(crate) host: &'a str,
}

impl Tool {
    /// A tool at `program`, a path or a name on `PATH`.
    pub(crate) fn new(name: &'static str, program: &Path, dialect: Dialect) -> Result<Self, Failure> {
        let on_path = |folder: PathBuf| folder.join(program);
        let found = if program.components().count() > 1 {
            Some(program.to_path_buf())
        } else {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&folders).map(on_path).find(|path| path.is_file())
        };
        let found = found.ok_or_else(|| Failure::new(format!("{} is not on the PATH", program.display())))?;
        let program = found.canonicalize().doing(|| format!("Looking for {}", found.display()))?;
        Ok(Self { name, program, dialect, way: None })
    }

    /// The same tool in another way.
    pub(crate) fn in_the_way_of(&self, rival: Rival) -> Self {
        Self { way: Some(rival), program: self.program.clone(), ..*self }
    }

    /// `-a` and the case's options, which mean the same to both: beside these, `--streams` and `--detect-renames`,
    /// which rsync lacks, each tool at its defaults, rsync over OpenSSH at its.
    pub(crate) fn command(&self, job: Job<'_>) -> Command {
        let mut command = Command::new(&self.program);
        // Defaults of the user who runs this are not defaults of the tools.
        for variable in
            ["RSYNC_RSH", "DSYNC_RSH", "RSYNC_PROTECT_ARGS", "RSYNC_OLD_ARGS", "RSYNC_COMPRESS_LIST"]
        {
            command.env_remove(variable);
        }
        command.arg("-a").args(job.options);
        let streams = job.streams.filter(|_| self.way != Some(Rival::OneStream));
        if let (Dialect::Dsync, Some(streams)) = (self.dialect, streams) {
            command.arg(format!("--streams={streams}"));
        }
        if job.detects_renames && self.dialect == Dialect::Dsync {
            command.arg("--detect-renames");
        }
        if self.goes_both_ways(job) {
            command.arg("--two-way");
        }
        if job.mode != Mode::Local {
            match (self.dialect, self.way) {
                (Dialect::Dsync, None | Some(Rival::OneStream)) => {
                    command.arg("--ssh-config").arg(job.ssh_config)
                }
                _ => command.arg("-e").arg(format!("ssh -F {}", job.ssh_config.display())),
            };
            // Both know it by this name.
            command.arg("--rsync-path").arg(&self.program);
        }
        command
            .arg(operand(job.source, (job.mode == Mode::Pull).then_some(job.host)))
            .arg(operand(job.destination, (job.mode == Mode::Push).then_some(job.host)));
        command
    }

    /// Whether it goes both ways for this job.
    pub(crate) fn goes_both_ways(&self, job: Job<'_>) -> bool {
        job.two_way && self.dialect == Dialect::Dsync
    }

    /// The first line of `--version`.
    pub(crate) fn version(&self) -> Result<String, Failure> {
        let told = Command::new(&self.program).arg("--version").output();
        let told = told.doing(|| format!("Running {} --version", self.program.display()))?;
        Ok(String::from_utf8_lossy(&told.stdout).lines().next().unwrap_or_default().trim().to_owned())
    }
}

fn operand(path: &Path, host: Option<&str>) -> OsString {
    let mut text = OsString::new();
    if let Some(host) = host {
        text.push(host);
        text.push(":");
    }
    text.push(path);
    text.push("/");
    text
}
