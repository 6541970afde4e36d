//! When to use more than one thread.

use std::sync::OnceLock;

/// Whether work should go to rayon's threads.
///
/// False in a forked child (data loader workers, for instance): the threads of the parent's pool do not exist there,
/// and waiting for them would never end.
pub fn available() -> bool {
    static OWNER: OnceLock<u32> = OnceLock::new();
    let process = std::process::id();
    *OWNER.get_or_init(|| process) == process
}
