//! What a test does to the disk: power cuts, kills, failing syncs, no room, rot.

use super::Random;
use super::disk::{Change, Inner, SimDisk};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Called before each operation with a clone of the disk.
pub type Watch = Arc<dyn Fn(&SimDisk) + Send + Sync>;

/// How a full disk shows itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Full {
    /// The free room says so.
    Told,
    /// Only the writes do.
    Untold,
    /// Only the sync of a directory does, when a file has its name already.
    Names,
}

impl SimDisk {
    /// The power goes off with the operation of this number.
    pub fn off_at(&self, operation: u64) {
        self.inner().off_at = Some(operation);
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.inner().off
    }

    /// So many syncs succeed, then one fails, or all from then on.
    pub fn fail_sync(&self, after: u64, always: bool) {
        self.inner().sync_fails = Some((after, always));
    }

    /// No sync fails any more, there is room, and the power stays on.
    pub fn heal(&self) {
        let mut inner = self.inner();
        (inner.sync_fails, inner.full, inner.off_at) = (None, None, None);
    }

    /// The disk is full, or has room again.
    pub fn set_full(&self, full: Option<Full>) {
        self.inner().full = full;
    }

    /// `watch` is called before each operation with a clone of the disk.
    pub fn watch(&self, watch: Option<Watch>) {
        self.inner().watch = watch;
    }

    /// The power fails and comes back: of what is not durable, some stays. Everything comes from `seed`.
    pub fn cut_power(&self, seed: u64) {
        let inner = &mut *self.inner();
        let mut random = Random::new(seed);
        let mut by_dir: BTreeMap<PathBuf, Vec<Change>> = BTreeMap::new();
        for change in std::mem::take(&mut inner.changes) {
            by_dir.entry(change.dir().into()).or_default().push(change);
        }
        for changes in by_dir.into_values() {
            let kept = random.below(changes.len() as u64 + 1);
            for change in changes.into_iter().take(usize::try_from(kept).unwrap_or(usize::MAX)) {
                change.apply(&mut inner.durable_names);
            }
        }
        // A name below a directory that is gone is gone too.
        let all = inner.durable_names.clone();
        let there = |path: &Path| path.ancestors().skip(1).all(|dir| dir == Path::new("/") || all.contains_key(dir));
        inner.durable_names.retain(|path, _| there(path));
        inner.names = inner.durable_names.clone();
        let named: BTreeSet<u64> = inner.names.values().copied().collect();
        inner.nodes.retain(|node, _| named.contains(node));
        for content in inner.nodes.values_mut().flatten() {
            content.sync_some(&mut random);
            content.written = content.durable.clone();
        }
        inner.locked.clear();
        (inner.off, inner.off_at) = (false, None);
        inner.boots += 1;
    }

    /// The process is killed: what was written stays as it is, durable or not.
    pub fn kill(&self) {
        let inner = &mut *self.inner();
        inner.locked.clear();
        inner.boots += 1;
    }

    /// Changes a byte where it lies, as rot does.
    pub fn flip(&self, path: &Path, offset: usize, bits: u8) {
        let inner = &mut *self.inner();
        let Ok(node) = inner.node(path) else { return };
        let Ok(content) = inner.content(node) else { return };
        for bytes in [&mut content.written, &mut content.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= bits;
            }
        }
    }
}

impl Inner {
    /// Whether the disk is so full that no write finds room.
    pub(super) fn refuses_writes(&self) -> bool {
        matches!(self.full, Some(Full::Told | Full::Untold))
    }

    /// Whether the next sync fails.
    pub(super) fn sync_fails(&mut self) -> bool {
        match &mut self.sync_fails {
            Some((0, always)) => {
                if !*always {
                    self.sync_fails = None;
                }
                true
            }
            Some((left, _)) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}
