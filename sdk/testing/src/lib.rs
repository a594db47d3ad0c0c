//! The test harness: one test, run natively and against the built wasm, with the same result.
//!
//! ```no_run
//! # #[chancery_sdk::contract]
//! # pub mod greeter {
//! #     use chancery_sdk::prelude::*;
//! #     /// Who was greeted last.
//! #     #[storage]
//! #     const LAST: Item<String> = Item::new("last");
//! #     #[error]
//! #     pub enum Error { /// The name is empty.
//! #         #[rule("a name is given")] NoName }
//! #     /// Greets.
//! #     #[call]
//! #     pub fn greet(ctx: &mut Context, name: String) -> Result<(), Error> {
//! #         ensure!(ctx, !name.is_empty(), Error::NoName);
//! #         LAST.set(ctx, &name);
//! #         Ok(())
//! #     }
//! # }
//! use chancery_testing::run;
//!
//! run(greeter::CONTRACT, "greeter", |world| {
//!     let clerk = world.actor("clerk");
//!     world.at("2024-01-05").deploy(&clerk, ()).done::<()>();
//!     world.call(&clerk, "greet", (String::from("Ada"),)).done::<()>();
//!     assert_eq!(world.call(&clerk, "greet", (String::new(),)).refused(), "NoName");
//! });
//! ```
//!
//! [`run`] takes the closure through twice: natively, where a debugger and a backtrace are of use, and on the real engine with the module that
//! `chancery build` left in `dist/` or `contracts/dist/`. Outcome, events, writes and decision trace of every call must be the same. Where no
//! module is found it fails; with `CHANCERY_NATIVE_ONLY=1` in the environment, tests run natively only, as by [`run_native`]. Gas is measured in the second run and printed by method and host function (`cargo test -- --nocapture`).
//!
//! The native run has no guard of its own: only host functions are charged and limited in it. A loop that never ends and calls none of them hangs the
//! test, a recursion without end overflows its stack; in the module the first is out of gas, the second stack exhausted.

mod native;
mod world;

pub use world::{Actor, Answer, World, run, run_native};
