//! Makes the trees of a case, byte for byte and nanosecond for nanosecond the same each time.
//!
//! Each small file has a time of its own, to the nanosecond, as files have that people made: lists of files in which
//! all times are the same are far shorter than real ones.
//!
//! Making a state anew before every run replaces copying it from a stored original, which would hold a third
//! gigabyte of the tmpfs.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cases::{Bytes, Part};
use crate::failure::{Doing, Failure};
use crate::noise;
use crate::scale::{LARGER, Scale};

/// Modification time of what is in both states, in seconds since 1970: any fixed time in the past.
const UNCHANGED: u64 = 1_600_000_000;
/// Modification time of what only the source's state has.
const CHANGED: u64 = UNCHANGED + 1_000_000;

const FILE_SEED: u64 = 1;
const EDIT_SEED: u64 = 2;
const SMALL_SEED: u64 = 3;
const SIZE_SEED: u64 = 4;
const TIME_SEED: u64 = 5;
const CHOICE_SEED: u64 = 6;

/// Over how long the times of small files are spread.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

const EDITS: u64 = 100;
const EDIT_LENGTH: u64 = 37;
const INSERTED: u64 = 1237;
const DELETED: u64 = 4321;
const REPEATED_BLOCK: u64 = 4096;
const ODD_SHIFT: u64 = 1001;

const SMALLEST: u64 = 200;
const LARGEST: u64 = 8000;
const FILES_PER_DIRECTORY: u64 = 100;

/// Replaces whatever is at `root` by a directory holding `parts`.
pub(crate) fn make(root: &Path, parts: &[Part], scale: Scale) -> Result<(), Failure> {
    remove(root)?;
    fill(root, parts, scale).doing(|| format!("Making {}", root.display()))
}

/// Removes the tree at `root` if there is one.
pub(crate) fn remove(root: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
    .doing(|| format!("Removing {}", root.display()))
}

/// Removes what dsync remembers of the tree at `root`.
pub(crate) fn forget(root: &Path) -> Result<(), Failure> {
    remove(&root.join(".dsync"))?;
    date_directory(root).doing(|| format!("Dating {}", root.display()))
}

fn fill(root: &Path, parts: &[Part], scale: Scale) -> io::Result<()> {
    fs::create_dir(root)?;
    for part in parts {
        match *part {
            Part::File(bytes) => large_file(&root.join("file"), bytes, scale.file_bytes)?,
            Part::HalfFile(bytes) => large_file(&root.join("file"), bytes, scale.file_bytes / 2)?,
            Part::Directory(name) => larger_files(&root.join(name), scale.directory_files())?,
            Part::SmallFiles { count, edited } => small_files(root, scale.count(count), edited)?,
            Part::EmptyFiles { directories, in_each } => {
                empty_files(root, scale.count(directories), in_each)?;
            }
        }
    }
    date_directory(root)
}

fn large_file(path: &Path, bytes: Bytes, length: u64) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    match bytes {
        Bytes::Noise | Bytes::Edited => noise::write(&mut out, FILE_SEED, 0..length)?,
        Bytes::Shifted => {
            let (inserted_at, deleted_at) = (length / 3, length / 3 * 2);
            noise::write(&mut out, FILE_SEED, 0..inserted_at)?;
            noise::write(&mut out, EDIT_SEED, 0..INSERTED)?;
            noise::write(&mut out, FILE_SEED, inserted_at..deleted_at)?;
            noise::write(&mut out, FILE_SEED, deleted_at + DELETED..length)?;
        }
        Bytes::Zeros | Bytes::ZerosButOne => {
            io::copy(&mut io::Read::take(io::repeat(0), length), &mut out)?;
        }
        Bytes::Repeated => repeated(&mut out, 0, length)?,
        Bytes::RepeatedShifted => repeated(&mut out, ODD_SHIFT, length)?,
    }
    let file = out.into_inner()?;
    match bytes {
        Bytes::Edited => edit(&file, length)?,
        Bytes::ZerosButOne => file.write_all_at(&[1], length / 2)?,
        _ => {}
    }
    let of_the_source =
        matches!(bytes, Bytes::Edited | Bytes::Shifted | Bytes::ZerosButOne | Bytes::RepeatedShifted);
    date(&file, if of_the_source { CHANGED } else { UNCHANGED })
}

/// Overwrites the scattered stretches, one at a random place of each hundredth of the file.
fn edit(file: &File, length: u64) -> io::Result<()> {
    let stretch = length / EDITS;
    for number in 0..EDITS {
        let within = noise::mixed(EDIT_SEED, number) % (stretch - EDIT_LENGTH);
        overwrite(file, number * stretch + within, number)?;
    }
    Ok(())
}

/// Overwrites one stretch of a file by the edit of that number.
fn overwrite(file: &File, at: u64, number: u64) -> io::Result<()> {
    file.write_all_at(&noise::bytes(EDIT_SEED, number * EDIT_LENGTH..(number + 1) * EDIT_LENGTH), at)
}

/// Writes the repeated block from `first` within it on, up to `length` bytes in all.
fn repeated(out: &mut impl Write, first: u64, length: u64) -> io::Result<()> {
    let mut written = (REPEATED_BLOCK - first).min(length);
    noise::write(out, FILE_SEED, first..first + written)?;
    let block = noise::bytes(FILE_SEED, 0..REPEATED_BLOCK);
    while written < length {
        let count = REPEATED_BLOCK.min(length - written);
        out.write_all(block.get(..count as usize).unwrap_or_default())?;
        written += count;
    }
    Ok(())
}

/// The same files whatever the directory is called.
fn larger_files(directory: &Path, count: u64) -> io::Result<()> {
    fs::create_dir(directory)?;
    for number in 0..count {
        let mut file = File::create(directory.join(format!("file-{number:06}")))?;
        noise::write(&mut file, FILE_SEED, number * LARGER..(number + 1) * LARGER)?;
        date_on_its_own(&file, UNCHANGED, number)?;
    }
    date_directory(directory)
}

fn small_files(root: &Path, count: u64, edited: u64) -> io::Result<()> {
    for first in (0..count).step_by(FILES_PER_DIRECTORY as usize) {
        let directory = numbered_directory(root, first / FILES_PER_DIRECTORY)?;
        for number in first..(first + FILES_PER_DIRECTORY).min(count) {
            let size = SMALLEST + noise::mixed(SIZE_SEED, number) % (LARGEST - SMALLEST + 1);
            let content = number * LARGEST..number * LARGEST + size;
            let mut file = File::create(directory.join(format!("file-{number:06}")))?;
            noise::write(&mut file, SMALL_SEED, content)?;
            let is_edited = noise::mixed(CHOICE_SEED, number) % 100 < edited;
            if is_edited {
                overwrite(&file, size / 2, number)?;
            }
            date_on_its_own(&file, if is_edited { CHANGED } else { UNCHANGED }, number)?;
        }
        date_directory(&directory)?;
    }
    Ok(())
}

fn empty_files(root: &Path, directories: u64, in_each: u64) -> io::Result<()> {
    for number in 0..directories {
        let directory = numbered_directory(root, number)?;
        for file in 0..in_each {
            let empty = File::create(directory.join(format!("empty-{file:06}")))?;
            date_on_its_own(&empty, UNCHANGED, number * in_each + file)?;
        }
        date_directory(&directory)?;
    }
    Ok(())
}

fn numbered_directory(root: &Path, number: u64) -> io::Result<PathBuf> {
    let path = root.join(format!("directory-{number:05}"));
    fs::create_dir(&path)?;
    Ok(path)
}

/// Directories get a fixed time after their last entry, so that an unchanged tree is unchanged to the last attribute.
fn date_directory(path: &Path) -> io::Result<()> {
    date(&File::open(path)?, UNCHANGED)
}

fn date(file: &File, seconds: u64) -> io::Result<()> {
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Dates the file `number` within the year after `seconds`.
fn date_on_its_own(file: &File, seconds: u64, number: u64) -> io::Result<()> {
    let within = Duration::from_nanos(noise::mixed(TIME_SEED, number) % YEAR.as_nanos() as u64);
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + within)
}
