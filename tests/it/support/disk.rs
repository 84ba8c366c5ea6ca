//! File systems of a test's own, unmounted when dropped.

use crate::support::scene::Scene;
use crate::support::tools;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A file system mounted for a test.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) at: PathBuf,
    /// What it is on, which is given up after it is unmounted.
    _device: Option<Loop>,
}

/// An image as a block device.
#[derive(Debug)]
pub(crate) struct Loop(String);

impl Loop {
    /// `None`, after having said why, where that cannot be had.
    pub(crate) fn new(image: &Path) -> Option<Loop> {
        let losetup = tools::find("losetup")?;
        // Another test may have taken the one that was found free.
        for _ in 0..20 {
            let made = Command::new(&losetup).args(["-f", "--show"]).arg(image).output().unwrap();
            if made.status.success() {
                return Some(Loop(String::from_utf8(made.stdout).unwrap().trim().to_owned()));
            }
        }
        println!("skipped: an image cannot be made a device here");
        None
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.0).status();
    }
}

impl Disk {
    /// One at a path that is not there yet.
    pub(crate) fn at(path: PathBuf) -> Option<Disk> {
        Disk::mount(path, &["-t", "tmpfs", "none"])
    }

    /// Whether there may be any here.
    pub(crate) fn is_possible() -> bool {
        static IS_POSSIBLE: OnceLock<bool> = OnceLock::new();
        *IS_POSSIBLE.get_or_init(|| {
            let place = tempfile::tempdir().unwrap();
            let is_possible = Disk::at(place.path().join("disk")).is_some();
            if !is_possible {
                tools::missing("the right to mount");
            }
            is_possible
        })
    }

    /// One of so many `mebibytes`, at `name` in the scene. `None` if that cannot be had here.
    pub(crate) fn small(scene: &Scene, name: &str, mebibytes: u32) -> Option<Disk> {
        let size = format!("size={mebibytes}m");
        Disk::mount(scene.path(name), &["-t", "tmpfs", "-o", &size, "none"]).or_else(|| {
            tools::missing("the right to mount");
            None
        })
    }

    /// One on which nothing can be executed. `None` if that cannot be had here.
    pub(crate) fn noexec(scene: &Scene, name: &str) -> Option<Disk> {
        Disk::mount(scene.path(name), &["-t", "tmpfs", "-o", "noexec", "none"]).or_else(|| {
            tools::missing("the right to mount");
            None
        })
    }

    /// One that has neither extended attributes nor ACLs. `None` if that cannot be had here.
    pub(crate) fn without_attributes(scene: &Scene, name: &str) -> Option<Disk> {
        Disk::mount(scene.path(name), &["-t", "ramfs", "none"]).or_else(|| {
            tools::missing("the right to mount");
            None
        })
    }

    /// One on which files can share blocks: XFS in an image of `mebibytes`, 300 at least. `None` if that cannot be had
    /// here, which is so in many containers.
    pub(crate) fn sharing(scene: &Scene, name: &str, mebibytes: u64) -> Option<Disk> {
        let mkfs = tools::find("mkfs.xfs")?;
        let image = scene.path(&format!("{name}.image"));
        File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        let made = Command::new(mkfs).args(["-q", "-m", "reflink=1"]).arg(&image).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let disk = Disk::mount(scene.path(name), &["-t", "xfs", "-o", "loop", image.to_str().unwrap()]);
        if disk.is_none() {
            println!("skipped: an image cannot be mounted here");
        }
        disk
    }

    /// One that does not tell capital letters from small ones, and has no permissions, no links and no way to exchange
    /// two names either: exFAT, as on a memory stick. `None` if that cannot be had here.
    pub(crate) fn ignoring_case(scene: &Scene, name: &str) -> Option<Disk> {
        let (mkfs, mount) = (tools::find("mkfs.exfat")?, tools::find("mount.exfat-fuse")?);
        let image = scene.path(&format!("{name}.image"));
        File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let made = Command::new(mkfs).arg(&image).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let device = Loop::new(&image)?;
        let at = scene.path(name);
        fs::create_dir(&at).unwrap();
        let mounted = Command::new(mount).arg(&device.0).arg(&at).output().unwrap();
        if !mounted.status.success() {
            println!("skipped: no file system that ignores case can be mounted here");
            return None;
        }
        Some(Disk { at, _device: Some(device) })
    }

    fn mount(at: PathBuf, options: &[&str]) -> Option<Disk> {
        let mount = tools::find("mount")?;
        fs::create_dir(&at).unwrap();
        let mounted = Command::new(mount).args(options).arg(&at).output().unwrap();
        mounted.status.success().then(|| Disk { at, _device: None })
    }

    /// How many bytes are in use, once everything is where it belongs.
    pub(crate) fn used(&self) -> u64 {
        let root = File::open(&self.at).unwrap();
        rustix::fs::syncfs(&root).unwrap();
        let status = rustix::fs::fstatvfs(&root).unwrap();
        (status.f_blocks - status.f_bfree) * status.f_frsize
    }

    /// The path of something on it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.at).join(name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
