//! How content is summed and compressed, from the flags about that.

use crate::cli::failure::{Failure, UNSUPPORTED};
use crate::cli::flags::Flags;
use crate::request::{CompressWhen, Compression, Compressor, DEFAULT_ZSTD_LEVEL, SkipCompress, StrongKind};

/// What `--checksum-choice` calls them. A name that stands for another one's sum comes after it.
const SUM_NAMES: [(&str, StrongKind); 7] = [
    ("xxh128", StrongKind::Xxh3),
    ("xxh3", StrongKind::Xxh3Short),
    ("xxh64", StrongKind::Xxh64),
    ("xxhash", StrongKind::Xxh64),
    ("md5", StrongKind::Md5),
    ("sha1", StrongKind::Sha1),
    ("none", StrongKind::None),
];

/// The sum of what is transferred, and that of `-c` if it is another.
pub(super) fn sums(flags: &Flags) -> Result<(StrongKind, Option<StrongKind>), Failure> {
    let one = |name: &str| {
        if name == "auto" {
            return Ok(StrongKind::default());
        }
        let known = SUM_NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        known.ok_or_else(|| {
            let names: Vec<&str> = SUM_NAMES.iter().map(|(name, _)| *name).collect();
            Failure::new(UNSUPPORTED, format!("--checksum-choice: unknown checksum {name:?}"))
                .with_hint(format!("The choices are {} and auto.", names.join(", ")))
        })
    };
    let choice = flags.checksum_choice.as_deref().unwrap_or("auto");
    let (transfer, compare) = choice.split_once(',').unwrap_or((choice, choice));
    let (transfer, compare) = (one(transfer)?, one(compare)?);
    if compare == StrongKind::None && flags.checksum {
        let why = "--checksum (-c) needs a checksum, and --checksum-choice=none asks for none";
        return Err(Failure::new(UNSUPPORTED, why));
    }
    Ok((transfer, (compare != transfer).then_some(compare)))
}

/// How many characters of a file's sum are shown. Of none two are blank, as in rsync.
pub(super) fn shown_width(flags: &Flags) -> Result<usize, Failure> {
    let (transfer, compare) = sums(flags)?;
    let shown = compare.filter(|_| flags.checksum).unwrap_or(transfer);
    Ok(shown.digest_len().saturating_mul(2).max(2))
}

/// What sums are seeded with, unless that is to be something new.
pub(super) fn seed(flags: &Flags) -> Option<u64> {
    flags.checksum_seed.filter(|seed| *seed != 0).map(|seed| u64::from(seed.cast_unsigned()))
}

/// What compresses content, if anything.
pub(super) fn compression(flags: &Flags) -> Result<Option<Compression>, Failure> {
    let when = match flags.compress.as_deref() {
        None | Some("always") => Some(CompressWhen::Always),
        Some("auto") => Some(CompressWhen::Auto),
        Some("never") => None,
        Some(other) => {
            return Err(Failure::usage(format!("--compress: {other:?} is none of its words"))
                .with_hint("They are always, never and auto."));
        }
    };
    let by = match flags.compress_choice.as_deref() {
        None | Some("zstd" | "auto") => Some(Compressor::Zstd),
        Some("lz4") => Some(Compressor::Lz4),
        Some("none") => None,
        Some(other) => {
            let what = format!("--compress-choice: unknown compression {other:?}");
            return Err(
                Failure::new(UNSUPPORTED, what).with_hint("The choices are zstd, lz4, none and auto.")
            );
        }
    };
    // Levels outside of zstd's range are brought into it, as rsync does; 0 is zstd's name for its default.
    let level = match flags.compress_level {
        None | Some(0) => DEFAULT_ZSTD_LEVEL,
        Some(level) => level.clamp(1, 22),
    };
    let asked = flags.compressed;
    Ok(when.zip(by).filter(|_| asked).map(|(when, by)| Compression { level, when, by }))
}

/// Of which files nothing is compressed.
pub(super) fn skip_compress(flags: &Flags) -> Result<SkipCompress, Failure> {
    let list = flags.skip_compress.as_deref().map(str::parse).transpose();
    let list = list.map_err(|error| Failure::usage(format!("--skip-compress: {error}")));
    Ok(list?.unwrap_or_default())
}
