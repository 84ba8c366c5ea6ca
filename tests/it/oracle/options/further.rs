//! Options that came later to the generator: they are drawn last, so that the rest of a case is what it is without
//! them.

use crate::oracle::exclusions;
use crate::oracle::options::{Argument, Drawn, Naming, has};
use crate::support::{tools, xattr};

impl Drawn<'_> {
    pub(super) fn further(&mut self, naming: Naming<'_>) {
        self.beside(12, "-k", &["-k"]);
        // What the links lead to is no part of the source.
        self.beside(14, "-K", &["-K", "--filter=P /.kept"]);
        self.beside(11, "--munge-links", &["--munge-links"]);
        if !matches!(naming, Naming::Plain) {
            self.beside(55, "--no-implied-dirs", &["--no-implied-dirs"]);
        }
        self.devices();
        // Without these, rsync keeps owners that it was not told.
        let owners = has(&self.choices, "-a") || (has(&self.choices, "-o") && has(&self.choices, "-g"));
        if owners && xattr::are_here() {
            self.beside(12, "--fake-super", &["--fake-super"]);
        }
        // Without -t, rsync may give a file a time before all times.
        let times = ["-a", "-t"].iter().any(|name| has(&self.choices, name));
        self.beside(if times { 9 } else { 0 }, "-U", &["-U"]);
    }

    fn devices(&mut self) {
        if has(&self.choices, "-a") {
            self.beside(8, "--no-devices", &["--no-devices"]);
        } else if !has(&self.choices, "-D") {
            self.beside(25, "--specials", &["--specials"]);
            self.beside(if tools::can_make_devices() { 25 } else { 0 }, "--devices", &["--devices"]);
        }
        self.beside(if tools::can_make_devices() { 9 } else { 0 }, "--copy-devices", &["--copy-devices"]);
    }

    /// Draws an option, unless one is there beside which there is to be none.
    fn beside(&mut self, percent: usize, name: &'static str, words: &[&str]) {
        if self.random.chance(percent) && exclusions::allow(&self.choices, name) {
            self.push(name, Argument::Words(words.iter().map(Into::into).collect()));
        }
    }
}
