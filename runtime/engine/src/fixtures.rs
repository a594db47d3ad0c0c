//! Modules for tests, from text, and what a call finds.

use crate::call::Context;
use chancery_types::codec::Encode;
use chancery_types::{ContractId, Height, Interface, LedgerId, PublicKey, RequestId, Timestamp};

/// A context in which each field begins with another byte, from 1 to 6.
pub(crate) fn context() -> Context {
    Context {
        actor: PublicKey([1; 32]),
        contract: ContractId([2; 32]),
        ledger: LedgerId([3; 32]),
        time: Timestamp(4),
        height: Height(5),
        request: RequestId(6),
    }
}

/// A module that is admitted, with more text in it. Its memory has one page and no more.
pub(crate) fn module(more: &str) -> Vec<u8> {
    with_memory("1 1", more)
}

/// As [`module`], with so many pages of memory at the start and at most.
pub(crate) fn with_memory(pages: &str, more: &str) -> Vec<u8> {
    build(&Interface { version: 1, name: "fixture".into(), ..Interface::default() }, pages, more)
}

/// As [`module`], with a description of its own.
pub(crate) fn described(interface: &Interface) -> Vec<u8> {
    build(interface, "1 1", "")
}

fn build(interface: &Interface, pages: &str, more: &str) -> Vec<u8> {
    let escaped: String = interface.to_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect();
    let entry = r#"(func (export "call") (param i32 i32) (result i32) (i32.const 0))"#;
    wat::parse_str(format!(
        "(module {more} (memory (export \"memory\") {pages}) {entry} (@custom \"chancery:interface\" \"{escaped}\"))"
    ))
    .expect("the text is a module")
}
