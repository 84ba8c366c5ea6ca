//! The shortcuts a run takes: quicker ways to an end that a plain way leads to as well.
//!
//! Each changes how long a run takes and how much it sends, never what comes of it. To show that, the tests run the
//! program with each of them left out, which the hidden option `--plain=NAME,...` asks for, and compare. Both sides of
//! a run take the same ones. What users may choose between for reasons of their own (`-W`, `--inplace`, `-z`, `-B`) is
//! not here.

use serde::{Deserialize, Serialize};

/// Makes the structure, with every shortcut taken unless left out by its name.
macro_rules! shortcuts {
    ($($(#[$what:meta])* $name:ident,)*) => {
        /// Which shortcuts a run takes; by default all.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Shortcuts {
            $($(#[$what])* pub $name: bool,)*
        }

        impl Default for Shortcuts {
            fn default() -> Shortcuts {
                Shortcuts { $($name: true,)* }
            }
        }

        impl Shortcuts {
            /// What they are called, in the order of the fields.
            pub const NAMES: &[&str] = &[$(stringify!($name),)*];

            /// Leaves out the one called `name`. Returns whether there is such a one.
            pub fn leave_out(&mut self, name: &str) -> bool {
                match name {
                    $(stringify!($name) => self.$name = false,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

shortcuts! {
    /// Where the blocks of a basis do not match, shorter ones are tried. Without: blocks of one length.
    refinement,
    /// Directories are compared by fingerprints first. Without: by their entries.
    fingerprints,
    /// A small file is written and named in few calls. Without: staged as any other.
    small_files,
    /// Between local paths the sink copies open files by itself. Without: their content is sent to it.
    handing_over,
    /// Calls that only some systems have save work where they are there, copies inside the kernel among them. Without:
    /// what every Unix has.
    kernel_calls,
    /// In a two-way run a file that only got another name is given that name. Without: fetched under it, and removed.
    renames,
    /// In a two-way run in which everything is compared, stretches of what is known are told by sums first. Without:
    /// path by path.
    stretches,
    /// Work is spread over several threads. Without: there is one for each kind of work.
    threads,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_left_out_by_its_name() {
        let mut left_out = Vec::new();
        for name in Shortcuts::NAMES {
            let mut shortcuts = Shortcuts::default();
            assert!(shortcuts.leave_out(name), "{name}");
            assert_ne!(shortcuts, Shortcuts::default(), "{name}");
            assert!(!left_out.contains(&shortcuts), "{name}");
            left_out.push(shortcuts);
        }
        let mut shortcuts = Shortcuts::default();
        assert!(!shortcuts.leave_out("nosuch") && shortcuts == Shortcuts::default());
    }
}
