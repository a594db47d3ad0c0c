//! A disk that fails by a seed, a view that goes stale, and a ledger that is moved step by step: for tests.
//!
//! # The disk
//!
//! [`SimDisk`] keeps, for every file, what was *written* and what is *durable*, in sectors of 512 bytes, and for the
//! directories the names that are there and those that are durable.
//!
//! - `sync_data` and `sync_all` make a file's dirty sectors and its length durable; `sync_dir` the names in a
//!   directory.
//! - [`SimDisk::cut_power`]: of each file any subset of the dirty sectors stays, a kept one in sixteen torn at some
//!   byte; the length is the old one or the new; of each directory's changes a prefix stays. A file without a durable
//!   name is gone.
//! - What is dirty may be **written back** before it is cut off again, so that a cut which is not durable brings it
//!   back.
//! - A **failed sync** leaves any subset of the dirty sectors durable and *marks all of them clean*: they read as
//!   written, no later sync writes them, and a power cut loses them. So do ext4, XFS and Btrfs (Rebello et al., USENIX
//!   ATC 2020). A failed `sync_dir` leaves the names as they were, to be made durable by a later one.
//! - A **full** disk refuses every write, after any part of it was written, perhaps all, also into room that was
//!   reserved.
//! - Power may go off at any operation ([`SimDisk::off_at`]), or at every one in turn: [`SimDisk::watch`] hands a clone
//!   of the disk to a function before each operation.
//!
//! All choices come from the seed. What is not simulated: sectors that are torn although they were durable, and reads
//! that fail.

mod content;
mod disk;
mod faults;
mod step;
mod view;

pub use disk::SimDisk;
pub use faults::{Full, Watch};
pub use view::{SimViews, VIEW_FAULTS, ViewContent, ViewFault};

/// Numbers by a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// True once in `of` times.
    pub fn once_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}
