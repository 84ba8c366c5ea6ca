//! Permissions as letters, as ls(1) shows them.

/// The nine letters of a mode.
pub(super) fn permissions(mode: u32) -> String {
    let mut letters = String::with_capacity(9);
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    for (shift, (bit, with_x, without)) in [6, 3, 0].into_iter().zip(special) {
        let set = |mask: u32| mode >> shift & mask != 0;
        letters.push(if set(4) { 'r' } else { '-' });
        letters.push(if set(2) { 'w' } else { '-' });
        letters.push(match (mode & bit != 0, set(1)) {
            (false, true) => 'x',
            (false, false) => '-',
            (true, true) => with_x,
            (true, false) => without,
        });
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::permissions;

    #[test]
    fn modes_are_letters() {
        for (mode, letters) in
            [(0, "---------"), (0o7777, "rwsrwsrwt"), (0o7000, "--S--S--T"), (0o640, "rw-r-----")]
        {
            assert_eq!(permissions(mode), letters);
        }
    }
}
