//! What a contract is written with: a Rust module with `#[contract]`, whose functions are methods.
//!
//! ```
//! #[chancery_sdk::contract(legal_basis = "Ordinance 7")]
//! pub mod counter {
//!     use chancery_sdk::prelude::*;
//!
//!     /// How often each caller has come.
//!     #[storage]
//!     const VISITS: Map<PublicKey, u32> = Map::new("visits");
//!
//!     #[error]
//!     pub enum Error {
//!         /// The caller has come as often as allowed.
//!         #[rule("at most three visits", cites = "Ordinance 7, § 2")]
//!         TooOften,
//!     }
//!
//!     /// Counts a visit.
//!     #[call(cites = "Ordinance 7, § 1")]
//!     pub fn visit(ctx: &mut Context) -> Result<u32, Error> {
//!         let before = VISITS.get(ctx, &ctx.caller()).unwrap_or(0);
//!         ensure!(ctx, before < 3, Error::TooOften, visits = before);
//!         VISITS.set(ctx, &ctx.caller(), &(before + 1));
//!         Ok(before + 1)
//!     }
//! }
//! ```
//!
//! In the order in which a call meets it: [`dispatch`] (arguments in, answer out) → [`Context`] (who, when, events) → [`storage`] with its ordered
//! [`key`]s → [`rules`] (the decision trace) → [`Parameter`] (dated values of the law). [`host`] is the only door to the runtime: imports on
//! wasm, a host of the test harness's on any other target.
//!
//! On wasm the crate is `no_std`, brings its own allocator and panics by `unreachable`: no formatter, no unwinding.

#![no_std]

extern crate alloc;
#[cfg(not(target_arch = "wasm32"))]
extern crate std;

pub mod context;
pub mod dispatch;
pub mod host;
pub mod key;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;
pub mod parameter;
pub mod rules;
pub mod storage;
#[cfg(target_arch = "wasm32")]
mod wasm;

pub use chancery_sdk_macros::{Schema, contract};
pub use chancery_types as types;
pub use context::Context;
pub use parameter::{Dated, NotInForce, Parameter};
pub use storage::{Item, Map};

/// What a contract's module uses.
pub mod prelude {
    pub use crate::{
        Context, Dated, Item, Map, NotInForce, Parameter, Schema, computed, ensure, ensure_some, needs_person,
        parameter::date, rules::is_blank,
    };
    pub use alloc::string::String;
    pub use alloc::vec::Vec;
    pub use chancery_types::money::{Chf, Eur, Gbp, Jpy, Usd};
    pub use chancery_types::{
        Amount, ContractId, Date, Hash, Height, LedgerId, Month, PublicKey, Ratio, RequestId, Rounding, Signature,
        Timestamp,
    };
}
