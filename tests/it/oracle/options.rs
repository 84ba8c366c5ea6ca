//! Which options a case runs with, and what each must show for itself.

mod further;
mod rules;

pub(super) use self::rules::{is_rule_file, rule_files};

use crate::oracle::exclusions;
use crate::oracle::random::Random;
use crate::support::tools;
use crate::support::tree::Tree;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// What of a run an option changes, and thereby what proves that the cases put it to the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// What is at the destination afterwards, or the exit code.
    State,
    /// What is printed.
    Output,
    /// The numbers of bytes in `--stats`.
    Traffic,
}

/// An option as drawn, with its value.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// The option as the coverage counts it.
    pub(crate) name: &'static str,
    pub(crate) effect: Effect,
    argument: Argument,
}

#[derive(Debug, Clone)]
enum Argument {
    Words(Vec<OsString>),
    /// The option is given so many directories to compare with.
    Bases(usize),
    /// The option is given the name of a file with these lines.
    File(Vec<Vec<u8>>),
}

impl Choice {
    pub(super) fn deletes_first(&self) -> bool {
        self.says("--delete-before")
    }

    /// Whether this is one of its words.
    pub(super) fn says(&self, word: &str) -> bool {
        matches!(&self.argument, Argument::Words(words) if words.iter().any(|said| said == word))
    }

    /// Whether it names files of rules that are looked for further up, too.
    pub(super) fn looks_above(&self) -> bool {
        let has_slash = |words: &[OsString]| words.iter().any(|word| word.as_encoded_bytes().contains(&b'/'));
        match &self.argument {
            Argument::Words(words) if self.name == "dir-merge" => has_slash(words),
            _ => self.name == "-F",
        }
    }
}

/// All options that are drawn, so that one that never is cannot go unnoticed.
pub(super) const ALL: &[(&str, Effect)] = &[
    ("-a", Effect::State),
    ("-r", Effect::State),
    ("-l", Effect::State),
    ("-p", Effect::State),
    ("-E", Effect::State),
    ("-A", Effect::State),
    ("-X", Effect::State),
    ("--no-super", Effect::State),
    ("-t", Effect::State),
    ("-o", Effect::State),
    ("-g", Effect::State),
    ("-D", Effect::State),
    ("-H", Effect::State),
    ("-n", Effect::State),
    ("-c", Effect::State),
    ("-u", Effect::State),
    ("-I", Effect::State),
    ("--size-only", Effect::State),
    ("--max-size", Effect::State),
    ("--min-size", Effect::State),
    ("-@", Effect::State),
    ("-O", Effect::State),
    ("-J", Effect::State),
    ("--chmod", Effect::State),
    ("--chown", Effect::State),
    ("--usermap", Effect::State),
    ("--groupmap", Effect::State),
    ("--existing", Effect::State),
    ("--ignore-existing", Effect::State),
    ("--inplace", Effect::State),
    ("--append", Effect::State),
    ("--append-verify", Effect::State),
    ("--delete", Effect::State),
    ("--delete-excluded", Effect::State),
    ("--delete-after", Effect::Output),
    ("--max-delete", Effect::State),
    ("--force", Effect::State),
    ("-b", Effect::State),
    ("--suffix", Effect::State),
    ("--backup-dir", Effect::State),
    ("--compare-dest", Effect::State),
    ("--copy-dest", Effect::Traffic),
    ("--link-dest", Effect::State),
    ("--exclude", Effect::State),
    ("--include", Effect::State),
    ("--exclude-from", Effect::State),
    ("--include-from", Effect::State),
    ("-f", Effect::State),
    ("-F", Effect::State),
    ("dir-merge", Effect::State),
    ("-C", Effect::State),
    ("-m", Effect::State),
    ("-v", Effect::Output),
    ("-vv", Effect::Output),
    ("-q", Effect::Output),
    ("-i", Effect::Output),
    ("--out-format", Effect::Output),
    ("--info", Effect::Output),
    ("-8", Effect::Output),
    ("-h", Effect::Output),
    ("--no-h", Effect::Output),
    ("--stats", Effect::Output),
    ("-P", Effect::Output),
    ("--no-whole-file", Effect::Traffic),
    ("-B", Effect::Traffic),
    ("-z", Effect::Traffic),
    ("-W", Effect::Traffic),
    ("-d", Effect::State),
    ("-R", Effect::State),
    ("--files-from", Effect::State),
    ("-0", Effect::State),
    ("--ignore-missing-args", Effect::State),
    ("--delete-missing-args", Effect::State),
    ("-L", Effect::State),
    ("--copy-unsafe-links", Effect::State),
    ("--safe-links", Effect::State),
    ("-k", Effect::State),
    ("-K", Effect::State),
    ("--munge-links", Effect::State),
    ("--no-implied-dirs", Effect::State),
    ("--devices", Effect::State),
    ("--specials", Effect::State),
    ("--no-devices", Effect::State),
    ("--copy-devices", Effect::State),
    ("--fake-super", Effect::State),
    ("-U", Effect::State),
    ("-f-x", Effect::State),
    ("--ignore-errors", Effect::State),
    ("--remove-source-files", Effect::State),
    ("--list-only", Effect::State),
    ("--mkpath", Effect::State),
    ("-x", Effect::State),
    ("-xx", Effect::State),
];

/// Those that name directories to compare with.
pub(super) const BASES: [&str; 3] = ["--compare-dest", "--copy-dest", "--link-dest"];

/// How the sources are named, which decides what options there must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Naming<'a> {
    /// As directories or entries.
    Plain,
    /// By paths that are to be kept.
    Paths,
    /// In a list with these names.
    List(&'a [Vec<u8>]),
}

/// What must do no harm between two directories of one host, and can do nothing else there: each case comes with some
/// of it. Its effects are tested where they show.
const HARMLESS: [&str; 9] = [
    "--partial",
    "--numeric-ids",
    "--bwlimit=0",
    "--bwlimit=100m",
    "--timeout=0",
    "--timeout=50",
    "--checksum-choice=md5",
    "--checksum-choice=auto",
    "--no-partial",
];

/// Some of the options that do no harm.
pub(super) fn harmless(random: &mut Random) -> Vec<OsString> {
    HARMLESS.iter().filter(|_| random.chance(12)).map(OsString::from).collect()
}

/// How content travels and is written, which changes nothing about what arrives.
fn all_writing() -> [OsString; 14] {
    // On the file system of the trees: from another one, both tools copy, each in its way.
    let mut elsewhere = OsString::from("--temp-dir=");
    elsewhere.push(std::env::temp_dir());
    [
        "--preallocate".into(),
        "--fsync".into(),
        elsewhere,
        "--zc=lz4".into(),
        "--zc=none".into(),
        "--cc=xxh64".into(),
        "--cc=xxh3".into(),
        "--cc=sha1,md5".into(),
        "--checksum-seed=7".into(),
        "--skip-compress=c/o".into(),
        "--compress-threads=2".into(),
        "--max-alloc=1g".into(),
        "--stop-after=60".into(),
        "--stop-at=2035-01-01T00:00".into(),
    ]
}

/// The same where files are not written in place. In a directory for all, rsync loses files of one name that wait.
const STAGED: [&[&str]; 4] = [
    &["--delay-updates"],
    &["--partial-dir=.rsync-partial"],
    &["--partial-dir=/tmp/no-parts"],
    &["--delay-updates", "--partial-dir=.rsync-partial"],
];

/// Some options about writing that go with these.
pub(super) fn writing(random: &mut Random, choices: &[Choice]) -> Vec<OsString> {
    let mut words: Vec<OsString> = all_writing().into_iter().filter(|_| random.chance(8)).collect();
    let grows = has(choices, "--append") || has(choices, "--append-verify");
    if !grows && !has(choices, "--inplace") && random.chance(30) {
        words.extend(random.pick(&STAGED).iter().map(OsString::from));
    }
    // With --append, rsync loses the start of the file.
    if !grows && random.chance(10) {
        words.push("-S".into());
    }
    // With --append, rsync leaves out a new file that is no longer than the one like it, and without -p it may give a
    // new file the permissions of that.
    if !grows && (has(choices, "-p") || has(choices, "-a")) && random.chance(15) {
        words.push(random.pick(&["-y", "-yy"]).into());
    }
    words
}

/// Options of dsync alone that change nothing, for the case of a seed.
pub(super) fn own(seed: u64) -> Option<OsString> {
    let words = ["", "--reflink=never", "--reflink=auto"];
    let word = Random::new(!seed ^ 0xa5a5).pick(&words).to_string();
    (!word.is_empty()).then(|| word.into())
}

impl Choice {
    /// What the option stands for on the command line; the files it names are in `directory`, by `number`.
    pub(crate) fn words(&self, directory: &Path, number: usize) -> Vec<OsString> {
        match &self.argument {
            Argument::Words(words) => words.clone(),
            Argument::Bases(count) => (0..*count)
                .flat_map(|basis| [self.name.into(), directory.join(format!("basis-{basis}")).into()])
                .collect(),
            Argument::File(_) => vec![self.name.into(), directory.join(format!("rules-{number}")).into()],
        }
    }

    /// Writes the file that the option names, if it names one.
    pub(crate) fn write(&self, directory: &Path, number: usize) {
        if let Argument::File(lines) = &self.argument {
            fs::write(directory.join(format!("rules-{number}")), lines.join(&b'\n')).unwrap();
        }
    }
}

/// Draws options that make sense together, rules in an order in which they do. Names for patterns are taken from
/// `tree`.
pub(crate) fn draw(random: &mut Random, tree: &Tree) -> Vec<Choice> {
    let mut drawn = Drawn { choices: Vec::new(), random, tree };
    drawn.attributes();
    drawn.others();
    let Drawn { choices, .. } = drawn;
    choices
}

/// As [`draw`], with options about what the sources show, which are named in this way.
pub(super) fn draw_named(random: &mut Random, tree: &Tree, naming: Naming<'_>) -> Vec<Choice> {
    let mut drawn = Drawn { choices: Vec::new(), random, tree };
    drawn.attributes();
    drawn.naming(naming);
    drawn.links();
    drawn.others();
    drawn.apart(|drawn| drawn.further(naming));
    drawn.choices
}

/// Whether `name` is among the choices.
pub(super) fn has(choices: &[Choice], name: &str) -> bool {
    choices.iter().any(|choice| choice.name == name)
}

struct Drawn<'a> {
    choices: Vec<Choice>,
    random: &'a mut Random,
    tree: &'a Tree,
}

impl Drawn<'_> {
    fn push(&mut self, name: &'static str, argument: Argument) {
        let (_, effect) =
            *ALL.iter().find(|(known, _)| *known == name).expect("every option drawn is in the list");
        self.choices.push(Choice { name, effect, argument });
    }

    fn flag(&mut self, percent: usize, name: &'static str) {
        if self.random.chance(percent) {
            self.push(name, Argument::Words(vec![name.into()]));
        }
    }

    fn value(&mut self, percent: usize, name: &'static str, values: &[&str]) {
        if self.random.chance(percent) {
            let word = format!("{name}={}", self.random.pick(values));
            self.push(name, Argument::Words(vec![word.into()]));
        }
    }

    fn attributes(&mut self) {
        self.changed_attributes();
        self.kept_attributes();
        let is_mapped = ["--chown", "--usermap", "--groupmap"].iter().any(|map| has(&self.choices, map));
        // rsync makes ACLs that name somebody twice of those that name two who are mapped to one.
        self.flag(if is_mapped { 0 } else { 40 }, "-A");
        // Without -p, rsync gives an entry that gets other attributes also the permissions of the source.
        let perms = ["-a", "-p", "-A"].iter().any(|flag| has(&self.choices, flag));
        self.flag(if perms { 50 } else { 0 }, "-X");
        // Not being root, rsync leaves what it has to open up for that opened up.
        let extended = ["-A", "-X"].iter().any(|flag| has(&self.choices, flag));
        self.flag(if tools::is_root() && !extended { 8 } else { 0 }, "--no-super");
    }

    fn kept_attributes(&mut self) {
        if self.random.chance(50) {
            return self.flag(100, "-a");
        }
        self.flag(40, "-E");
        self.flag(92, "-r");
        self.flag(70, "-l");
        self.flag(55, "-p");
        self.flag(60, "-t");
        self.flag(55, "-o");
        self.flag(55, "-g");
        self.flag(60, "-D");
    }

    /// What the attributes at the destination are made of besides those of the source.
    fn changed_attributes(&mut self) {
        self.flag(12, "-O");
        self.flag(12, "-J");
        let chmod = [
            "g=u",
            "o-g",
            "a+s",
            "D2775,F664",
            "Dg+s,ug+w,Fo-w,+X",
            "F600",
            "u+x,g=o",
            "Fa=r,Fu+w",
            "go-rwx",
            "o=t",
            "+x",
            "=r,u+wX",
            "Du=rwx,go=,Fug=st",
        ];
        self.value(20, "--chmod", &chmod);
        if self.random.chance(12) {
            return self.value(100, "--chown", &["1:1", ":23456", "12345", "daemon:daemon", "7:"]);
        }
        self.value(
            12,
            "--usermap",
            &["0:1", "1-20000:0", "daemon:7,*:3", ":9", "d*n:5,12345:6", "1:2,1:3,root:9"],
        );
        self.value(12, "--groupmap", &["0:1", "1-30000:0", "daemon:7,*:3", ":9", "[d]aemon:daemon,*:1"]);
    }

    fn others(&mut self) {
        self.rules();
        self.rules_in_directories();
        self.selection();
        self.transfer();
        self.output();
        self.apart(|drawn| drawn.growth());
    }

    fn naming(&mut self, naming: Naming<'_>) {
        if !has(&self.choices, "-a") && !has(&self.choices, "-r") {
            self.flag(85, "-d");
        }
        match naming {
            Naming::Plain => return,
            Naming::Paths => {
                self.flag(100, "-R");
            }
            Naming::List(names) => {
                let nul = self.random.chance(30);
                if nul {
                    self.flag(100, "-0");
                }
                let end = if nul { 0 } else { b'\n' };
                let lines = [b"#no name".to_vec(), Vec::new()].into_iter().chain(names.iter().cloned());
                let lines: Vec<Vec<u8>> = lines.filter(|name| nul || !name.contains(&b'\n')).collect();
                self.push("--files-from", Argument::File(vec![lines.join(&end)]));
                self.flag(30, "-r");
            }
        }
        if self.random.chance(60) {
            let name = *self.random.pick(&["--ignore-missing-args", "--delete-missing-args"]);
            self.flag(100, name);
        }
    }

    fn links(&mut self) {
        if self.random.chance(30) {
            // With -X, rsync gives what a link leads to the attributes of the link.
            let follow = ["-L", "--copy-unsafe-links", "--safe-links", "--safe-links"];
            let names = if has(&self.choices, "-X") { &follow[2..] } else { &follow[..] };
            let name = *self.random.pick(names);
            self.flag(100, name);
        }
    }

    fn selection(&mut self) {
        self.flag(8, "-n");
        self.flag(24, "-c");
        self.flag(22, "-u");
        self.flag(14, "-I");
        self.flag(30, "--size-only");
        self.value(14, "--max-size", &["0", "30", "1K", "1.5KB", "4KiB-1"]);
        self.value(10, "--min-size", &["1", "30", "1K+1", "0.5k"]);
        // With both, rsync takes for newer only what is so by more than a second.
        let windows: &[&str] = match (has(&self.choices, "-c"), has(&self.choices, "-u")) {
            // With -c, rsync sets a time that is within the window where it copies for another reason.
            (true, true) => &["1"],
            (true, false) => &["1", "-1"],
            // Nor with -X, where attributes differ. And -u replaces what is newer by less than a second.
            (false, true) if has(&self.choices, "-X") => &["1"],
            _ if has(&self.choices, "-X") => &["1", "-1"],
            (false, true) => &["1", "50000"],
            (false, false) => &["1", "50000", "-1", "-1"],
        };
        let mut is_wide = false;
        if self.random.chance(20) {
            let window = *self.random.pick(windows);
            is_wide = window == "50000";
            self.push("-@", Argument::Words(vec![format!("-@{window}").into()]));
        }
        self.flag(12, "--existing");
        self.flag(12, "--ignore-existing");
        // Rules that a run itself brings matter to deletion after it.
        let delete = if has(&self.choices, "dir-merge") || has(&self.choices, "-F") { 70 } else { 40 };
        // A directory that counts as the same and had something deleted gets its old time back from rsync, its new one
        // from dsync.
        self.flag(if is_wide { 0 } else { delete }, "--delete");
        if has(&self.choices, "--delete") {
            if self.random.chance(45) {
                let when = *self.random.pick(&[
                    "--delete-after",
                    "--delete-after",
                    "--delete-delay",
                    "--delete-before",
                    "--delete-before",
                    "--delete-during",
                    "--del",
                ]);
                self.push("--delete-after", Argument::Words(vec![when.into()]));
            }
            // Which directories have got another time when all else begins is as open as what the limit spares.
            let is_first = self.choices.iter().any(Choice::deletes_first);
            self.value(if is_first { 0 } else { 50 }, "--max-delete", &["0", "1", "1", "2", "4"]);
            if self.choices.iter().any(|choice| matches!(choice.name, "--exclude" | "--exclude-from" | "-f"))
            {
                self.flag(75, "--delete-excluded");
            }
        } else {
            // rsync then reads no files of rules but those in what it removes.
            let has_files = ["-F", "dir-merge", "-C"].iter().any(|name| has(&self.choices, name));
            self.flag(if has_files { 0 } else { 50 }, "--force");
        }
    }

    fn transfer(&mut self) {
        // What becomes of a file with several names must not depend on which of them is looked at.
        let all =
            has(&self.choices, "-a") || ["-t", "-p", "-o", "-g"].iter().all(|name| has(&self.choices, name));
        let depends = ["-u", "--size-only", "--existing", "-O", "--safe-links", "--no-super"]
            .iter()
            .any(|name| has(&self.choices, name));
        if all && !depends && self.random.chance(50) {
            // So that names come in the same order from both.
            self.push("-H", Argument::Words(vec!["-H".into(), "--no-inc-recursive".into()]));
        }
        self.flag(22, "--inplace");
        if self.random.chance(30) {
            self.flag(100, "--no-whole-file");
            if self.random.chance(65) {
                let size = self.random.pick(&["300", "700", "1024", "3000"]);
                self.push("-B", Argument::Words(vec!["-B".into(), size.into()]));
            } else {
                // The later one counts.
                self.flag(50, "-W");
            }
        }
        self.flag(15, "-z");
        self.backup();
        // Of what is elsewhere as at the source, rsync makes no backup; which names of a file are elsewhere, each
        // program finds out in its own order; and -O and -J are told otherwise of what is elsewhere.
        let others = ["-b", "--backup-dir", "-H", "-O", "-J"];
        // rsync follows links below such a directory; and a dry run of it looks for the attributes of what is not
        // there.
        let is_lost = ["-L", "--copy-unsafe-links"].iter().any(|name| has(&self.choices, name))
            || (has(&self.choices, "-n") && has(&self.choices, "-X"));
        if !is_lost && !others.iter().any(|name| has(&self.choices, name)) && self.random.chance(20) {
            let name = *self.random.pick(&BASES);
            // With -c the first of the same length is compared, no others.
            let count = if has(&self.choices, "-c") { 1 } else { 1 + self.random.below(2) };
            self.push(name, Argument::Bases(count));
        }
    }

    fn backup(&mut self) {
        // rsync does not find its way to a directory above when it writes in place, deletes other entries up to a
        // limit, clears the place of a name of several in another way, and what it has to open up, not being root, it
        // keeps so.
        if ["--inplace", "--max-delete", "-H", "--no-super"].iter().any(|name| has(&self.choices, name)) {
            return;
        }
        if self.random.chance(16) {
            self.push("--backup-dir", Argument::Words(vec!["--backup-dir=../backup/of it".into()]));
        } else if !has(&self.choices, "-n") {
            // A dry run of rsync does not know that backups keep a directory.
            self.flag(if exclusions::allow(&self.choices, "-b") { 12 } else { 0 }, "-b");
        }
        if has(&self.choices, "-b") || has(&self.choices, "--backup-dir") {
            self.value(35, "--suffix", &[".old", "~~", ".b"]);
        }
    }

    fn output(&mut self) {
        self.flag(60, "-i");
        if self.random.chance(15) {
            self.flag(100, "-v");
        } else {
            self.flag(14, "-vv");
        }
        self.flag(22, "--stats");
        self.flag(9, "-P");
        self.flag(9, "-q");
        self.apart(|drawn| drawn.looks());
    }

    /// Draws something so that the rest of the case stays what it is without it.
    fn apart(&mut self, draw: impl FnOnce(&mut Drawn<'_>)) {
        let seed = self.random.clone().below(1 << 30);
        let choices = std::mem::take(&mut self.choices);
        let mut drawn = Drawn { choices, random: &mut Random::new(seed as u64), tree: self.tree };
        draw(&mut drawn);
        self.choices = drawn.choices;
    }

    /// What is made of files that only grow.
    fn growth(&mut self) {
        // They cannot be sent whole. Of several names of a file, the first in rsync's order decides. Where another
        // directory has a longer file, rsync leaves it out, or fills it up with zeros. And its copies that are backups
        // have no more attributes than are preserved.
        let others = ["-W", "-H", "--compare-dest", "--copy-dest", "--link-dest", "-b", "--backup-dir"];
        if self.random.chance(75) || others.iter().any(|name| has(&self.choices, name)) {
            return;
        }
        // rsync tells twice of a file that does not begin as the source's.
        let speaks = ["-i", "-v", "-vv", "-P", "--stats", "--out-format", "--info"];
        if self.random.chance(70) && !speaks.iter().any(|name| has(&self.choices, name)) {
            self.flag(100, "--append-verify");
        } else {
            self.flag(100, "--append");
        }
    }

    /// How lines look, which has no part in what a run does.
    fn looks(&mut self) {
        self.out_format();
        let kinds = ["name", "name2", "del", "name0,del0", "nonreg0", "name,nonreg0", "stats2", "none"];
        self.value(18, "--info", &kinds);
        self.flag(15, "-8");
        let digits = if self.random.chance(50) { "-h" } else { "--no-h" };
        self.flag(16, digits);
    }

    /// A format, with a mark by which its lines are known.
    fn out_format(&mut self) {
        let mut formats = vec!["=%n|%i|%o|%B|%L|%-7o|%%|%z", "=%n|%o", "%i=%n%L", "=%n%L|%m"];
        // What is changed on the way is shown by rsync as it was.
        if !["--chown", "--usermap", "--groupmap"].iter().any(|map| has(&self.choices, map)) {
            formats.extend(["=%n|%M|%U|%G|%8B|", "=%n|%i|%U:%-6G|"]);
        }
        // rsync knows the sums of all files with -c, also of those that are not read here.
        let knows_more = has(&self.choices, "-c") && has(&self.choices, "--size-only");
        if !has(&self.choices, "-n") && !knows_more {
            formats.extend(["=%n|%C", "=%n|%C|%i", "=%C%o%n"]);
        }
        self.value(30, "--out-format", &formats);
    }
}
