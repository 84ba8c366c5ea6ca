//! The comparison with rsync: the same work done by both, in turns, with the result of every run verified.
//!
//! ```text
//! cargo bench --bench compare -- --list
//! cargo bench --bench compare -- --quick --pairs 1
//! cargo bench --bench compare -- --mode push --case edits --json edits.json
//! cargo bench --bench compare -- --memory
//! cargo bench --bench compare -- --streams
//! cargo bench --bench compare -- --shell
//! cargo bench --bench compare -- --pairs 5 --json all.json --markdown README.md --svg benches/speed.svg
//! cargo bench --bench compare -- --from all.json --svg again.svg
//! ```
//!
//! It needs rsync, sshd and ssh, about 4 GiB in a tmpfs, and 2.5 GiB of memory beside. How a number comes about:
//! `cases` is the table of what is done, `compare` the order of the runs, `measure` one run, `contents` and `verify`
//! the trees before and after it, `limit` what the machine could do at best, `judge` what is expected, and `report`,
//! `table` and `picture` what comes out.
//!
//! Times of different days or machines do not compare. Only the two tools' times of one pair do.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a harness prints its result")]

mod cases;
mod compare;
mod contents;
mod failure;
mod judge;
mod limit;
mod machine;
mod measure;
mod noise;
mod peaks;
mod picture;
mod process;
mod proxy;
mod report;
mod scale;
mod server;
mod statistics;
mod table;
mod tool;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::cases::{CASES, Case, Group, Mode};
use crate::compare::Comparison;
use crate::failure::{Doing, Failure};
use crate::machine::Machine;
use crate::report::Report;
use crate::scale::Scale;
use crate::server::Server;
use crate::table::Reader;
use crate::tool::{Dialect, Tool};

/// Fewer pairs than this are for trying only.
const PAIRS: u64 = 5;

/// Compare dsync with rsync over a throw-away sshd on this machine.
#[derive(Parser)]
#[command(name = "compare")]
struct Options {
    /// Run only cases whose name contains TEXT; may be repeated
    #[arg(long = "case", value_name = "TEXT")]
    cases: Vec<String>,
    /// Run only this mode; may be repeated
    #[arg(long = "mode", value_enum)]
    modes: Vec<Mode>,
    /// Timed pairs per case and mode
    #[arg(long, default_value_t = PAIRS, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pairs: u64,
    /// Run the memory cases instead, one pair each
    #[arg(long)]
    memory: bool,
    /// Run the cases of several streams over a long path instead
    #[arg(long, conflicts_with = "memory")]
    streams: bool,
    /// Run the cases beside `-e ssh` instead, where the built-in client competes with the ssh program
    #[arg(long, conflicts_with_all = ["memory", "streams"])]
    shell: bool,
    /// Use files of 64 MiB and a tenth of the counts, to try the harness
    #[arg(long)]
    quick: bool,
    /// List the cases and exit
    #[arg(long)]
    list: bool,
    /// Write every single measurement to FILE as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the table to FILE: a new one, or between the marks of one that has them, as README.md
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Draw the picture to FILE
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Run nothing, take what --json wrote to FILE
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Make the trees below DIR, which should be in a tmpfs
    #[arg(long, default_value = "/dev/shm", value_name = "DIR")]
    dir: PathBuf,
    /// Compare this dsync, not the one just built
    #[arg(long, default_value = env!("CARGO_BIN_EXE_dsync"), hide_default_value = true, value_name = "PROGRAM")]
    dsync: PathBuf,
    /// Compare with this rsync
    #[arg(long, default_value = "rsync", value_name = "PROGRAM")]
    rsync: PathBuf,
    /// Call --dsync with rsync's options, to compare rsync with itself
    #[arg(long, hide = true)]
    as_rsync: bool,
    /// Touch this many bytes of memory and exit: the harness calls itself so before each timed run
    #[arg(long, hide = true, value_name = "BYTES")]
    touch_memory: Option<u64>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(bytes) = options.touch_memory {
        measure::touch_here(bytes);
        return ExitCode::SUCCESS;
    }
    // `cargo test` may start benchmarks too, and this one takes an hour.
    if options.list || !options.bench {
        for case in CASES {
            println!("{}{}", case.name, case.group.switch());
        }
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Failure> {
    let report = match &options.from {
        Some(path) => Report::read(path)?,
        None => measured(options)?,
    };
    if options.from.is_some() {
        announce(&report.machine, &report.method);
        for row in &report.rows {
            println!("{}", table::line(row, Reader::Terminal));
        }
    }
    if let Some(path) = &options.json {
        report.write(path)?;
    }
    if let Some(path) = &options.markdown {
        table::write(&report, path)?;
    }
    if let Some(path) = &options.svg {
        picture::write(&report, path)?;
    }
    Ok(judged(&report))
}

fn measured(options: &Options) -> Result<Report, Failure> {
    let scale = if options.quick { Scale::QUICK } else { Scale::FULL };
    let cases = selected(options);
    if cases.is_empty() {
        return Err(Failure::new("No case has such a name; --list tells them"));
    }
    check_plain(&options.dir)?;
    for case in &cases {
        machine::check_room(&options.dir, scale.needs(case))?;
    }
    let directory = tempfile::Builder::new().prefix("dsync-compare.").tempdir_in(&options.dir);
    let directory = directory.doing(|| format!("Making a directory in {}", options.dir.display()))?;
    let dialect = if options.as_rsync { Dialect::Rsync } else { Dialect::Dsync };
    let comparison = Comparison {
        scale,
        pairs: options.pairs,
        rsync: Tool::new("rsync", &options.rsync, Dialect::Rsync)?,
        dsync: Tool::new("dsync", &options.dsync, dialect)?,
        server: Server::start(directory.path())?,
        source: directory.path().join("source"),
        destination: directory.path().join("destination"),
    };
    let machine = Machine::here(&options.dir, &comparison.rsync, &comparison.dsync)?;
    let method = method(options, &comparison);
    announce(&machine, &method);
    let mut rows = Vec::new();
    for case in cases {
        comparison.make_source(case)?;
        for &mode in case.modes.iter().filter(|mode| options.modes.is_empty() || options.modes.contains(mode))
        {
            eprintln!("running: {}, {}", case.name, mode.name());
            let row = comparison.run(case, mode)?;
            println!("{}", table::line(&row, Reader::Terminal));
            rows.push(row);
        }
    }
    Ok(Report { machine, method, rows })
}

/// Prints all that comes before the first line of the table.
fn announce(machine: &Machine, method: &[String]) {
    println!("{}", machine.line());
    for sentence in method {
        println!("* {sentence}");
    }
    println!("\n{}\n\n{}", table::MEANING, table::head(Reader::Terminal));
}

fn selected(options: &Options) -> Vec<&'static Case> {
    let asked =
        [(options.memory, Group::Memory), (options.streams, Group::Streams), (options.shell, Group::Shell)];
    let asked = asked.into_iter().find(|(asked, _)| *asked);
    let group = asked.map_or(Group::Speed, |(_, group)| group);
    let named =
        |case: &Case| options.cases.is_empty() || options.cases.iter().any(|text| case.name.contains(text));
    CASES.iter().filter(|case| case.group == group && named(case)).collect()
}

/// The limits' commands pass paths through a remote shell and the configurations hold them bare.
fn check_plain(directory: &Path) -> Result<(), Failure> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    if directory.is_absolute() && directory.as_os_str().as_encoded_bytes().iter().all(plain) {
        return Ok(());
    }
    Err(Failure::new("--dir takes an absolute path of letters, digits, '.', '_' and '-'"))
}

/// How it is measured.
fn method(options: &Options, comparison: &Comparison) -> Vec<String> {
    let touched = comparison.scale.touched_bytes as f64 / f64::from(1 << 30);
    let pairs = if options.memory { 1 } else { comparison.pairs };
    let mut method = vec![
        format!("{touched} GiB of memory touched and freed before every timed run"),
        format!("pairs per case: {pairs}, rsync and dsync in turns"),
    ];
    if options.quick || !options.memory && options.pairs < PAIRS {
        method.push("FOR TRYING ONLY: smaller sizes or fewer pairs than a table that counts".to_owned());
    }
    method
}

/// Says which aims were missed and which bounds were broken, and fails for a bound.
fn judged(report: &Report) -> ExitCode {
    let missed: Vec<String> = report.rows.iter().flat_map(judge::below_the_aim).collect();
    let broken: Vec<String> = report.rows.iter().flat_map(judge::broken).collect();
    for (what, sentences) in [("Below the aim", &missed), ("Broken bounds", &broken)] {
        if !sentences.is_empty() {
            eprintln!("\n{what}:");
        }
        for sentence in sentences {
            eprintln!("* {sentence}");
        }
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
