//! Named points of the commit path, at which a test kills the process.
//!
//! With the feature `failpoints`, `CHANCERY_FAILPOINT=NAME:N` kills the process with SIGKILL when it passes the point
//! NAME for the N-th time: nothing is flushed, dropped or closed. Without the feature, which is what is shipped, a
//! point is nothing.

/// The points, in the order in which a block passes them. The `file-` points are those of every whole file: blobs,
/// segments, checkpoints.
#[cfg(feature = "failpoints")]
pub const POINTS: [&str; 13] = [
    "before-append",
    "segment-create",
    "append-written",
    "append-synced",
    "after-commit",
    "before-answer",
    "view-apply",
    "view-checkpoint",
    "publish",
    "file-written",
    "file-synced",
    "file-renamed",
    "close",
];

/// Passes a point.
#[cfg(feature = "failpoints")]
pub(crate) fn pass(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{LazyLock, Mutex, PoisonError};

    static CHOSEN: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
        let chosen = std::env::var("CHANCERY_FAILPOINT").ok()?;
        let (name, times) = chosen.split_once(':')?;
        Some((name.into(), AtomicU64::new(times.parse().ok()?)))
    });
    static DYING: Mutex<()> = Mutex::new(());

    let Some((chosen, left)) = &*CHOSEN else { return };
    if chosen == name && left.fetch_sub(1, Ordering::SeqCst) == 1 {
        // No other thread passes a point while this one dies.
        let _dying = DYING.lock().unwrap_or_else(PoisonError::into_inner);
        let this = rustix::process::getpid();
        if rustix::process::kill_process(this, rustix::process::Signal::KILL).is_ok() {
            // The signal comes before anything else is done.
            std::thread::park();
        }
    }
}

/// Passes a point, which is nothing here.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn pass(_: &str) {}
