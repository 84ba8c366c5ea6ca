//! Character classes of patterns, `[a-z]`, `[!a]`, `[[:alpha:]]`, as sets of bytes.

/// A set of byte values, one bit each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    fn bit(byte: u8) -> u64 {
        1 << (byte & 63)
    }

    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte >> 6)).is_some_and(|word| word & Self::bit(byte) != 0)
    }

    fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= Self::bit(byte);
        }
    }

    fn insert_all(&mut self, accepts: impl Fn(u8) -> bool) {
        (0..=u8::MAX).filter(|&byte| accepts(byte)).for_each(|byte| self.insert(byte));
    }

    /// The set as a class: the bytes in it, or those not in it, but never `/`.
    fn into_class(self, negated: bool) -> Self {
        let mut class = ByteSet::default();
        class.insert_all(|byte| self.contains(byte) != negated && byte != b'/');
        class
    }
}

/// Reads a class from `text`, which starts after its `[`. Returns the set and what follows the closing `]`; `None` if
/// the class is not closed or names an unknown `[:kind:]`, in which case the pattern matches nothing.
///
/// As in rsync: `^` negates like `!`; a `]` in first place is a member; a backslash quotes the next byte; a `-` is a
/// range only between two members.
pub(super) fn parse_class(text: &[u8]) -> Option<(ByteSet, &[u8])> {
    let (negated, mut rest) = match text {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut set = ByteSet::default();
    let mut range_start = None;
    let mut first = true;
    loop {
        rest = match rest {
            [] => return None,
            [b']', rest @ ..] if !first => return Some((set.into_class(negated), rest)),
            [b'[', b':', name @ ..] => match posix_kind(name)? {
                Some((accepts, after)) => {
                    set.insert_all(accepts);
                    range_start = None;
                    after
                }
                None => {
                    set.insert(b'[');
                    range_start = Some(b'[');
                    rest.get(1..)?
                }
            },
            [b'-', after @ ..] if range_start.is_some() && !matches!(after, [] | [b']', ..]) => {
                let (end, after) = member(after)?;
                let start = range_start.take()?;
                set.insert_all(|byte| (start..=end).contains(&byte));
                after
            }
            _ => {
                let (byte, after) = member(rest)?;
                set.insert(byte);
                range_start = Some(byte);
                after
            }
        };
        first = false;
    }
}

/// One member, with its backslash taken off.
fn member(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'\\', byte, rest @ ..] => Some((*byte, rest)),
        [b'\\'] | [] => None,
        [byte, rest @ ..] => Some((*byte, rest)),
    }
}

type Kind = fn(u8) -> bool;

/// Reads `alpha:]` and the like, the text after `[:`. The inner `None` says that no `:]` ends it, so the `[` was an
/// ordinary member; the outer one that the class is not closed or the kind unknown.
fn posix_kind(text: &[u8]) -> Option<Option<(Kind, &[u8])>> {
    let end = text.iter().position(|&byte| byte == b']')?;
    let (inside, rest) = text.split_at_checked(end)?;
    let Some(name) = inside.strip_suffix(b":") else {
        return Some(None);
    };
    let kind: Kind = match name {
        b"alnum" => |byte| byte.is_ascii_alphanumeric(),
        b"alpha" => |byte| byte.is_ascii_alphabetic(),
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => |byte| byte.is_ascii_control(),
        b"digit" => |byte| byte.is_ascii_digit(),
        b"graph" => |byte| byte.is_ascii_graphic(),
        b"lower" => |byte| byte.is_ascii_lowercase(),
        b"print" => |byte| byte.is_ascii_graphic() || byte == b' ',
        b"punct" => |byte| byte.is_ascii_punctuation(),
        b"space" => |byte| byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => |byte| byte.is_ascii_uppercase(),
        b"xdigit" => |byte| byte.is_ascii_hexdigit(),
        _ => return None,
    };
    Some(Some((kind, rest.get(1..)?)))
}
