//! Which machine this is.

/// What the system calls this machine and no other (machine-id(5)); `None` where it has no such name. Others are not to
/// learn it, so only a hash of it may be stored or sent.
pub fn machine_name() -> Option<String> {
    let text = std::fs::read_to_string("/etc/machine-id").ok()?;
    Some(text.trim().to_owned()).filter(|name| !name.is_empty())
}

/// What tells this machine, since it was started, from every other one, though they were copied from one disk; `None`
/// where the system has no such name. What runs in containers on it has the same.
pub fn running_system() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|name| !name.is_empty())
}

/// What this machine calls itself on the network; it need not be the only one of that name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
