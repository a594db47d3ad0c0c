//! The exported directory: a public log with all that is needed to verify it, and to execute it again, on a machine
//! without this ledger.
//!
//! ```text
//! checkpoint                     the signed checkpoint, with its cosignatures
//! tile/<L>/<N>[.p/<W>]           hashes (C2SP tlog-tiles v0.1.0)
//! tile/entries/<N>[.p/<W>]       entries
//! blobs/<2 hex>/<64 hex>         modules by their BLAKE3
//! log.vkey                       the log's public key
//! policy                         whose checkpoints to believe (C2SP tlog-policy)
//! retention                      what is kept of the ledger
//! verify.py                      a verifier in one file, Python standard library only
//! ```
//!
//! A second export into the same directory adds what is new, also where a [mirror](crate::mirror) of the log has written
//! in between. The checkpoint is written last: a directory with a checkpoint is complete up to it.

use crate::checkpoint::log_vkey;
use crate::disk::{self, Disk};
use crate::publication::PublicLog;
use crate::retention::RETENTION;
use crate::{Ledger, NodeError, target};
use chancery_tlog::{Checkpoint, Policy};
use std::path::Path;
use std::sync::Arc;

/// What an export wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Entries that the exported checkpoint covers.
    pub entries: u64,
    /// Entries that an earlier export had covered.
    pub before: u64,
    /// Modules and other blobs.
    pub blobs: u64,
}

impl Ledger {
    /// Exports the log into a directory, which is new, empty, or an earlier export of this log: up to its head, or,
    /// where that is not published or not witnessed, up to the checkpoint that is. `verifier` is the source of
    /// `verify.py`.
    ///
    /// # Errors
    /// [`NodeError::InLedger`] where the directory lies in a ledger's; [`NodeError::Export`] where it holds something
    /// else; [`NodeError::Locked`] where a mirror follows into it; [`NodeError::NotPublished`] and
    /// [`NodeError::NotWitnessed`] where the policy accepts no checkpoint that is there; what the disk meets.
    pub fn export(&self, dir: &Path, verifier: &str) -> Result<Exported, NodeError> {
        let disk = &self.disk;
        let key = log_vkey(&**disk, &self.dir, self.origin())?;
        target::outside_ledgers(&**disk, dir)?;
        // The ledger's own public log may lie elsewhere, behind a link.
        if target::same(dir, &self.dir.join("public")) {
            return Err(NodeError::InLedger { path: dir.into(), ledger: self.dir.clone() });
        }
        disk.make_dirs(dir, disk::PUBLIC)?;
        if let Some(name) = target::foreign(&**disk, dir)? {
            return Err(NodeError::Export(format!(
                "{} holds `{name}`, which is no part of an export: name a new or empty directory",
                dir.display()
            )));
        }
        let _lock = self.lock_mirror(dir)?;
        let target = PublicLog::at(disk.clone(), dir);
        let before = match target.checkpoint()? {
            Some(note) => self.exported_before(&note, &key, dir)?,
            None => 0,
        };
        let (entries, note) = self.best_checkpoint(before)?;
        target.repair(&self.content, before)?;
        target.extend(&self.content, before, entries)?;
        let blobs = self.export_blobs(dir)?;
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            if disk.read_if_there(&path)?.as_deref() == Some(text.as_bytes()) {
                return Ok(());
            }
            disk.write_file(&path, text.as_bytes(), 0o644)
        };
        write("log.vkey", &format!("{}\n", key.to_vkey()))?;
        write("policy", &self.policy()?.to_string())?;
        write("retention", RETENTION)?;
        write("verify.py", verifier)?;
        target.put_checkpoint(&note)?;
        target.tidy(before, entries);
        Ok(Exported { entries, before, blobs })
    }

    /// Keeps a mirror from following into a directory meanwhile, where it is one.
    fn lock_mirror(&self, dir: &Path) -> Result<Option<Box<dyn Send + Sync>>, NodeError> {
        let path = dir.join(target::LOCK);
        if !self.disk.exists(&path).map_err(disk::failed("cannot look for", &path))? {
            return Ok(None);
        }
        let lock = self.disk.lock(&path).map_err(disk::failed("cannot lock", &path))?;
        lock.map(Some).ok_or_else(|| NodeError::Locked(dir.into()))
    }

    /// Publishes all that is committed, with the cosignatures that the policy asks for, and gives the checkpoint.
    ///
    /// # Errors
    /// [`NodeError::NotPublished`] and [`NodeError::NotWitnessed`] where the policy accepts no checkpoint of the whole
    /// log.
    pub fn publish_all(&self) -> Result<String, NodeError> {
        self.best_checkpoint(self.head().size).map(|(_, note)| note)
    }

    /// The checkpoint of the whole log, published and with the cosignatures that the policy asks for; or, where that
    /// cannot be had, the published one, if it covers so many entries: the entries that it covers, and its note.
    fn best_checkpoint(&self, least: u64) -> Result<(u64, String), NodeError> {
        let reached = self.wait_for(self.head().size - 1, self.best_level());
        reached.or_else(|error| self.accepted(least).ok_or(error))
    }

    /// The published checkpoint, where the policy accepts it as it is and it covers so many entries.
    pub(crate) fn accepted(&self, least: u64) -> Option<(u64, String)> {
        let note = self.checkpoint()?;
        let found = self.policy().ok()?.open(&note).ok()?.checkpoint;
        let ours = self.content.checkpoint(self.origin(), found.size).ok()?;
        (found == ours && found.size >= least).then_some((found.size, note))
    }

    /// The size of an earlier export, which must be one of this log.
    fn exported_before(
        &self,
        note: &str,
        key: &chancery_tlog::note::VerifierKey,
        dir: &Path,
    ) -> Result<u64, NodeError> {
        let refuse = |problem: String| {
            NodeError::Export(format!("{} holds another log ({problem}): name a new or empty directory", dir.display()))
        };
        let found = Checkpoint::open(note, key).map_err(|error| refuse(error.to_string()))?;
        let same = self.content.checkpoint(self.origin(), found.size).is_ok_and(|ours| ours == found);
        if same {
            Ok(found.size)
        } else {
            Err(refuse(format!("its checkpoint over {} entries is not one of this ledger", found.size)))
        }
    }

    /// Copies the blobs that are not there yet. Says how many there are.
    fn export_blobs(&self, dir: &Path) -> Result<u64, NodeError> {
        let (disk, from) = (&self.disk, self.dir.join("blobs"));
        let list = |dir: &Path| disk.list(dir).map_err(disk::failed("cannot list", dir));
        let mut count = 0;
        for folder in list(&from)? {
            for name in list(&from.join(&folder))? {
                let (source, target) = (from.join(&folder).join(&name), dir.join("blobs").join(&folder).join(&name));
                if name.ends_with(disk::TEMPORARY) {
                    continue;
                }
                count += 1;
                if !disk.exists(&target).map_err(disk::failed("cannot look for", &target))? {
                    let bytes = disk.read_file(&source)?;
                    disk.make_dirs(&dir.join("blobs").join(&folder), disk::PUBLIC)?;
                    disk.write_file(&target, &bytes, 0o644)?;
                }
            }
        }
        Ok(count)
    }

    /// The policy under which this log's checkpoints are believed: that of `DIR/policy`, or the log's key alone.
    ///
    /// # Errors
    /// [`NodeError::Policy`] where the file is none, or does not name this log.
    pub fn policy(&self) -> Result<Policy, NodeError> {
        let key = log_vkey(&*self.disk, &self.dir, self.origin())?;
        Ok(read_policy(&self.disk, &self.dir, &key)?.unwrap_or_else(|| Policy::of_log(key)))
    }

    /// Keeps a policy: its witnesses are asked to cosign from the next opening on.
    ///
    /// # Errors
    /// [`NodeError::Policy`] where it is none, or does not name this log.
    pub fn set_policy(&self, text: &[u8]) -> Result<Policy, NodeError> {
        let key = log_vkey(&*self.disk, &self.dir, self.origin())?;
        let policy = parse_policy(text, &key)?;
        self.disk.write_file(&self.dir.join("policy"), text, 0o644)?;
        Ok(policy)
    }
}

/// The policy of a data directory, if it has one.
pub(crate) fn read_policy(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    key: &chancery_tlog::note::VerifierKey,
) -> Result<Option<Policy>, NodeError> {
    let path = dir.join("policy");
    let Some(text) = disk.read_if_there(&path)? else { return Ok(None) };
    let policy = parse_policy(&text, key).map_err(|error| match error {
        NodeError::Policy(problem) => NodeError::Policy(format!("{}: {problem}", path.display())),
        other => other,
    });
    policy.map(Some)
}

fn parse_policy(text: &[u8], key: &chancery_tlog::note::VerifierKey) -> Result<Policy, NodeError> {
    let policy = Policy::parse(text).map_err(|error| NodeError::Policy(error.to_string()))?;
    if policy.logs().iter().any(|log| log.key == *key) {
        return Ok(policy);
    }
    Err(NodeError::Policy(format!("it does not name this log: add the line `log {}`", key.to_vkey())))
}
