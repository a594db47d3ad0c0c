//! The door to the runtime: its host functions as Rust functions. `docs/src/formats/abi.md` describes them.

#[cfg(not(target_arch = "wasm32"))]
pub use crate::native::*;
#[cfg(target_arch = "wasm32")]
pub use crate::wasm::*;

/// Bytes of what the host function `context` writes.
pub const CONTEXT_BYTES: usize = 128;
/// Pairs that are asked for at once.
pub(crate) const PAGE_PAIRS: u32 = 32;

/// A page of a scan.
pub struct Page {
    /// How many pairs.
    pub count: u32,
    /// The pairs, each `u16` LE key length, key, `u32` LE value length, value.
    pub bytes: alloc::vec::Vec<u8>,
}
