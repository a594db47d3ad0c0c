//! The host functions where there is no host: what the test harness stands in for.

use crate::host::{CONTEXT_BYTES, PAGE_PAIRS, Page};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

/// A contract that is linked into the program.
#[derive(Clone, Copy)]
pub struct Contract {
    /// The directory of its package, with the sources.
    pub package: &'static str,
    /// The encoded interface description.
    pub interface: &'static [u8],
    /// The entry functions: which (`init`, `call` or `query`), selector, length of the arguments.
    pub entry: fn(&'static str, u32, usize) -> i32,
}

/// The host functions; each either works or does not return (it unwinds).
#[expect(missing_docs, reason = "each is the function of its name")]
pub trait HostApi {
    fn arguments(&mut self) -> Vec<u8>;
    fn context(&mut self) -> [u8; CONTEXT_BYTES];
    fn result(&mut self, bytes: &[u8]);
    fn fault(&mut self, code: u16, fields: &[u8]);
    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>>;
    fn set(&mut self, key: &[u8], value: &[u8]);
    fn remove(&mut self, key: &[u8]);
    fn scan(&mut self, from: &[u8], to: &[u8], descending: bool, limit: u32) -> Page;
    fn event(&mut self, kind: u16, fields: &[u8]);
    fn trace(&mut self, step: &[u8]);
    fn verify_ed25519(&mut self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool;
    fn blake3(&mut self, bytes: &[u8]) -> [u8; 32];
    fn sha256(&mut self, bytes: &[u8]) -> [u8; 32];
    fn log(&mut self, text: &[u8]);
}

std::thread_local! {
    static HOST: RefCell<Option<Rc<RefCell<dyn HostApi>>>> = const { RefCell::new(None) };
}

/// Runs a contract's code on this thread with a host of its own. What unwinds out of `run` goes on to the caller, and
/// the host is gone either way.
pub fn with_host<R>(host: Rc<RefCell<dyn HostApi>>, run: impl FnOnce() -> R) -> R {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            HOST.set(None);
        }
    }
    HOST.set(Some(host));
    let _reset = Reset;
    run()
}

fn host<R>(work: impl FnOnce(&mut dyn HostApi) -> R) -> R {
    let host = HOST.with_borrow(Clone::clone);
    let host = host.expect("a contract's code runs within `chancery_testing::run`, which provides its host");
    work(&mut *host.borrow_mut())
}

/// The encoded arguments.
pub fn arguments(_: usize) -> Vec<u8> {
    host(|host| host.arguments())
}

/// What the contract may know of the world.
pub fn context() -> [u8; CONTEXT_BYTES] {
    host(|host| host.context())
}

/// Sets the result.
pub fn result(bytes: &[u8]) {
    host(|host| host.result(bytes));
}

/// Sets the error.
pub fn fault(code: u16, fields: &[u8]) {
    host(|host| host.fault(code, fields));
}

/// The value of a key.
pub fn get(key: &[u8]) -> Option<Vec<u8>> {
    host(|host| host.get(key))
}

/// Sets a key.
pub fn set(key: &[u8], value: &[u8]) {
    host(|host| host.set(key, value));
}

/// Removes a key.
pub fn remove(key: &[u8]) {
    host(|host| host.remove(key));
}

/// The first pairs of `[from, to)` into `page`, and how many they are.
pub fn scan(from: &[u8], to: &[u8], descending: bool, page: &mut Vec<u8>) -> u32 {
    let found = host(|host| host.scan(from, to, descending, PAGE_PAIRS));
    *page = found.bytes;
    found.count
}

/// Emits an event.
pub fn event(kind: u16, fields: &[u8]) {
    host(|host| host.event(kind, fields));
}

/// Adds an encoded step to the decision trace.
pub fn trace(step: &[u8]) {
    host(|host| host.trace(step));
}

/// Whether the signature is the key's over the message.
pub fn verify_ed25519(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    host(|host| host.verify_ed25519(key, message, signature))
}

/// BLAKE3 of the bytes.
pub fn blake3(bytes: &[u8]) -> [u8; 32] {
    host(|host| host.blake3(bytes))
}

/// SHA-256 of the bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    host(|host| host.sha256(bytes))
}

/// A diagnostic text.
pub fn log(text: &[u8]) {
    host(|host| host.log(text));
}
