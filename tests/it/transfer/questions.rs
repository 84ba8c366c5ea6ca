//! What is asked on the way to a host of whoever sits at the terminal, which is never standard input.

use crate::support::command::{self, Invocation, dsync};
use crate::support::login::{Login, new_key, user, write_private};
use crate::support::scene::Scene;
use crate::support::terminal::Terminal;
use crate::support::transport::{login_options, remote};
use crate::support::tree::Tree;
use crate::support::{russh_server, sshd, tools};
use std::fs;
use std::path::{Path, PathBuf};

/// A run to a server at which something is asked, and the files of whoever is asked.
struct Asked {
    scene: Scene,
    config: PathBuf,
}

impl Asked {
    /// By somebody who has `known_hosts`. `None`, after having said why, where nothing is asked.
    fn by(login: &Login, known_hosts: &str) -> Option<Asked> {
        if command::is_rsync() {
            tools::not_for_rsync("its remote shell asks");
            return None;
        }
        let scene = Scene::with_source(&Tree::new().file("file", "x"));
        let config = login.variant(scene.root(), known_hosts, &login.user_key);
        Some(Asked { scene, config })
    }

    /// Lines that come before those of the configuration.
    fn configure(&self, first: &str) {
        let text = fs::read_to_string(&self.config).unwrap();
        fs::write(&self.config, format!("{first}\n{text}")).unwrap();
    }

    fn push(&self) -> Invocation {
        let operands = [self.scene.path("source/").into_os_string(), remote(self.scene.path("to"))];
        dsync(login_options(&self.config)).args(["-a"]).args(operands)
    }

    /// Fails the test unless the run succeeds, and the terminal shows none of these.
    #[track_caller]
    fn ends_well(&self, terminal: Terminal, secrets: &[&str]) {
        let shown = terminal.expect(0);
        assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
        assert_eq!(self.scene.paths("to"), ["file"]);
    }
}

#[test]
fn whether_a_host_that_is_not_known_is_trusted() {
    for login in [sshd::login(), Some(russh_server::login())].into_iter().flatten() {
        let Some(asked) = Asked::by(login, "") else { return };
        let hosts = asked.scene.path("known_hosts");
        let question = format!("The host [127.0.0.1]:{} is not known.", login.port);
        let Some(mut terminal) = Terminal::run(&asked.push()) else { return };
        terminal.wait_for(&question);
        terminal.wait_for("SHA256:");
        terminal.wait_for("[y/N] ");
        terminal.write("what\n");
        terminal.wait_for("[y/N] ");
        terminal.write("no\n");
        let shown = terminal.expect(255);
        let advice = format!(
            "hint: Ask the administrator of the host for its key; answer yes if it is this one, or add it to {}",
            hosts.display()
        );
        assert!(shown.contains(&advice), "{shown}");
        assert_eq!(fs::read(&hosts).unwrap(), b"");
        let mut terminal = Terminal::run(&asked.push()).unwrap();
        terminal.wait_for(&question);
        terminal.wait_for("[y/N] ");
        terminal.write("yes\n");
        asked.ends_well(terminal, &[]);
        assert!(fs::read_to_string(&hosts).unwrap().contains(&login.host_key));
        // And never again.
        asked.push().run().success();
        fs::write(&hosts, "").unwrap();
        asked.configure("StrictHostKeyChecking yes");
        let shown = Terminal::run(&asked.push()).unwrap().expect(255);
        assert!(shown.contains("hint: StrictHostKeyChecking lets nobody be asked"), "{shown}");
        assert!(!shown.contains("[y/N]"), "{shown}");
    }
}

/// Gives a key a passphrase.
fn lock(key: &Path, passphrase: &str) {
    let keygen = tools::find("ssh-keygen").expect("it comes with sshd");
    Invocation::new(&keygen, ["-q", "-p", "-P", "", "-N", passphrase, "-f"]).args([key]).run().success();
}

#[test]
fn for_the_passphrase_of_a_key() {
    let Some(login) = sshd::login() else { return };
    let Some(asked) = Asked::by(login, &login.known_hosts_text()) else { return };
    lock(&asked.scene.path("user_key"), "open sesame");
    let Some(mut terminal) = Terminal::run(&asked.push()) else { return };
    terminal.wait_for("assphrase for key");
    terminal.write("open, please\n");
    terminal.wait_for("assphrase for key");
    terminal.write("open sesame\n");
    asked.ends_well(terminal, &["open sesame", "please"]);
}

/// Somebody who gets in by a password only, and what is asked for it.
fn without_a_key() -> Option<(Asked, String)> {
    let login = russh_server::login();
    let asked = Asked::by(login, &login.known_hosts_text())?;
    let stranger = asked.scene.path("user_key");
    fs::remove_file(&stranger).unwrap();
    write_private(&stranger, &new_key());
    Some((asked, format!("{}@127.0.0.1's password: ", user())))
}

#[test]
fn for_a_password() {
    let Some((asked, question)) = without_a_key() else { return };
    let Some(mut terminal) = Terminal::run(&asked.push()) else { return };
    for answer in ["guess", russh_server::PASSWORD] {
        terminal.wait_for(&question);
        terminal.write(&format!("{answer}\n"));
    }
    asked.ends_well(terminal, &["guess", russh_server::PASSWORD]);
}

/// Who pastes a password as soon as the question is there must not see it.
#[test]
fn for_a_password_at_a_terminal_that_is_silent_before_the_question_is_shown() {
    let Some((asked, question)) = without_a_key() else { return };
    let Some((mut terminal, held)) = Terminal::run_held(&asked.push()) else { return };
    held.wait_until_it_is_silent();
    assert!(!terminal.shown().contains(&question));
    held.let_go();
    terminal.wait_for(&question);
    terminal.write(&format!("{}\n", russh_server::PASSWORD));
    terminal.wait_for(" echo ");
    asked.ends_well(terminal, &[russh_server::PASSWORD]);
}
