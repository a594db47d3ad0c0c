//! What the SDK, the host and every verifier share: ids, money, dates, calls, entries, faults,
//! the interface description, and the one encoding of them all.
//!
//! `no_std`, and it compiles for wasm32: a contract, the node and a browser read the same bytes with the same code.
//! A reader may follow the life of a call through the modules: [`call`] (what is signed) → [`entry`] (what is
//! logged, with the [`decision`] trace and the [`fault`] codes) → `chancery-receipt` (what is handed out).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod call;
pub mod codec;
pub mod date;
pub mod decision;
pub mod entry;
pub mod fault;
pub mod id;
pub mod interface;
#[cfg(feature = "edge")]
pub mod json;
pub mod money;
#[cfg(feature = "edge")]
pub mod printed;

pub use call::{Action, Call, SignedCall};
pub use codec::{Decode, DecodeError, Encode, Reader};
pub use date::{Date, Month, Timestamp};
pub use decision::{Finding, Step, Trace, Value};
pub use entry::{Entry, Event, Movement, Outcome, Record};
pub use fault::TrapKind;
pub use id::{ContractId, Gas, Hash, Height, LedgerId, ModuleId, PublicKey, RequestId, Signature};
pub use interface::Interface;
pub use money::{Amount, Currency, Ratio, Rounding};
