//! The host functions as imports; the allocator; the panic handler.

use crate::host::{CONTEXT_BYTES, PAGE_PAIRS};
use alloc::vec;
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;

mod import {
    #[link(wasm_import_module = "chancery_v1")]
    unsafe extern "C" {
        pub(super) fn arguments(out: *mut u8);
        pub(super) fn context(out: *mut u8);
        pub(super) fn result(ptr: *const u8, len: usize);
        pub(super) fn fault(code: u32, ptr: *const u8, len: usize);
        pub(super) fn state_get(key: *const u8, key_len: usize, out: *mut u8, cap: usize) -> i64;
        pub(super) fn state_set(key: *const u8, key_len: usize, value: *const u8, value_len: usize);
        pub(super) fn state_remove(key: *const u8, key_len: usize);
        pub(super) fn state_scan(
            from: *const u8,
            from_len: usize,
            to: *const u8,
            to_len: usize,
            flags: u32,
            limit: u32,
            out: *mut u8,
            cap: usize,
        ) -> i64;
        pub(super) fn event(kind: u32, ptr: *const u8, len: usize);
        pub(super) fn trace(ptr: *const u8, len: usize);
        pub(super) fn verify_ed25519(key: *const u8, message: *const u8, len: usize, signature: *const u8) -> i32;
        pub(super) fn blake3(ptr: *const u8, len: usize, out: *mut u8);
        pub(super) fn sha256(ptr: *const u8, len: usize, out: *mut u8);
        pub(super) fn log(ptr: *const u8, len: usize);
    }
}

// SAFETY of every block below: pointer and length are those of a slice that lives until the host returns; the host reads or writes
// within them only.

/// The encoded arguments.
pub fn arguments(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    unsafe { import::arguments(bytes.as_mut_ptr()) };
    bytes
}

/// What the contract may know of the world.
pub fn context() -> [u8; CONTEXT_BYTES] {
    let mut bytes = [0; CONTEXT_BYTES];
    unsafe { import::context(bytes.as_mut_ptr()) };
    bytes
}

/// Sets the result.
pub fn result(bytes: &[u8]) {
    unsafe { import::result(bytes.as_ptr(), bytes.len()) }
}

/// Sets the error.
pub fn fault(code: u16, fields: &[u8]) {
    unsafe { import::fault(code.into(), fields.as_ptr(), fields.len()) }
}

/// Most values are smaller; a larger one is asked for again.
const FIRST_CAP: usize = 256;
/// Bytes of a page of pairs, until one pair alone is larger.
const FIRST_PAGE: usize = 4 * 1024;

/// The value of a key.
pub fn get(key: &[u8]) -> Option<Vec<u8>> {
    let read =
        |value: &mut Vec<u8>| unsafe { import::state_get(key.as_ptr(), key.len(), value.as_mut_ptr(), value.len()) };
    let mut value = vec![0; FIRST_CAP];
    let mut len = usize::try_from(read(&mut value)).ok()?;
    if len > FIRST_CAP {
        value = vec![0; len];
        len = usize::try_from(read(&mut value)).ok()?;
    }
    value.truncate(len);
    Some(value)
}

/// Sets a key.
pub fn set(key: &[u8], value: &[u8]) {
    unsafe { import::state_set(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
}

/// Removes a key.
pub fn remove(key: &[u8]) {
    unsafe { import::state_remove(key.as_ptr(), key.len()) }
}

/// The first pairs of `[from, to)`, written to the beginning of `page`, and how many they are. The page grows where not even one fits.
pub fn scan(from: &[u8], to: &[u8], descending: bool, page: &mut Vec<u8>) -> u32 {
    let mut wanted = FIRST_PAGE;
    loop {
        if page.len() < wanted {
            // At least twice as large, so that values of growing length do not leave a page behind each.
            let cap = wanted.max(2 * page.len());
            *page = Vec::new();
            *page = vec![0; cap];
        }
        let answer = unsafe {
            import::state_scan(
                from.as_ptr(),
                from.len(),
                to.as_ptr(),
                to.len(),
                descending.into(),
                PAGE_PAIRS,
                page.as_mut_ptr(),
                page.len(),
            )
        };
        if answer >= 0 {
            return (answer >> 32) as u32;
        }
        wanted = answer.unsigned_abs() as usize;
    }
}

/// Emits an event.
pub fn event(kind: u16, fields: &[u8]) {
    unsafe { import::event(kind.into(), fields.as_ptr(), fields.len()) }
}

/// Adds an encoded step to the decision trace.
pub fn trace(step: &[u8]) {
    unsafe { import::trace(step.as_ptr(), step.len()) }
}

/// Whether the signature is the key's over the message.
pub fn verify_ed25519(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    unsafe { import::verify_ed25519(key.as_ptr(), message.as_ptr(), message.len(), signature.as_ptr()) == 1 }
}

/// BLAKE3 of the bytes.
pub fn blake3(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    unsafe { import::blake3(bytes.as_ptr(), bytes.len(), hash.as_mut_ptr()) };
    hash
}

/// SHA-256 of the bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    unsafe { import::sha256(bytes.as_ptr(), bytes.len(), hash.as_mut_ptr()) };
    hash
}

/// A diagnostic text.
pub fn log(text: &[u8]) {
    unsafe { import::log(text.as_ptr(), text.len()) }
}

/// Hands memory out from `__heap_base` upwards and takes none back but the piece handed out last: an instance lives for one call.
///
/// Where the most memory that the module declares does not suffice, it says so in the diagnostics, and hands out nothing. What cannot do without, as `Vec` and
/// `String` cannot, panics then: the call is trapped as `Unreachable` and has no effect.
struct Bump {
    next: Cell<usize>,
}

// SAFETY: a contract has one thread.
unsafe impl Sync for Bump {}

#[global_allocator]
static ALLOCATOR: Bump = Bump { next: Cell::new(0) };

const PAGE_BYTES: usize = 65_536;
const FULL: &[u8] = b"the memory is full: hold less at once, or raise memory-pages";

impl Bump {
    /// Room for the layout at or behind `start`, growing the memory if need be.
    fn place(&self, start: usize, layout: Layout) -> Option<usize> {
        let place = start.checked_next_multiple_of(layout.align())?;
        let end = place.checked_add(layout.size())?;
        let have = core::arch::wasm32::memory_size(0) * PAGE_BYTES;
        if end > have && core::arch::wasm32::memory_grow(0, (end - have).div_ceil(PAGE_BYTES)) == usize::MAX {
            log(FULL);
            return None;
        }
        self.next.set(end);
        Some(place)
    }
}

// SAFETY: pieces do not overlap, because `next` only moves back over the piece handed out last.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe extern "C" {
            static __heap_base: u8;
        }
        let start = match self.next.get() {
            0 => (&raw const __heap_base).addr(),
            next => next,
        };
        self.place(start, layout).map_or(core::ptr::null_mut(), |place| place as *mut u8)
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if ptr.addr() + layout.size() == self.next.get() {
            self.next.set(ptr.addr());
        }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's layout is valid, and so is one of another size that it asks for.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        if ptr.addr() + layout.size() == self.next.get() {
            return self.place(ptr.addr(), new_layout).map_or(core::ptr::null_mut(), |place| place as *mut u8);
        }
        // SAFETY: both pieces hold what is copied and do not overlap.
        unsafe {
            let to = self.alloc(new_layout);
            if !to.is_null() {
                core::ptr::copy_nonoverlapping(ptr, to, layout.size().min(new_size));
            }
            to
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
