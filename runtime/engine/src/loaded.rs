//! Compiled modules in memory, bounded by their number and by the bytes of their code.
//!
//! When one more does not fit, those that were not used for the longest go first. A module that is gone is loaded again, from the cache of code or by
//! compiling it. What still executes a module, and what waits as a kept instance of it, holds its code beyond that: at most
//! [`EXECUTIONS_MAX`](crate::limits::EXECUTIONS_MAX) and [`KEPT_MAX`](crate::limits::KEPT_MAX) more.

use chancery_types::ModuleId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// Modules by their ids.
pub(crate) struct Loaded<T> {
    count_max: usize,
    bytes_max: usize,
    modules: RwLock<HashMap<ModuleId, Entry<T>>>,
    /// Counts uses: the larger number is the later one.
    uses: AtomicU64,
}

struct Entry<T> {
    module: T,
    /// Bytes of its code.
    bytes: usize,
    last_use: AtomicU64,
}

impl<T: Clone> Loaded<T> {
    /// None yet; at most so many, with so many bytes of code together.
    pub(crate) fn new(count_max: usize, bytes_max: usize) -> Self {
        Loaded { count_max, bytes_max, modules: RwLock::default(), uses: AtomicU64::new(0) }
    }

    /// The module, if it is here.
    pub(crate) fn get(&self, id: &ModuleId) -> Option<T> {
        let modules = self.modules.read().unwrap_or_else(PoisonError::into_inner);
        let entry = modules.get(id)?;
        entry.last_use.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(entry.module.clone())
    }

    /// Keeps a module with so many bytes of code; those that were not used for the longest make room. The newest stays, however large it is.
    /// Gives back what all are to use: where two have loaded a module at once, it is that of the first.
    pub(crate) fn put(&self, id: ModuleId, module: T, bytes: usize) -> T {
        let mut modules = self.modules.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = modules.get(&id) {
            return entry.module.clone();
        }
        while modules.len() >= self.count_max || bytes_of(&modules) + bytes > self.bytes_max {
            let oldest = modules.iter().min_by_key(|(_, entry)| entry.last_use.load(Ordering::Relaxed));
            let Some(oldest) = oldest.map(|(id, _)| *id) else { break };
            modules.remove(&oldest);
        }
        let last_use = AtomicU64::new(self.uses.fetch_add(1, Ordering::Relaxed));
        modules.insert(id, Entry { module: module.clone(), bytes, last_use });
        module
    }
}

fn bytes_of<T>(modules: &HashMap<ModuleId, Entry<T>>) -> usize {
    modules.values().map(|entry| entry.bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(number: u8) -> ModuleId {
        ModuleId([number; 32])
    }

    /// Which of the first ten modules are here.
    fn here(loaded: &Loaded<u8>) -> Vec<u8> {
        let modules = loaded.modules.read().unwrap();
        (0..10).filter(|number| modules.contains_key(&id(*number))).collect()
    }

    #[test]
    fn the_number_of_modules_is_bounded_and_the_longest_unused_goes() {
        let loaded = Loaded::new(3, usize::MAX);
        (0..3).for_each(|number| assert_eq!(loaded.put(id(number), number, 1), number));
        assert_eq!(loaded.get(&id(0)), Some(0));
        loaded.put(id(3), 3, 1);
        assert_eq!(here(&loaded), [0, 2, 3]);
        assert_eq!(loaded.get(&id(1)), None, "it is to be loaded again");
        loaded.put(id(1), 1, 1);
        assert_eq!(here(&loaded), [0, 1, 3]);
    }

    #[test]
    fn the_bytes_of_code_are_bounded_and_as_many_go_as_must() {
        let loaded = Loaded::new(100, 10);
        (0..5).for_each(|number| assert_eq!(loaded.put(id(number), number, 2), number));
        loaded.put(id(5), 5, 3);
        assert_eq!(here(&loaded), [2, 3, 4, 5]);
        assert_eq!(loaded.put(id(2), 7, 1), 2, "of two that were loaded at once the first is used");
        assert_eq!(here(&loaded), [2, 3, 4, 5], "one that was put twice counts once");
        loaded.put(id(6), 6, 11);
        assert_eq!(here(&loaded), [6], "the newest stays");
        loaded.put(id(7), 7, 1);
        assert_eq!(here(&loaded), [7]);
    }
}
