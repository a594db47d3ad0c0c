//! The transparency log, pure and without I/O: [`merkle`] trees and their proofs, the [`tile`]s that they are published as, signed
//! [`note`]s, [`checkpoint`]s, the [`cosignature`]s and decisions of [`witness`]es, the [`policy`] of whoever trusts them, and the
//! [`proof`] file that verifies offline. Each module's header is the specification that it implements; the function that makes a
//! proof stands beside the one that checks it.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod checkpoint;
pub mod cosignature;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod proof;
pub mod tile;
pub mod witness;

pub use checkpoint::Checkpoint;
pub use policy::Policy;
pub use proof::TlogProof;
pub use tile::{Bundle, Tile, TileReader, Tiles};
