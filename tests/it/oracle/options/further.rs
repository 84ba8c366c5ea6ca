//! Options that came later to the generator: they are drawn last, so that the rest of a case is what it is without
//! them.

use crate::oracle::exclusions;
use crate::oracle::options::{Argument, Drawn, Naming, has};
use crate::support::disk::Disk;
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
        self.xattr_rules();
        self.beside(4, "--list-only", &["--list-only"]);
        // A link that is followed and leads nowhere is an error.
        let follows = ["-L", "--copy-unsafe-links"].iter().any(|name| has(&self.choices, name));
        if follows && has(&self.choices, "--delete") && matches!(naming, Naming::Plain) {
            self.beside(80, "--ignore-errors", &["--ignore-errors"]);
        }
        // Others could not write the sources anew for each run.
        self.beside(
            if tools::is_root() { 8 } else { 0 },
            "--remove-source-files",
            &["--remove-source-files"],
        );
        self.beside(4, "--mkpath", &["--mkpath"]);
        let mounted = if Disk::is_possible() { 7 } else { 0 };
        self.beside(mounted, "-x", &["-x"]);
        self.beside(mounted, "-xx", &["-xx"]);
    }

    /// Rules for names of extended attributes. Not being root, rsync gives some of these other names.
    fn xattr_rules(&mut self) {
        if !has(&self.choices, "-X") || !tools::is_root() || !xattr::are_here() {
            return;
        }
        let names = ["user.a", "user.long", "/user.a", "*.a", "trusted.*", "user.*", "*", "user.[!a]*"];
        let kinds = ["-x ", "-x ", "-xs ", "-xr ", "Hx ", "Px ", "-x! ", "-xp "];
        let mut rule = |kind: &str| [kind, *self.random.pick(&names)].concat();
        let (included, other) = (rule("+x "), rule(""));
        let rule = [*self.random.pick(&kinds), &other].concat();
        // With such a rule, rsync takes ACLs for attributes, too.
        let mut words = vec!["-f", "-xsr system.*", "-f", &rule];
        if self.random.chance(30) {
            words.splice(2..2, ["-f", &included]);
        }
        self.beside(40, "-f-x", &words);
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
