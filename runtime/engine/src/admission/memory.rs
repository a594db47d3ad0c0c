//! How much memory a module may come to have, and what that makes an access to it cost.

use crate::limits::{MEMORY_PAGES_MAX, PAGE_BYTES};
use crate::prices;
use chancery_types::Gas;
use std::fmt;

/// The most memory that a module may come to have: what it declares, or as much as any may where it declares nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// Pages of 64 KiB; `None` where the module declares no maximum.
    pub declared: Option<u64>,
}

impl MemoryLimit {
    /// Pages of 64 KiB.
    pub fn pages_max(self) -> u64 {
        self.declared.unwrap_or(MEMORY_PAGES_MAX)
    }

    /// What a load or store costs.
    pub fn access(self) -> Gas {
        Gas(prices::access(self.pages_max()))
    }
}

/// For people: the most pages, what an access costs, and how to declare a maximum where there is none.
impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = self.pages_max();
        let word = if pages == 1 { "page" } else { "pages" };
        let kib = pages * PAGE_BYTES / 1024;
        let size =
            if kib > 0 && kib.is_multiple_of(1024) { format!("{} MiB", kib / 1024) } else { format!("{kib} KiB") };
        match self.declared {
            Some(_) => write!(f, "at most {pages} {word} ({size}); an access costs {} gas", self.access()),
            None => write!(
                f,
                "no maximum is declared, so priced as {pages} {word} ({size}); an access costs {} gas: declare one, with `wasm-ld --max-memory=BYTES`",
                self.access()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixtures::with_memory;
    use crate::{admit, check};

    #[test]
    fn what_a_module_declares_is_read_and_told() {
        for (declared, told) in [
            ("1 1", "at most 1 page (64 KiB); an access costs 7 gas"),
            ("1 3", "at most 3 pages (192 KiB); an access costs 14 gas"),
            ("1 16", "at most 16 pages (1 MiB); an access costs 40 gas"),
            ("1 20", "at most 20 pages (1280 KiB); an access costs 200 gas"),
            (
                "1",
                "no maximum is declared, so priced as 256 pages (16 MiB); an access costs 1500 gas: declare one, with `wasm-ld --max-memory=BYTES`",
            ),
        ] {
            assert_eq!(admit(&with_memory(declared, "")).unwrap().memory.to_string(), told);
        }
        let checked = |declared| {
            let checks = check(&with_memory(declared, ""));
            checks.into_iter().find(|check| check.name == "pages of the memory, declared").unwrap().found
        };
        assert_eq!(["1 3", "1"].map(checked), ["3", "none, which counts as 256"]);
    }
}
