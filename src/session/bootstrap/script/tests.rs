use super::*;
use crate::testing::{is_root, missing};
use crate::transport::command::RemoteCommand;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

/// A host without dsync but with a home, and a program to be put there: a shell script that does what is asked of an
/// executable.
struct Host {
    scene: tempfile::TempDir,
    shell: PathBuf,
    executable: Executable,
    sum: String,
    content: Vec<u8>,
}

/// One for each of the POSIX shells that are there.
fn hosts() -> Vec<Host> {
    let shells = ["/bin/sh", "/bin/dash", "/bin/bash", "/bin/busybox", "/bin/ksh", "/bin/zsh"];
    shells.iter().map(Path::new).filter(|shell| shell.exists()).map(Host::new).collect()
}

impl Host {
    fn new(shell: &Path) -> Host {
        let scene = tempfile::tempdir().unwrap();
        fs::create_dir(scene.path().join("home")).unwrap();
        let content =
            b"#!/bin/sh\ncase $1 in --server) echo served \"$0\";; --executable-sum) exec sha256sum <\"$0\" \
                        | { read -r s x; echo $s; };; esac\n"
                .to_vec();
        let path = scene.path().join("program");
        fs::write(&path, &content).unwrap();
        let executable = Executable::read(path.as_os_str()).unwrap();
        let sum = executable.sum().unwrap();
        Host { scene, shell: shell.to_owned(), executable, sum, content }
    }

    fn run(&self, script: &str, input: &[u8], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(&self.shell);
        if self.shell.ends_with("busybox") {
            command.arg("sh");
        }
        // As a login shell is given it.
        let line = RemoteCommand::script(script).unwrap().line();
        let line = line.strip_prefix(b"exec sh -c '").unwrap().strip_suffix(b"'").unwrap();
        command.arg("-c").arg(std::ffi::OsStr::from_bytes(line));
        command.env_remove("XDG_CACHE_HOME").env("HOME", self.scene.path().join("home"));
        command.env("PATH", format!("{}:/usr/bin:/bin", self.scene.path().join("bin").display()));
        command.envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who needs no input may have ended.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input);
        child.wait_with_output().unwrap()
    }

    fn said(&self, script: &str, input: &[u8]) -> String {
        self.said_with(script, input, &[])
    }

    fn said_with(&self, script: &str, input: &[u8], variables: &[(&str, &str)]) -> String {
        let output = self.run(script, input, variables);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{:?} {script}", self.shell);
        String::from_utf8(output.stdout).unwrap()
    }

    fn put(&self) -> String {
        self.said(&put(&self.executable, &self.sum), &self.content)
    }

    fn cache(&self) -> PathBuf {
        self.scene.path().join("home/.cache/dsync")
    }

    fn placed(&self) -> PathBuf {
        self.cache().join(&self.executable.name).join("dsync")
    }

    /// A program in the search path before all others.
    fn program(&self, name: &str, body: &str) {
        let bin = self.scene.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        // Not written by this process: another test may be starting a child, which would hold it open for writing.
        let text = format!("#!/bin/sh\n{body}\n");
        let script = format!("printf %s \"$1\" >'{0}/{name}'; chmod 755 '{0}/{name}'", bin.display());
        assert!(Command::new("sh").args(["-c", &script, "sh", &text]).status().unwrap().success());
    }

    /// What there is of the version that is put there.
    fn own_names(&self) -> [String; 2] {
        ["dsync", "dsync.sum"].map(|name| format!("{}/{name}", self.executable.name))
    }

    /// What is below the directory of all versions.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for version in fs::read_dir(self.cache()).into_iter().flatten() {
            for file in fs::read_dir(version.unwrap().path()).into_iter().flatten() {
                names.push(file.unwrap().path().strip_prefix(self.cache()).unwrap().display().to_string());
            }
        }
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

fn served(place: &Path) -> String {
    format!("served {}\n", place.display())
}

#[test]
fn what_was_put_there_is_run_and_stays() {
    for host in hosts() {
        let (any, own) = (any(&host.executable), own(&host.executable, &host.sum));
        for script in [&any, &own] {
            assert_eq!(absent(host.said(script, b"").trim_end()), Some(Executable::machine().as_str()));
        }
        assert_eq!(answer(&host.put()), Answer::Ready, "{:?}", host.shell);
        for script in [&any, &own] {
            assert_eq!(host.said(script, b""), served(&host.placed()), "{:?}", host.shell);
        }
        assert_eq!(host.names(), host.own_names());
        for path in [host.placed(), host.cache(), host.cache().join(&host.executable.name)] {
            assert_eq!(mode(&path), 0o700, "{}", path.display());
        }
        assert_eq!(fs::read(host.placed()).unwrap(), host.content);
    }
}

#[test]
fn a_dsync_of_the_search_path_comes_first() {
    for host in hosts() {
        host.put();
        host.program("dsync", "echo installed $1");
        assert_eq!(host.said(&any(&host.executable), b""), "installed --server\n");
        assert_eq!(host.said(&own(&host.executable, &host.sum), b""), served(&host.placed()));
    }
}

#[test]
fn what_is_not_what_was_put_there_is_not_run() {
    for host in hosts() {
        host.put();
        fs::write(host.placed(), &host.content[..host.content.len() - 1]).unwrap();
        assert!(absent(&host.said(&any(&host.executable), b"")).is_some(), "it is shorter");
        // As long, and a program that would do.
        let altered = [&host.content[..host.content.len() - 1], b" "].concat();
        let sum = host.placed().with_extension("sum");
        for (content, sum_says) in
            [(&altered, &host.sum), (&host.content, &"0".repeat(64)), (&host.content, &String::new())]
        {
            fs::write(host.placed(), content).unwrap();
            fs::write(&sum, sum_says).unwrap();
            assert!(absent(&host.said(&any(&host.executable), b"")).is_some(), "{:?}", host.shell);
        }
        fs::write(host.placed(), &altered).unwrap();
        assert!(absent(&host.said(&own(&host.executable, &host.sum), b"")).is_some(), "it is another");
        fs::remove_file(&sum).unwrap();
        fs::write(host.placed(), &host.content).unwrap();
        assert!(absent(&host.said(&any(&host.executable), b"")).is_some(), "nobody knows what it was");
        assert_eq!(answer(&host.put()), Answer::Ready);
        assert_eq!(host.said(&own(&host.executable, &host.sum), b""), served(&host.placed()));
    }
}

#[test]
fn half_of_it_is_never_run_and_leaves_nothing() {
    for host in hosts() {
        for length in [0, 10, host.content.len() - 1] {
            let said = host.said(&put(&host.executable, &host.sum), &host.content[..length]);
            assert_eq!(answer(&said), Answer::Cannot("short", ""));
            assert!(host.names().is_empty(), "{:?}", host.names());
        }
        let mut damaged = host.content.clone();
        damaged[20] ^= 1;
        let said = host.said(&put(&host.executable, &host.sum), &damaged);
        assert_eq!(answer(&said), Answer::Cannot("damaged", ""));
        assert!(host.names().is_empty());
    }
}

#[test]
fn without_a_program_for_sums_the_executables_own_word_is_taken() {
    for host in hosts() {
        // Nothing but what is said to be needed, and no program for sums.
        let bin = host.scene.path().join("few");
        fs::create_dir(&bin).unwrap();
        for name in ["cat", "chmod", "find", "ls", "mkdir", "mv", "rm", "rmdir", "touch", "uname", "wc"] {
            let from =
                ["/usr/bin", "/bin"].iter().map(|at| Path::new(at).join(name)).find(|file| file.exists());
            symlink(from.unwrap(), bin.join(name)).unwrap();
        }
        let path = bin.to_str().unwrap();
        // Busybox runs what is built into it, whatever the path.
        if host.shell.ends_with("busybox") {
            continue;
        }
        let said = host.said_with(&put(&host.executable, &host.sum), &host.content, &[("PATH", path)]);
        // This one cannot tell its own sum without such a program, and so is not believed.
        assert!(matches!(answer(&said), Answer::Cannot("run", _)), "{said}");
        assert!(host.names().is_empty());
        let text = format!("#!/bin/sh\necho {}\n", "0".repeat(64));
        let executable = Executable { size: text.len() as u64, ..host.executable.clone() };
        let said = host.said_with(&put(&executable, &"0".repeat(64)), text.as_bytes(), &[("PATH", path)]);
        assert_eq!(answer(&said), Answer::Ready, "{:?}", host.shell);
    }
}

#[test]
fn a_directory_that_others_could_use_is_refused() {
    for host in hosts() {
        host.put();
        let elsewhere = host.scene.path().join("elsewhere");
        for attack in ["group", "all", "link", "owner"] {
            let cache = host.cache();
            match attack {
                "group" => fs::set_permissions(&cache, fs::Permissions::from_mode(0o720)).unwrap(),
                "all" => fs::set_permissions(&cache, fs::Permissions::from_mode(0o702)).unwrap(),
                "link" => {
                    fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
                    fs::rename(&cache, &elsewhere).unwrap();
                    symlink(&elsewhere, &cache).unwrap();
                }
                _ if !is_root() => return missing("root, to give a directory away"),
                _ => {
                    fs::remove_file(&cache).unwrap();
                    fs::rename(&elsewhere, &cache).unwrap();
                    std::os::unix::fs::chown(&cache, Some(65_534), None).unwrap();
                }
            }
            for script in [any(&host.executable), own(&host.executable, &host.sum)] {
                assert!(absent(&host.said(&script, b"")).is_some(), "{attack}");
            }
            let said = host.put();
            assert_eq!(answer(&said), Answer::Cannot("others", cache.to_str().unwrap()), "{attack}");
        }
        assert!(host.placed().exists());
    }
}

/// Who may rename the directory may put another of the same user's in its place.
#[test]
fn so_is_one_in_a_directory_that_others_could_use() {
    for host in hosts() {
        host.put();
        let above = host.cache().parent().unwrap().to_owned();
        let is_used = || {
            let used = absent(&host.said(&any(&host.executable), b"")).is_none();
            let told = host.put();
            match answer(&told) {
                Answer::Ready => assert!(used, "{:?}", host.shell),
                other => {
                    assert_eq!(other, Answer::Cannot("others", above.to_str().unwrap()), "{:?}", host.shell);
                    assert!(!used, "{:?}", host.shell);
                }
            }
            used
        };
        for (mode, expected) in [(0o755, true), (0o775, false), (0o757, false), (0o1777, true), (0o700, true)]
        {
            fs::set_permissions(&above, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_used(), expected, "{mode:o} {:?}", host.shell);
        }
        // A link there is only a way.
        let elsewhere = host.scene.path().join("elsewhere");
        fs::rename(&above, &elsewhere).unwrap();
        symlink(&elsewhere, &above).unwrap();
        assert!(is_used());
        if is_root() {
            std::os::unix::fs::chown(&elsewhere, Some(65_534), None).unwrap();
            assert!(!is_used(), "{:?}", host.shell);
        }
    }
}

/// Two hosts of one home may have processes of the same number.
#[test]
fn until_it_has_its_name_it_has_one_of_its_host() {
    let host = Host::new(Path::new("/bin/sh"));
    host.program("uname", "case $1 in -n) echo that-host;; *) exec /bin/uname \"$@\";; esac");
    host.program("chmod", "ls \"$HOME\"/.cache/dsync/*/ >\"$HOME\"/seen; exec /bin/chmod \"$@\"");
    assert_eq!(answer(&host.put()), Answer::Ready);
    let seen = fs::read_to_string(host.scene.path().join("home/seen")).unwrap();
    assert!(seen.contains("dsync.that-host."), "{seen}");
}

#[test]
fn where_it_cannot_be_put_that_is_said() {
    for host in hosts() {
        let script = put(&host.executable, &host.sum);
        for home in ["", "relative", "./home"] {
            let said = host.said_with(&script, &host.content, &[("HOME", home), ("XDG_CACHE_HOME", "cache")]);
            assert_eq!(answer(&said), Answer::Cannot("home", ""), "{home}");
            let said = host.said_with(&any(&host.executable), b"", &[("HOME", home)]);
            assert!(absent(&said).is_some(), "{home}");
            assert!(!Path::new(home).join(".cache/dsync").exists() || home.is_empty());
        }
        let said = host.said_with(&script, &host.content, &[("HOME", "/dev/null")]);
        assert!(
            matches!(answer(&said), Answer::Cannot("place", text) if text.contains("/dev/null")),
            "{said}"
        );
        let said = host.said_with(&script, &host.content, &[("HOME", "/proc")]);
        assert!(matches!(answer(&said), Answer::Cannot("place", _)), "{said}");
        let cache = host.scene.path().join("other cache");
        let variables = [("HOME", "/dev/null"), ("XDG_CACHE_HOME", cache.to_str().unwrap())];
        assert_eq!(answer(&host.said_with(&script, &host.content, &variables)), Answer::Ready);
        let placed = cache.join("dsync").join(&host.executable.name).join("dsync");
        assert_eq!(host.said_with(&any(&host.executable), b"", &variables), served(&placed));
    }
}

#[test]
fn what_does_not_run_is_not_kept() {
    for host in hosts() {
        let text = "#!/no/such/interpreter\n";
        let executable = Executable { size: text.len() as u64, ..host.executable.clone() };
        let said = host.said(&put(&executable, &sum_of(text)), text.as_bytes());
        assert!(matches!(answer(&said), Answer::Cannot("run", more) if more.contains("12")), "{said}");
        let text = "#!/bin/sh\necho cannot find libfoo.so >&2; exit 1\n";
        let executable = Executable { size: text.len() as u64, ..host.executable.clone() };
        let said = host.said(&put(&executable, &sum_of(text)), text.as_bytes());
        assert_eq!(answer(&said), Answer::Cannot("run", "exit code 1, cannot find libfoo.so"));
        assert!(host.names().is_empty());
    }
}

fn sum_of(text: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    Executable::read(file.path().as_os_str()).unwrap().sum().unwrap()
}

#[test]
fn what_was_not_used_for_long_goes() {
    for host in hosts() {
        host.put();
        let now = SystemTime::now();
        let days = |days: u64| filetime::FileTime::from_system_time(now - Duration::from_secs(days * 86_400));
        let version = |name: &str, age: u64| {
            let directory = host.cache().join(name);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("dsync"), "old").unwrap();
            if age > 30 && name.starts_with("0.0.1") {
                fs::write(directory.join("dsync.sum"), "sum").unwrap();
            }
            filetime::set_file_mtime(&directory, days(age)).unwrap();
        };
        version("0.0.1-0123456789abcdef", 40);
        version("0.0.2-0123456789abcdef", 29);
        version("notes-of-mine", 40);
        version("my-0123456789abcdef", 40);
        fs::create_dir(host.cache().join("0.0.3-0123456789abcdef")).unwrap();
        let outside = host.scene.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("dsync"), "mine").unwrap();
        filetime::set_file_mtime(&outside, days(40)).unwrap();
        symlink(&outside, host.cache().join("0.0.4-0123456789abcdef")).unwrap();
        // Its own is as old, and used now.
        let own_place = host.cache().join(&host.executable.name);
        filetime::set_file_mtime(&own_place, days(40)).unwrap();
        assert_eq!(host.said(&any(&host.executable), b""), served(&host.placed()));
        assert!(
            own_place.metadata().unwrap().modified().unwrap() > now - Duration::from_secs(60),
            "not used"
        );
        filetime::set_file_mtime(&own_place, days(40)).unwrap();
        assert_eq!(answer(&host.put()), Answer::Ready);
        let mut expected = vec![
            "0.0.2-0123456789abcdef/dsync".to_owned(),
            "0.0.4-0123456789abcdef/dsync".to_owned(),
            "my-0123456789abcdef/dsync".to_owned(),
            "notes-of-mine/dsync".to_owned(),
        ];
        expected.extend(host.own_names());
        expected.sort();
        assert_eq!(host.names(), expected, "{:?}", host.shell);
        assert_eq!(fs::read(outside.join("dsync")).unwrap(), b"mine");
    }
}

#[test]
fn answers_are_found_in_what_was_said() {
    assert_eq!(absent("dsync absent: Linux x86_64\n"), Some("Linux x86_64"));
    assert_eq!(absent("Welcome\ndsync absent: Linux x86_64"), None);
    assert_eq!(before_absent("Welcome\nback\ndsync absent: Linux x86_64"), Some("Welcome\nback"));
    assert_eq!(before_absent("Welcome\n"), None);
    assert_eq!(answer("dsync ready\n"), Answer::Ready);
    assert_eq!(answer("Hello\ndsync ready\n"), Answer::Ready);
    assert_eq!(
        answer("dsync cannot: write cat: No space left\n"),
        Answer::Cannot("write", "cat: No space left")
    );
    assert_eq!(answer("dsync cannot: home\n"), Answer::Cannot("home", ""));
    assert_eq!(answer("dsync is ready"), Answer::Silence);
    assert_eq!(answer(""), Answer::Silence);
}
