//! The transparency log, pure and without I/O: [`merkle`] trees and their proofs, signed [`note`]s, and
//! [`checkpoint`]s. Each module's header is the specification that it implements; the function that makes a proof stands beside the one
//! that checks it.

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

pub use checkpoint::Checkpoint;
