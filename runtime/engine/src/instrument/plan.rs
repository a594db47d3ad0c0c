//! What a function body pays where: its control-flow graph, what each basic block costs, which payments are checked.
//!
//! **Basic blocks.** A basic block runs from its first operator to its last once it is entered; calls do not end it.
//! Blocks are numbered as their code is written. Edges lead to later blocks, except back edges, which lead to loop
//! headers.
//!
//! **Paying ahead.** Edges that share a source or a target are in one class, and so are those that are linked through
//! others. What all targets of a class owe is paid by its sources. A path through the body pays as much as before (but
//! for rounding), and nothing later than before. What a loop header owes is not moved, so that every iteration pays at
//! its header.
//!
//! Take an `if` without `else` in a loop. The edges 1→2, 1→3 and 2→3 are a class. Its block 2 is both source and
//! target, so what block 3 owes passes block 2 by and is paid by block 1; an iteration that skips block 2 makes one
//! payment. The other edges, 0→1, 3→1 and 3→4, are a class with a loop header among its targets, where nothing moves.
//!
//! ```text
//! block  code                                                             owes  pays
//! 0      (loop                                                               0     0
//! 1        (if (local.get 0)                                                 2     7
//! 2          (then (local.set 1 (i32.const 7))))                             2     2
//! 3        (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))    5     0
//! 4      what follows the loop                                               0     0
//! ```
//!
//! **Rounding.** Where paths part and what they owe differs by no more than [`ROUND_UP_MAX`], all pay the largest
//! amount, ahead: less than what another payment takes.
//!
//! **Checks.** A payment is checked at a loop header, and where more than [`CREDIT_MAX`] could have been run up since
//! the last check on some path. A body begins with that much run up, so that its first payment is checked.
//!
//! **Mirrors.** In a call-free loop the balance is kept in a local as well, and payments are taken off the local. The
//! counter is written at the beginning of a block that may trap or that leads out of the loop. So a trap finds the
//! counter as it must be, and an iteration writes it once or not at all.
//!
//! `graph` reads a body into blocks and edges, `pay_ahead` moves payments, and what is here settles them.

mod disjoint_sets;
mod graph;
mod pay_ahead;
#[cfg(test)]
mod tests;

use crate::admission::Frame;
use std::ops::Range;
use wasmparser::FunctionBody;

/// Gas that may have been run up since the last check where a block is not checked: bounds the work on credit to this
/// and one block for each frame on the stack, and keeps checks out of short branches.
pub const CREDIT_MAX: u64 = 1_000;

/// Gas by which a path may be overcharged where it parts from another, to save a payment of their difference.
pub const ROUND_UP_MAX: u64 = 8;

/// A bulk operator, which an appended function does instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bulk {
    Grow,
    Copy,
    Fill,
}

/// A piece of the new body.
pub(super) enum Piece {
    /// These bytes of the module as they are.
    Code(Range<usize>),
    /// A call of a function that may call further ones.
    FramedCall(Range<usize>),
    /// The payment of this block.
    Pay(usize),
    /// The call of an appended function.
    Bulk(Bulk),
    /// A loop follows in which the balance is at hand in a local.
    Mirror,
}

/// A basic block.
pub(super) struct BasicBlock {
    /// What is paid at its beginning.
    pub(super) gas: u64,
    /// Whether the balance is checked then.
    pub(super) check: bool,
    /// Whether the balance is at hand in a local.
    pub(super) mirrored: bool,
    /// Whether the counter is written at its beginning; always, where the balance is not mirrored.
    pub(super) written: bool,
    may_trap: bool,
    loop_header: bool,
    /// The module's own functions that it calls, by position.
    calls: Vec<u32>,
    successors: Vec<usize>,
}

/// A body's pieces and basic blocks.
pub(super) struct Plan {
    pub(super) pieces: Vec<Piece>,
    pub(super) blocks: Vec<BasicBlock>,
}

/// What a body needs to know of its module.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) frames: &'a [Frame],
    pub(super) imported: u32,
    /// What a load or store costs.
    pub(super) access: u64,
}

impl Plan {
    /// Of a body: blocks with what their own operators cost, paid ahead.
    pub(super) fn of(body: &FunctionBody<'_>, frame: Frame, around: Surroundings<'_>) -> wasmparser::Result<Plan> {
        let mut plan = graph::read(body, frame, around)?;
        plan.pay_ahead();
        Ok(plan)
    }

    /// What is paid on entry.
    pub(super) fn entry(&self) -> u64 {
        self.blocks.first().map_or(0, |entry| entry.gas)
    }

    /// Adds what callees have paid for them, takes off what callers pay for this body, and decides on the checks.
    pub(super) fn settle(&mut self, paid_by_callers: u64, entries: &[u64]) {
        for block in &mut self.blocks {
            let entry = |callee: &u32| entries.get(*callee as usize).copied().unwrap_or(0);
            block.gas += block.calls.iter().map(entry).sum::<u64>();
        }
        if let Some(entry) = self.blocks.first_mut() {
            entry.gas -= paid_by_callers;
        }
        let mut credit = vec![0; self.blocks.len()];
        credit.first_mut().into_iter().for_each(|entry| *entry = CREDIT_MAX);
        for at in 0..self.blocks.len() {
            let block = &mut self.blocks[at];
            let owed = credit[at] + block.gas;
            block.check = block.gas > 0 && (block.loop_header || owed > CREDIT_MAX);
            let left = if block.check { 0 } else { owed };
            // A back edge leads to a loop header, which is checked.
            let forward = block.successors.iter().filter(|successor| **successor > at);
            forward.for_each(|successor| credit[*successor] = credit[*successor].max(left));
        }
        self.write_back();
    }

    /// Decides where mirrored balances are written.
    fn write_back(&mut self) {
        // Whether the local may be ahead of the counter at the beginning of a block.
        let mut dirty = vec![false; self.blocks.len()];
        let mut changed = true;
        while changed {
            changed = false;
            for at in 0..self.blocks.len() {
                let BasicBlock { gas, mirrored, may_trap, successors, .. } = &self.blocks[at];
                let leaves = *mirrored && successors.iter().any(|successor| !self.blocks[*successor].mirrored);
                let owing = dirty[at] || *gas > 0;
                let written = !mirrored || (owing && (*may_trap || leaves));
                for successor in successors.iter().filter(|_| owing && !written) {
                    changed |= !std::mem::replace(&mut dirty[*successor], true);
                }
                self.blocks[at].written = written;
            }
        }
    }
}
