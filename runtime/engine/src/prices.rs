//! The gas price list.
//!
//! One gas is a tenth of a nanosecond of the reference machine: about what the machine works for whatever is charged; the page says how much more it
//! can be. So small a unit, because a simple operator takes less than a nanosecond, and a price must be a whole number of at least one. Everything is charged
//! before the work. An access to the memory costs by the most memory that its module declares: see [`access`]. What is counted in bytes of which several go for one gas is rounded down. The prices of host functions stand
//! in [`HOST_FUNCTIONS`](crate::HOST_FUNCTIONS): `base + per_byte × bytes`. The bench `prices` measures the time that each
//! line takes for a gas, and `reads` that of reads on a ledger with many keys.
//!
//! The version is written into every entry and is part of the key of the code cache. Changing a price, or where the
//! instrumentation charges it, takes a new version. `docs/src/formats/prices.md` shows this list; a test compares the two.

use chancery_types::Gas;

/// Version of this list.
pub const PRICES_VERSION: u16 = 3;
/// The most that can be set aside for a call: about 50 ms.
pub const CALL_GAS_MAX: Gas = Gas(500_000_000);

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// What is charged.
    pub name: &'static str,
    /// How much.
    pub gas: u64,
    /// For how much of it.
    pub unit: &'static str,
    /// Why.
    pub reason: &'static str,
}

macro_rules! prices {
    ($($(#[doc = $reason:literal])+ $name:ident = $gas:literal $unit:literal;)*) => {
        $($(#[doc = $reason])+ pub const $name: u64 = $gas;)*

        /// Every price but those of the host functions.
        pub const PRICES: &[Price] = &[
            $(Price { name: stringify!($name), gas: $gas, unit: $unit, reason: concat!($($reason),+) },)*
        ];
    };
}

prices! {
    /// A fresh instance, and what executing costs around it.
    CALL = 30_000 "a call that reaches a module";
    /// Looking it up and recording it.
    REJECTED = 10_000 "a call that is rejected before any code runs";
    /// Compiling it: 1.6 µs a byte.
    MODULE_BYTE = 16_000 "a byte of a module that is deployed, beside what its init costs";
    /// Writing the page over after the call.
    PAGE = 20_000 "a page of 64 KiB that the memory starts with, the first four";
    /// Fetching it from the system, 4 KiB at a time, and giving it back.
    LARGE_PAGE = 100_000 "a page that the memory starts with beyond four, or grows by";
    /// Copied when the page is first touched.
    DATA_BYTES_PER_GAS = 8 "bytes of data segments for one gas";
    /// Arithmetic, constants, locals, branches: one instruction or less.
    SIMPLE = 1 "a simple operator";
    /// Two or three instructions.
    MULTIPLY = 3 "a multiplication, a rotation, a comparison, a select, a global";
    /// A jump through a table, to a place that is hard to foretell.
    TABLE_BRANCH = 36 "a br_table";
    /// Four or five cycles until the value is there: the memory hardly exceeds the first cache.
    ACCESS = 7 "a load or store, where the module declares at most 1 page of memory";
    /// Some miss the first cache.
    ACCESS_256_KIB = 14 "a load or store, at most 4 pages";
    /// Most miss the first cache.
    ACCESS_1_MIB = 40 "a load or store, at most 16 pages";
    /// Most miss the second cache.
    ACCESS_4_MIB = 200 "a load or store, at most 64 pages";
    /// Most miss every cache, and the table of pages besides.
    ACCESS_16_MIB = 1_500 "a load or store, at most 256 pages, or none declared";
    /// 10 to 40 cycles.
    DIVIDE = 30 "a division or remainder";
    /// A frame; the counters of the stack.
    FUNCTION = 12 "a call of a function";
    /// A frame, a bounds check, a comparison of signatures, and a jump to a place that is hard to foretell.
    INDIRECT = 20 "a call through the table";
    /// Locals are cleared on entry.
    LOCAL = 1 "a local, parameters not counted, each time its function is entered";
    /// A call into the engine.
    BULK = 150 "a memory.copy or memory.fill, beside what its places cost";
    /// Streaming through the caches.
    BULK_BYTES_PER_GAS = 4 "bytes copied or filled for one gas, at most 64 pages";
    /// Streaming through the memory behind them.
    BULK_BYTES_PER_GAS_16_MIB = 1 "bytes copied or filled for one gas, at most 256 pages, or none declared";
    /// A call into the engine, whatever comes of it.
    GROW = 2_000 "a memory.grow";
    /// Latency of the unit, and making a NaN the canonical one.
    FLOAT = 6 "a floating-point operator (WASI profile)";
    /// 15 to 20 cycles, and the checks of a conversion.
    FLOAT_SLOW = 25 "a floating-point division, root or conversion to an integer (WASI profile)";
    /// A call into the engine with values on the heap.
    WASI = 1_500 "a call of a WASI function";
    /// Read from the memory before what it points to.
    WASI_VECTOR = 100 "a vector of fd_write";
    /// As a digest, which random bytes are.
    WASI_BYTE = 10 "a byte written by fd_write or random_get";
    /// A step of the search, and the proof that the state has the pair.
    SCAN_PAIR = 20_000 "a pair that state_scan reads, beside its bytes";
}

/// A load or store in a module whose memory may have at most so many pages. Whether it misses a cache is not known when it is paid; that it cannot, where
/// all of the memory fits the cache, is known.
pub const fn access(pages_max: u64) -> u64 {
    match pages_max {
        0..=1 => ACCESS,
        2..=4 => ACCESS_256_KIB,
        5..=16 => ACCESS_1_MIB,
        17..=64 => ACCESS_4_MIB,
        _ => ACCESS_16_MIB,
    }
}

/// A bulk operator that goes to so many places of a memory of at most so many pages, beside its bytes. [`BULK`] covers accesses of the first cache.
pub const fn bulk(places: u64, pages_max: u64) -> u64 {
    BULK + places * (access(pages_max) - ACCESS)
}

/// Bytes that a bulk operator copies or fills for one gas, in a memory of at most so many pages.
pub const fn bulk_bytes_per_gas(pages_max: u64) -> u64 {
    if pages_max <= 64 { BULK_BYTES_PER_GAS } else { BULK_BYTES_PER_GAS_16_MIB }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MEMORY_PAGES_MAX;

    #[test]
    fn an_access_costs_what_the_most_memory_can_make_it_cost() {
        for (prices, pages) in [
            (ACCESS, [0, 1]),
            (ACCESS_256_KIB, [2, 4]),
            (ACCESS_1_MIB, [5, 16]),
            (ACCESS_4_MIB, [17, 64]),
            (ACCESS_16_MIB, [65, 256]),
        ] {
            assert_eq!(pages.map(access), [prices; 2], "{pages:?} pages");
        }
        assert!((0..=MEMORY_PAGES_MAX).is_sorted_by_key(access), "more memory is never cheaper");
    }

    #[test]
    fn a_bulk_operator_pays_for_each_of_its_places() {
        assert_eq!([0, 1].map(|pages| bulk(2, pages)), [BULK; 2]);
        assert_eq!(bulk(1, 16) - BULK, ACCESS_1_MIB - ACCESS);
        assert_eq!(bulk(2, 256) - BULK, 2 * (ACCESS_16_MIB - ACCESS));
    }

    #[test]
    fn the_page_on_prices_shows_this_list() {
        let page = include_str!("../../../docs/src/formats/prices.md");
        for Price { name, gas, unit, reason } in PRICES {
            let line = format!("| `{name}` | {gas} | {unit} | {} |", reason.trim());
            assert!(page.contains(&line), "missing from prices.md:\n{line}");
        }
        for function in crate::HOST_FUNCTIONS {
            let line = function.price_line();
            assert!(page.contains(&line), "missing from prices.md:\n{line}");
        }
        assert!(page.contains(&format!("Version {PRICES_VERSION}")));
    }
}
