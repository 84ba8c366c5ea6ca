//! The command line: the only part that parses flags, reads the environment, prints, prompts and exits.
//!
//! A run passes through here in two stages. `flags` parses the words, `resolve` makes of them the
//! [`session::Run`] and how its output looks. Everything after that happens in the library, which talks back through
//! what is handed to it: `output` shows events, `progress` draws the bar, `prompt` asks questions, `signals`
//! stops the run; `overseer` shows the plan of a two-way run and asks about its conflicts. `failure` turns the end into
//! last words and an exit code. The commands that look back at two-way runs have a way of their own, in `look`.

mod askpass;
mod environment;
mod failure;
mod flags;
mod look;
mod output;
mod overseer;
mod plan_file;
mod progress;
mod prompt;
mod resolve;
mod signals;
mod terminal;
mod version;

pub use self::flags::command;

use self::askpass::LoginPrompter;
use self::environment::Environment;
use self::failure::{FILE_IO, Failure, with_sources};
use self::flags::Flags;
use self::output::moment::Clock;
use self::output::size::Numbers;
use self::output::{Log, Printer, Screen, Style};
use self::overseer::{Dialogue, TerminalOverseer};
use self::progress::Bar;
use self::prompt::TerminalPrompter;
use crate::report::{Progress, without_numbers};
use crate::session::{self, Cancel, Run, Surroundings};
use crate::transport::pipe;
use crate::tree::Escaped;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Does what the command line of this process asks for.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let screen = Arc::new(Screen::new());
    let mut code = obey(&arguments, &screen).unwrap_or_else(|failure| {
        screen.err(&format!("{failure}\n"));
        failure.code()
    });
    screen.flush();
    if let Some(error) = screen.take_out_error() {
        screen.err(&without_numbers(&format!("dsync: writing to standard output: {error}\n")));
        code = if code == 0 { FILE_IO } else { code };
    }
    ExitCode::from(code)
}

/// Does what the arguments ask for and returns the exit code.
fn obey(arguments: &[OsString], screen: &Arc<Screen>) -> Result<u8, Failure> {
    #[cfg(feature = "crash-points")]
    crate::twoway::crash::arm(environment::crash_at().unwrap_or(0));
    if arguments.is_empty() {
        screen.err(&format!("{}\n", flags::short_usage()));
        return Ok(failure::USAGE);
    }
    let compared = look::comparison(arguments);
    let arguments = match &compared {
        Some(dry_run) => dry_run,
        None if look::is_command(arguments) => return look::obey(arguments, screen),
        None => arguments,
    };
    let flags = Flags::parse(arguments)?;
    if let Some(text) = told(&flags) {
        screen.out(&text);
        return Ok(0);
    }
    if let Some(kind) = &flags.generate {
        screen.out(&flags::generate(kind)?);
        return Ok(0);
    }
    if flags.executable_sum {
        let executable = environment::executable().unwrap_or_default();
        screen.out(&(session::executable_sum(executable.as_os_str())? + "\n"));
        return Ok(0);
    }
    if flags.server {
        return serve(&flags);
    }
    let manner = resolve::manner(&flags).map(|manner| screen.set_manner(manner));
    // Before signals are caught: opening a pipe may wait for whoever reads it, and must end with Ctrl-C.
    // If it is not known how paths are followed, the run does not begin, for that very reason.
    let paths = resolve::paths(&flags).ok();
    let log = resolve::log_file(&flags).zip(paths).and_then(|(path, paths)| open_log(path, paths, screen));
    let environment = Environment::read();
    let resolved = manner.and_then(|()| resolve::resolve(&flags, &environment));
    let (run, style) =
        resolved.inspect_err(|failure| tell_refusal(failure, flags.json, log.as_ref(), screen))?;
    transfer(&run, style, log, flags.plan, environment, screen)
}

/// Tells the log, and programs that read JSON, of a run that cannot begin.
fn tell_refusal(failure: &Failure, json: bool, log: Option<&Log>, screen: &Screen) {
    let message = failure.to_string();
    if let Some(log) = log {
        log.write(&message);
    }
    if json {
        screen.out(&output::json::failure(&message, failure.code()));
    }
}

/// The text for flags that only ask for one.
fn told(flags: &Flags) -> Option<String> {
    let asks_for_help = |values: &[String]| values.iter().any(|value| output::asks_for_help(value));
    if flags.help {
        Some(flags::help())
    } else if flags.version > 0 {
        Some(if flags.version > 1 { version::json() } else { version::text() })
    } else if asks_for_help(&flags.info) {
        Some(output::info_help())
    } else if asks_for_help(&flags.debug) {
        Some(output::debug_help())
    } else {
        None
    }
}

/// Plays the peer. Nothing but the protocol may reach standard output, so it is not handed to a [`Printer`].
fn serve(flags: &Flags) -> Result<u8, Failure> {
    // Before there are other threads.
    let terms = match flags.operands.is_empty() {
        true => resolve::terms(flags),
        false => Err(Failure::usage("--server takes no operands")),
    };
    let (terms, unfit) = match terms {
        Ok(terms) => (Ok(terms), None),
        // Somebody tries it by hand.
        Err(failure) if io::stdin().is_terminal() => return Err(failure),
        // Whoever asks is to hear it, and not only that something ended.
        Err(failure) => (Err(failure.unserved()), Some(failure)),
    };
    // The descriptors themselves, because the buffers of the standard library sit in the way of a protocol.
    let stream = |fd: io::Result<std::os::fd::OwnedFd>| fd.map(File::from);
    let input = stream(io::stdin().as_fd().try_clone_to_owned());
    let output = stream(io::stdout().as_fd().try_clone_to_owned());
    let no_stream = |error: io::Error| Failure::of(FILE_IO, &error);
    let cancel = Cancel::new();
    signals::install(cancel.clone(), None).map_err(|error| Failure::of(FILE_IO, &error))?;
    let (input, output) = (input.map_err(no_stream)?, output.map_err(no_stream)?);
    pipe::widen(&input);
    pipe::widen(&output);
    let served = session::serve(input, output, &environment::meeting_folders(), terms, &cancel);
    match (served, unfit) {
        (Ok(()), _) => Ok(0),
        // It says so itself, and would show the same words once more.
        (Err(failure), _) if failure.is_told() => Ok(Failure::from(failure).code()),
        // Nobody was there to hear it.
        (Err(_), Some(unfit)) => Err(unfit),
        // The asking side knows better than its peer why it went away.
        (Err(failure), None) if failure.is_lost() => Ok(failure::STREAM),
        (Err(failure), None) => Err(failure.into()),
    }
}

/// Makes a run and shows it.
fn transfer(
    run: &Run,
    style: Style,
    log: Option<Log>,
    plan_file: Option<PathBuf>,
    environment: Environment,
    screen: &Arc<Screen>,
) -> Result<u8, Failure> {
    let cancel = Cancel::new();
    signals::install(cancel.clone(), Some(Arc::clone(screen)))
        .map_err(|error| Failure::of(FILE_IO, &error))?;
    if let Some(end) = run.ends {
        let cancel = cancel.clone();
        let waits = move || wait_until(end, &cancel);
        let spawned = std::thread::Builder::new().name("clock".to_owned()).spawn(waits);
        spawned.map_err(|error| Failure::of(FILE_IO, &error))?;
    }
    let progress = Arc::new(Progress::default());
    let numbers = Numbers::new(style.human.max(2));
    let is_explained = !run.options.explain.is_empty();
    let bar = match style.progress {
        _ if is_explained => None,
        true if style.json.is_some() => Bar::lines(&progress, screen).ok(),
        true => Bar::start(&progress, screen, numbers).ok(),
        false => None,
    };
    let prompter = Arc::new(TerminalPrompter::new(Arc::clone(screen)));
    let dialogue = style
        .two_way
        .clone()
        .map(|two_way| Dialogue::new(prompter.clone(), two_way, Numbers::new(style.human), Clock::local()));
    let printer = Arc::new(Printer::new(style, Arc::clone(screen), log));
    let overseer =
        TerminalOverseer { printer: printer.clone(), screen: Arc::clone(screen), dialogue, plan_file };
    let surroundings = Surroundings {
        reporter: printer.clone(),
        prompter: Arc::new(LoginPrompter { terminal: prompter, askpass: environment.askpass }),
        overseer: Arc::new(overseer),
        progress,
        environment: environment.ssh,
        cancel,
    };
    let failed = |failure: session::Failure| {
        let failure = Failure::from(failure);
        printer.fail(&failure.to_string(), failure.code());
        failure
    };
    if is_explained {
        let explained = session::explain(run, &surroundings);
        printer.finish_remote();
        explained.map_err(failed)?.iter().for_each(|explained| printer.explain(explained));
        return Ok(0);
    }
    let ended = session::run(run, &surroundings);
    if ended.is_ok() {
        printer.head();
    }
    if let Some(bar) = bar {
        bar.finish(ended.is_ok());
    }
    printer.finish_remote();
    let outcome = ended.map_err(failed)?;
    let code = failure::code_of(&outcome);
    printer.finish(&outcome, code);
    if code != 0 {
        let last = failure::last_line(code);
        printer.log(&last);
        screen.err(&format!("{last}\n"));
    }
    Ok(code)
}

/// Stops a run when its time is up.
fn wait_until(end: SystemTime, cancel: &Cancel) {
    /// The clock may be set meanwhile, and a machine may sleep.
    const AT_MOST: Duration = Duration::from_secs(1);
    while let Ok(left) = end.duration_since(SystemTime::now()) {
        if left.is_zero() {
            break;
        }
        std::thread::sleep(left.min(AT_MOST));
    }
    cancel.time_is_up();
}

/// Opens the log. A run without one is better than none, as rsync has it.
fn open_log(path: &OsStr, paths: session::Paths, screen: &Screen) -> Option<Log> {
    let log = Log::open(path, paths).map_err(|error| {
        let (path, error) = (Escaped(path.as_bytes()), with_sources(&error));
        screen.err(&format!("dsync: opening the log {path}: {error}; going on without it\n"));
    });
    log.ok()
}
