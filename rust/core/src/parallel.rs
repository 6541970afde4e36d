//! When to use more than one thread, and how to share uneven work.

use std::sync::{Mutex, OnceLock, PoisonError};

use rayon::prelude::*;

/// Whether work should go to rayon's threads.
///
/// False in a forked child (data loader workers, for instance): the threads of the parent's pool do not exist there,
/// and waiting for them would never end.
pub fn available() -> bool {
    static OWNER: OnceLock<u32> = OnceLock::new();
    let process = std::process::id();
    *OWNER.get_or_init(|| process) == process
}

/// How many threads [`share`] uses at most.
pub fn threads() -> usize {
    if available() { rayon::current_num_threads() } else { 1 }
}

/// Do `work` on every item, as [`share`]; return the results in the order of the items.
pub fn ordered<T: Send, L: Send, R: Send>(
    items: Vec<T>,
    start: impl Fn() -> L + Sync,
    work: impl Fn(&mut L, T) -> R + Sync,
) -> Vec<R> {
    let items = items.into_iter().enumerate().collect();
    let done =
        share(items, || (start(), Vec::new()), |(local, done), (place, item)| done.push((place, work(local, item))));
    let mut done: Vec<(usize, R)> = done.into_iter().flat_map(|(_, done)| done).collect();
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Do `work` on every item, each thread taking the next one when it is free; return what each thread gathered.
///
/// Which items a thread gets depends on the clock: the caller makes nothing of it, by adding integers or sorting.
pub fn share<T: Send, L: Send>(items: Vec<T>, start: impl Fn() -> L + Sync, work: impl Fn(&mut L, T) + Sync) -> Vec<L> {
    let threads = threads().min(items.len()).max(1);
    let next = Mutex::new(items.into_iter());
    let worker = || {
        let mut local = start();
        loop {
            let item = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(item) = item else { return local };
            work(&mut local, item);
        }
    };
    if threads == 1 {
        return vec![worker()];
    }
    (0..threads).into_par_iter().with_max_len(1).map(|_| worker()).collect()
}
