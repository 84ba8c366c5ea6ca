//! The lines of `--list-only`, which look as those of `ls -l` do, without links and owners.

use crate::cli::output::mode::permissions;
use crate::cli::output::moment::Clock;
use crate::cli::output::size::Numbers;
use crate::report::Shown;
use crate::tree::{Escaped, Kind};

/// The line for one entry.
pub(super) fn line(shown: &Shown, numbers: Numbers, clock: &Clock) -> String {
    let Shown { path, kind, target, size, mode, seconds } = shown;
    // A directory has a size of its own that says nothing.
    let size = numbers.bytes(if *kind == Kind::Directory { 0 } else { *size });
    let target = target.as_ref().map(|target| format!(" -> {}", Escaped(target))).unwrap_or_default();
    let width = numbers.width();
    format!("{} {size:>width$} {} {path}{target}\n", letters(*kind, *mode), clock.show_short(*seconds))
}

/// Kind and permissions.
fn letters(kind: Kind, mode: u32) -> String {
    let first = match kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
        Kind::CharDevice => 'c',
        Kind::BlockDevice => 'b',
    };
    format!("{first}{}", permissions(mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::RelPath;

    #[test]
    fn lines_are_rsyncs() {
        let path = RelPath::new(*b"a/b\n").unwrap();
        let file = Shown {
            path,
            kind: Kind::File,
            target: None,
            size: 1_234_567,
            mode: 0o4755,
            seconds: 1_577_934_245,
        };
        let shown = |shown: &Shown| line(shown, Numbers::new(1), &Clock::at(0));
        assert_eq!(shown(&file), "-rwsr-xr-x      1,234,567 2020/01/02 03:04:05 a/b\\#012\n");
        let plain = line(&file, Numbers::new(0), &Clock::at(0));
        assert_eq!(plain, "-rwsr-xr-x     1234567 2020/01/02 03:04:05 a/b\\#012\n");
        let link = Shown { kind: Kind::Symlink, target: Some(b"to".to_vec()), size: 2, mode: 0o777, ..file };
        assert_eq!(shown(&link), "lrwxrwxrwx              2 2020/01/02 03:04:05 a/b\\#012 -> to\n");
    }

    #[test]
    fn modes_are_letters() {
        for (mode, letters) in
            [(0, "p---------"), (0o7777, "prwsrwsrwt"), (0o7000, "p--S--S--T"), (0o640, "prw-r-----")]
        {
            assert_eq!(super::letters(Kind::Fifo, mode), letters);
        }
    }
}
