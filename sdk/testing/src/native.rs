//! The engine's host functions for a contract that is linked into the test.

use chancery_engine::{CONTEXT_BYTES, Execution, Host, Invocation, NodeFault, Stop};
use chancery_sdk::host::Page;
use chancery_sdk::native::{Contract, HostApi, with_host};
use chancery_state::Store;
use chancery_types::TrapKind;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;

/// Bytes that a scan may fill: as many as the host gives at all.
const SCAN_CAP: usize = chancery_engine::limits::SCAN_BYTES_MAX;

/// Unwinds the contract when the host stops it.
struct Stopped;

struct NativeHost {
    host: Host,
    stop: Option<Stop>,
}

impl NativeHost {
    /// What a host function gave, or the end of the contract.
    fn or_stop<R>(&mut self, work: impl FnOnce(&mut Host) -> Result<R, Stop>) -> R {
        match work(&mut self.host) {
            Ok(value) => value,
            Err(stop) => {
                self.stop = Some(stop);
                resume_unwind(Box::new(Stopped))
            }
        }
    }
}

impl HostApi for NativeHost {
    fn arguments(&mut self) -> Vec<u8> {
        self.or_stop(|host| host.arguments().map(<[u8]>::to_vec))
    }
    fn context(&mut self) -> [u8; CONTEXT_BYTES] {
        self.or_stop(Host::context)
    }
    fn result(&mut self, bytes: &[u8]) {
        self.or_stop(|host| host.result(bytes));
    }
    fn fault(&mut self, code: u16, fields: &[u8]) {
        self.or_stop(|host| host.fault(code.into(), fields));
    }
    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        self.or_stop(|host| host.get(key))
    }
    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.or_stop(|host| host.set(key, value));
    }
    fn remove(&mut self, key: &[u8]) {
        self.or_stop(|host| host.remove(key));
    }
    fn scan(&mut self, from: &[u8], to: &[u8], descending: bool, limit: u32) -> Page {
        let page = self.or_stop(|host| host.scan(from, Some(to), descending, limit, SCAN_CAP));
        Page { count: page.count, bytes: page.bytes }
    }
    fn event(&mut self, kind: u16, fields: &[u8]) {
        self.or_stop(|host| host.event(kind.into(), fields));
    }
    fn trace(&mut self, step: &[u8]) {
        self.or_stop(|host| host.trace(step));
    }
    fn verify_ed25519(&mut self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        self.or_stop(|host| host.verify_ed25519(key, message, signature))
    }
    fn blake3(&mut self, bytes: &[u8]) -> [u8; 32] {
        self.or_stop(|host| host.blake3(bytes))
    }
    fn sha256(&mut self, bytes: &[u8]) -> [u8; 32] {
        self.or_stop(|host| host.sha256(bytes))
    }
    fn log(&mut self, text: &[u8]) {
        self.or_stop(|host| host.log(text));
    }
}

/// Executes a call of a contract that is linked in. A panic of its own is what it is on wasm: `unreachable`.
pub(crate) fn execute(
    contract: &Contract,
    invocation: Invocation,
    store: Arc<dyn Store>,
) -> Result<Execution, NodeFault> {
    let (kind, selector, len) = (invocation.kind.export(), invocation.selector, invocation.arguments.len());
    let host = Rc::new(RefCell::new(NativeHost { host: Host::new(invocation, store), stop: None }));
    let entry = || with_host(host.clone(), || (contract.entry)(kind, selector, len));
    let answer = catch_unwind(AssertUnwindSafe(entry));
    let NativeHost { host, stop } = Rc::into_inner(host)
        .map(RefCell::into_inner)
        .ok_or_else(|| NodeFault::Engine("the host is still held".into()))?;
    host.finish(match (answer, stop) {
        (Ok(answer), _) => Ok(answer),
        (Err(_), Some(stop)) => Err(stop),
        (Err(_), None) => Err(Stop::Trap(TrapKind::Unreachable)),
    })
}
