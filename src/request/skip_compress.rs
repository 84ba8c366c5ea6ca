//! Names of files whose content is not worth compressing (`--skip-compress`).
//!
//! The syntax is rsync's: suffixes without their dot, parted by slashes. `[abc]` stands for one of these characters,
//! and no other character is special. Letters match in upper and lower case.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What is skipped where nobody says: what is compressed already, as rsync lists it.
const DEFAULT: &str = "3g2/3gp/7z/aac/ace/apk/avi/bz2/deb/dmg/ear/f4v/flac/flv/gpg/gz/iso/jar/jpeg/jpg/lrz/lz/lz4/\
                       lzma/lzo/m1a/m1v/m2a/m2ts/m2v/m4a/m4b/m4p/m4r/m4v/mka/mkv/mov/mp1/mp2/mp3/mp4/mpa/mpeg/mpg/\
                       mpv/mts/odb/odf/odg/odi/odm/odp/ods/odt/oga/ogg/ogm/ogv/ogx/opus/otg/oth/otp/ots/ott/oxt/\
                       png/qt/rar/rpm/rz/rzip/spx/squashfs/sxc/sxd/sxg/sxm/sxw/sz/tbz/tbz2/tgz/tlz/ts/txz/tzo/vob/\
                       war/webm/webp/xz/z/zip/zst";

/// The longest list accepted, in bytes.
const LONGEST: usize = 64 << 10;

/// Suffixes of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipCompress(Vec<String>);

/// Why a text is no list of suffixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSkipCompress {
    /// It has no end.
    #[error("a [ has no ]")]
    OpenClass,
    /// It is longer than any list of suffixes.
    #[error("the list is too long")]
    TooLong,
}

impl Default for SkipCompress {
    fn default() -> SkipCompress {
        SkipCompress(split(DEFAULT))
    }
}

impl FromStr for SkipCompress {
    type Err = InvalidSkipCompress;
    fn from_str(text: &str) -> Result<SkipCompress, InvalidSkipCompress> {
        let list = SkipCompress(split(text));
        list.validate()?;
        Ok(list)
    }
}

fn split(text: &str) -> Vec<String> {
    text.split('/').filter(|suffix| !suffix.is_empty()).map(str::to_ascii_lowercase).collect()
}

impl SkipCompress {
    /// Checks what a peer may have said.
    pub fn validate(&self) -> Result<(), InvalidSkipCompress> {
        let len: usize = self.0.iter().map(|suffix| suffix.len().saturating_add(1)).sum();
        if len > LONGEST {
            return Err(InvalidSkipCompress::TooLong);
        }
        let is_closed = |suffix: &String| {
            let mut rest = suffix.as_str();
            while let Some((_, class)) = rest.split_once('[') {
                match class.split_once(']') {
                    Some((_, after)) => rest = after,
                    None => return false,
                }
            }
            true
        };
        if self.0.iter().all(is_closed) { Ok(()) } else { Err(InvalidSkipCompress::OpenClass) }
    }

    /// Whether a file of this name is not worth compressing.
    pub fn matches(&self, name: &[u8]) -> bool {
        let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else { return false };
        let suffix = name.get(dot.saturating_add(1)..).unwrap_or_default();
        self.0.iter().any(|pattern| is_suffix(pattern.as_bytes(), suffix))
    }
}

/// Whether a pattern stands for a suffix.
fn is_suffix(mut pattern: &[u8], suffix: &[u8]) -> bool {
    for byte in suffix.iter().map(u8::to_ascii_lowercase) {
        let fits = match pattern.split_first() {
            None => return false,
            Some((b'[', rest)) => {
                let end = rest.iter().position(|byte| *byte == b']').unwrap_or(rest.len());
                let (class, after) = rest.split_at_checked(end).unwrap_or_default();
                pattern = after.get(1..).unwrap_or_default();
                class.contains(&byte)
            }
            Some((first, rest)) => {
                pattern = rest;
                *first == byte
            }
        };
        if !fits {
            return false;
        }
    }
    pattern.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(list: &str, name: &str) -> bool {
        list.parse::<SkipCompress>().unwrap().matches(name.as_bytes())
    }

    #[test]
    fn suffixes_are_held_against_the_end_of_a_name() {
        for (list, name, expected) in [
            ("gz/jpg", "a.gz", true),
            ("gz/jpg", "a.tar.gz", true),
            ("gz/jpg", "a.JPG", true),
            ("GZ", "a.gz", true),
            ("gz", "gz", false),
            ("gz", "a.gzz", false),
            ("gz", "a.gz.b", false),
            ("gz", "a.", false),
            ("mp[34]", "a.mp3", true),
            ("mp[34]", "a.mp4", true),
            ("mp[34]", "a.mp5", false),
            ("mp[34]", "a.mp", false),
            ("mp[34]", "a.mp34", false),
            ("[ab][cd]", "x.bc", true),
            ("*", "a.gz", false),
            ("?", "a.z", false),
            ("", "a.gz", false),
            ("[]", "a.x", false),
        ] {
            assert_eq!(matches(list, name), expected, "{list} {name}");
        }
    }

    #[test]
    fn what_is_compressed_is_skipped_by_default() {
        let list = SkipCompress::default();
        for name in ["a.zip", "b.Jpeg", "c.tar.zst", "d.mp4", "e.7z"] {
            assert!(list.matches(name.as_bytes()), "{name}");
        }
        assert!(!list.matches(b"a.txt"));
        assert_eq!(list.validate(), Ok(()));
    }

    #[test]
    fn lists_without_sense_are_refused() {
        assert_eq!("mp[34".parse::<SkipCompress>(), Err(InvalidSkipCompress::OpenClass));
        assert_eq!("a/".repeat(LONGEST).parse::<SkipCompress>(), Err(InvalidSkipCompress::TooLong));
    }
}
