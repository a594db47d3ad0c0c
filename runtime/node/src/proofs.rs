//! What a ledger hands out: receipts, inclusion and consistency proofs, and proofs of state at any height.
//!
//! All of them lead to a checkpoint that is public, or witnessed where that is asked for, and verify without this
//! ledger.
//!
//! The tree of the state is in memory as it is after the last block. For an older height the write sets of the journal
//! are replayed up to that height: always right, since the result must have the root of the height's seal, and slow for
//! a long log (all effects are read once).

use crate::checkpoint::log_vkey;
use crate::decode;
use crate::ledger::Ledger;
use crate::{Level, NodeError};
use chancery_receipt::{ConsistencyProof, Receipt, StateProof, TlogProof};
use chancery_state::{Tree, tree};
use chancery_tlog::Checkpoint;
use chancery_types::codec::Encode;
use chancery_types::{ContractId, Entry, Hash, Height, Record};
use std::collections::HashMap;

/// What a receipt holds beyond the entry and its proof.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The module that was executed, with its interface description.
    pub module: bool,
    /// The decision trace.
    pub trace: bool,
    /// The writes.
    pub writes: bool,
    /// Values of these keys of the contract that was called, after the call's block.
    pub states: Vec<Vec<u8>>,
}

/// The state after a block.
struct StateAt {
    tree: Tree,
    /// Index of the block's seal.
    seal: u64,
    /// What the key held.
    value: Option<Vec<u8>>,
}

impl Ledger {
    /// The receipt of an entry, under a checkpoint of this level.
    ///
    /// # Errors
    /// [`NodeError::NoEntry`]; [`NodeError::NotPublished`] where there is no such checkpoint; [`NodeError::Receipt`]
    /// where parts are asked for that the entry has not, or the file would be too long.
    pub fn receipt(&self, index: u64, parts: &Parts, level: Level) -> Result<Receipt, NodeError> {
        let (entry, effects) = self.entry(index)?;
        let mut receipt = Receipt::new(entry.to_bytes(), self.prove_inclusion(index, level)?);
        let Record::Call { contract, module, .. } = &entry.record else {
            let asked = parts.module || parts.trace || parts.writes || !parts.states.is_empty();
            let problem = || format!("entry {index} is no call: it has no module, trace, writes or state of its own");
            return if asked { Err(NodeError::Receipt(problem())) } else { Ok(receipt) };
        };
        if parts.module {
            if module.0 == [0; 32] {
                return Err(NodeError::Receipt(format!("no module was executed for entry {index}")));
            }
            receipt.module = Some(self.module_bytes(module)?);
        }
        receipt.trace = parts.trace.then(|| effects.trace.to_bytes());
        receipt.writes = parts.writes.then(|| effects.writes.to_bytes());
        if !parts.states.is_empty() {
            let height = self.answer(index)?.height;
            let prove = |key: &Vec<u8>| self.prove_state(contract, key, Some(height), level);
            receipt.states = parts.states.iter().map(prove).collect::<Result<_, _>>()?;
        }
        receipt.to_text().map_err(|error| NodeError::Receipt(error.to_string()))?;
        Ok(receipt)
    }

    /// The proof that entry `index` is in the log, under a checkpoint of this level.
    ///
    /// # Errors
    /// As [`Ledger::wait_for`].
    pub fn prove_inclusion(&self, index: u64, level: Level) -> Result<TlogProof, NodeError> {
        let (size, checkpoint) = self.checkpoint_of(index, level)?;
        let path = self.content.prove_inclusion(index, size)?;
        Ok(TlogProof { extra: None, index, path, checkpoint })
    }

    /// The proof that the log of `new` entries continues that of `old`: the hashes, and the roots at both sizes.
    ///
    /// # Errors
    /// [`NodeError::NoEntry`] unless 0 < `old` ≤ `new` ≤ the log's size.
    pub fn prove_consistency(&self, old: u64, new: u64) -> Result<(Vec<Hash>, Hash, Hash), NodeError> {
        let path = self.content.prove_consistency(old, new)?;
        Ok((path, self.content.root_at(old)?, self.content.root_at(new)?))
    }

    /// The file that proves that the log continues that of `old` entries, up to `new` entries or, without that, to the
    /// newest checkpoint that the policy accepts.
    ///
    /// # Errors
    /// As [`Ledger::prove_consistency`] and [`Ledger::wait_for`]; [`NodeError::NotPublished`] without the log key;
    /// [`NodeError::Receipt`] where the policy asks for cosignatures, which a checkpoint over `new` entries cannot get
    /// any more.
    pub fn consistency(&self, old: u64, new: Option<u64>) -> Result<ConsistencyProof, NodeError> {
        let (size, new) = match new {
            Some(size) => (size, self.checkpoint_over(size)?),
            None => self.newest_checkpoint()?,
        };
        Ok(ConsistencyProof { path: self.content.prove_consistency(old, size)?, old: self.sign_at(old)?, new })
    }

    /// The file that proves that the log continues a checkpoint that somebody kept: it begins with that checkpoint, as
    /// it is, and leads to the newest one that the policy accepts.
    ///
    /// # Errors
    /// [`NodeError::Receipt`] where the note is no checkpoint that this log signed; [`NodeError::Checkpoint`] where it
    /// is one of another history, or of more entries than there are; as [`Ledger::wait_for`].
    pub fn consistency_from(&self, kept: &str) -> Result<ConsistencyProof, NodeError> {
        let key = log_vkey(&*self.disk, &self.dir, self.origin())?;
        let old = Checkpoint::open(kept, &key)
            .map_err(|error| NodeError::Receipt(format!("what was kept is no checkpoint of this log: {error}")))?;
        let head = self.head().size;
        if old.size > head {
            let problem = format!("the one that was kept covers {} entries, the journal has {head}", old.size);
            return Err(NodeError::Checkpoint(problem));
        }
        let root = self.content.root_at(old.size)?;
        if root != old.root {
            let (size, theirs) = (old.size, old.root);
            let problem =
                format!("the one that was kept has the root {theirs} over {size} entries, the journal {root}");
            return Err(NodeError::Checkpoint(problem));
        }
        let (size, new) = self.newest_checkpoint()?;
        Ok(ConsistencyProof { path: self.content.prove_consistency(old.size, size)?, old: kept.into(), new })
    }

    /// A checkpoint of this level over an entry: its size, and its note. Where log key or witnesses are away, the
    /// published one may be good enough.
    fn checkpoint_of(&self, index: u64, level: Level) -> Result<(u64, String), NodeError> {
        let accepted = || self.accepted(index + 1).filter(|_| level <= self.best_level());
        self.wait_for(index, level.max(Level::Published)).or_else(|error| accepted().ok_or(error))
    }

    /// The newest checkpoint that the policy accepts, over all entries: its size, and its note.
    fn newest_checkpoint(&self) -> Result<(u64, String), NodeError> {
        self.checkpoint_of(self.head().size - 1, self.best_level())
    }

    /// The checkpoint over so many entries, where the policy accepts it: the newest one, or one that is signed now.
    fn checkpoint_over(&self, size: u64) -> Result<String, NodeError> {
        let (newest, note) = self.checkpoint_of(size.saturating_sub(1), self.best_level())?;
        if newest == size {
            return Ok(note);
        }
        let note = self.sign_at(size)?;
        match self.policy()?.open(&note) {
            Ok(_) => Ok(note),
            Err(error) => Err(NodeError::Receipt(format!(
                "the policy does not accept a checkpoint over {size} entries that is signed now ({error}), and witnesses cosign none that is smaller than what they have seen: leave out the newer size, or give {newest}"
            ))),
        }
    }

    /// The checkpoint over the first `size` entries, signed now.
    fn sign_at(&self, size: u64) -> Result<String, NodeError> {
        let key = self.log_key.as_ref().ok_or_else(|| NodeError::NotPublished("the log key is not at hand".into()))?;
        Ok(self.content.checkpoint(self.origin(), size)?.sign(key))
    }

    /// The proof of what a key held after the block at `height`, or after the last one.
    ///
    /// # Errors
    /// [`NodeError::NoHeight`]; as [`Ledger::wait_for`]; [`NodeError::Inconsistent`] where the journal contradicts
    /// itself.
    pub fn prove_state(
        &self,
        contract: &ContractId,
        key: &[u8],
        height: Option<Height>,
        level: Level,
    ) -> Result<StateProof, NodeError> {
        let state = match height {
            Some(height) if height != self.head().height => self.replayed(contract, key, height)?,
            _ => {
                let (value, tree, entries) = self.committed.at_head(contract, key)?;
                StateAt { tree, seal: entries - 1, value }
            }
        };
        // A block may have come since the head was looked at.
        let state = match height {
            Some(height) if self.height_of(state.seal)? != Some(height) => self.replayed(contract, key, height)?,
            _ => state,
        };
        let proof = state.tree.prove(&tree::path(contract, key));
        let seal = self.reader.entry(state.seal)?;
        let included = self.prove_inclusion(state.seal, level)?;
        StateProof::new(*contract, key.to_vec(), state.value, proof, seal, included)
            .map_err(|error| NodeError::Receipt(error.to_string()))
    }

    /// The height of the block that entry `index` seals.
    fn height_of(&self, index: u64) -> Result<Option<Height>, NodeError> {
        let seal = decode::entry(index, &self.reader.entry(index)?)?.seal();
        Ok(seal.map(|(height, _)| height))
    }

    /// The state after an older block, from the write sets of the journal.
    fn replayed(&self, contract: &ContractId, key: &[u8], height: Height) -> Result<StateAt, NodeError> {
        let head = self.head();
        let absent = || NodeError::NoHeight { height, head: head.height };
        if height > head.height {
            return Err(absent());
        }
        let (mut newest, mut value) = (HashMap::new(), None);
        for index in 0..head.size {
            let (bytes, effects) = self.reader.read(index)?;
            if let Some(effects) = effects {
                for write in decode::effects(index, &effects)?.writes {
                    let (path, hash) = tree::change(&write);
                    newest.insert(path, hash);
                    if write.contract == *contract && write.key == key {
                        value = write.value;
                    }
                }
            }
            if !Entry::is_seal(&bytes) {
                continue;
            }
            if let Some((found, root)) = decode::entry(index, &bytes)?.seal().filter(|(found, _)| *found == height) {
                let mut tree = Tree::new();
                tree.update(newest);
                if tree.root() != root {
                    let problem = format!("the writes up to height {found} do not lead to its state root");
                    return Err(NodeError::Inconsistent { index, problem });
                }
                return Ok(StateAt { tree, seal: index, value });
            }
        }
        Err(absent())
    }
}
