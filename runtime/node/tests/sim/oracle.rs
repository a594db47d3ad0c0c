//! The checks: what must be so after every start, whatever happened.

use crate::load::{COPY, DIR, Outside, Run, key_of, log_key, options, silent};
use crate::model::Model;
use chancery_node::sim::{SimDisk, SimViews};
use chancery_node::snapshot::{self, Trust};
use chancery_node::{Disk, Ledger, NodeError, Options};
use chancery_tlog::{Bundle, Checkpoint, Tile, TileReader, Tiles, merkle, note::VerifierKey, tile};
use chancery_types::codec::Encode;
use chancery_types::entry::Rejection;
use chancery_types::{Action, Outcome, Record};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

/// The oracle: goes through the whole log.
pub fn check(ledger: &Ledger, outside: &Outside) {
    let head = ledger.head();
    let (mut model, mut log) = (Model::new(), merkle::Tree::new());
    let mut found = BTreeSet::new();
    let mut after = 0;
    for index in 0..head.size {
        let (entry, _) = ledger.entry(index).unwrap();
        if let Some(acknowledged) = outside.acknowledged.get(&index) {
            assert_eq!(entry, *acknowledged, "entry {index} is not the one that was acknowledged");
        }
        log.push(merkle::leaf_hash(&entry.to_bytes()));
        match &entry.record {
            Record::Call { signed, contract, outcome, .. } => {
                let request = signed.call.request;
                assert!(found.insert(request), "request {request} stands twice");
                assert!(!outside.refused.contains(&request), "request {request} was not recorded, its caller was told");
                let submitted = outside.submitted[after..].iter().position(|submitted| submitted == signed);
                after += submitted.unwrap_or_else(|| panic!("entry {index} was not submitted, or out of order")) + 1;
                if let Action::Deploy { module, .. } = &signed.call.action {
                    if matches!(outcome, Outcome::Rejected { rejection: Rejection::UnknownModule }) {
                        continue;
                    }
                    let stored = ledger.module_bytes(module);
                    assert!(stored.is_ok(), "entry {index}: {}", stored.unwrap_err());
                }
                let refused = model.call(index, &signed.call, *contract);
                match (outcome, refused) {
                    (Outcome::Done { .. }, None) => {}
                    (Outcome::Refused { code, .. }, Some(expected)) if *code == expected => {}
                    other => panic!("entry {index}: {other:?}"),
                }
            }
            Record::Seal { state_root, .. } => assert_eq!(model.root(), *state_root, "state root of seal {index}"),
            Record::Genesis { .. } => assert_eq!(index, 0),
        }
    }
    let last = outside.acknowledged.last_key_value().map_or(0, |(index, _)| *index);
    assert!(last < head.size, "entry {last} was acknowledged, the log has {}", head.size);
    for (size, root) in &outside.checkpoints {
        assert_eq!(log.root_at(*size), Some(*root), "the checkpoint over {size} entries is not one of this log");
    }
    assert_eq!((log.root(), model.tree.root()), (head.root, head.state_root));
    for ((contract, key), value) in &model.pairs {
        assert_eq!(ledger.state_get(contract, key).unwrap().as_ref(), Some(value));
    }
}

/// Whoever looks may keep the published checkpoint for ever.
pub fn note_checkpoint(disk: &SimDisk, outside: &Mutex<Outside>) {
    let Ok(note) = disk.read(&Path::new(DIR).join("public/checkpoint")) else { return };
    let key = VerifierKey { name: "ledger.example/sim".into(), key: key_of(&log_key()) };
    let checkpoint = Checkpoint::open(&String::from_utf8(note).unwrap(), &key).unwrap();
    let mut outside = outside.lock().unwrap();
    let seen = outside.checkpoints.insert(checkpoint.size, checkpoint.root);
    assert!(seen.is_none_or(|seen| seen == checkpoint.root), "two checkpoints over {} entries", checkpoint.size);
    let public = Public(disk);
    let mut tiles = Tiles::open(&public, checkpoint.size, checkpoint.root).unwrap_or_else(|error| panic!("{error}"));
    for number in 0..checkpoint.size.div_ceil(tile::WIDTH) {
        tiles.entries(number).unwrap_or_else(|error| panic!("a checkpoint covers what cannot be read: {error}"));
    }
}

/// What a web server would hand out.
struct Public<'a>(&'a SimDisk);

impl Public<'_> {
    fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0.read(&Path::new(DIR).join("public").join(path)).map_err(|error| error.to_string())
    }
}

impl TileReader for Public<'_> {
    type Error = String;

    fn tile(&self, tile: Tile) -> Result<Vec<u8>, String> {
        self.get(&tile.path()).or_else(|_| self.get(&tile.full().path()))
    }

    fn bundle(&self, bundle: Bundle) -> Result<Vec<u8>, String> {
        let full = Bundle { width: bundle.tile().full().width, ..bundle };
        self.get(&bundle.path()).or_else(|_| self.get(&full.path()))
    }
}

impl Run {
    pub fn note_checkpoint(&self) {
        note_checkpoint(&self.disk, &self.outside);
    }

    pub fn check(&self, ledger: &Ledger) {
        check(ledger, &self.outside.lock().unwrap());
    }

    /// What was made stays, and whatever is there is sound.
    pub fn check_copy(&self) {
        match snapshot::verify(&self.disk, Path::new(COPY), &Trust::default(), &silent()) {
            Ok(_) => {}
            Err(NodeError::NoSnapshot(_)) => assert!(!self.has_copy, "the snapshot is gone"),
            Err(error) => panic!("the snapshot: {error}"),
        }
    }

    /// Restores a ledger from a snapshot, perhaps with a power cut, and asks the oracle.
    pub fn check_restored(&mut self) {
        self.snapshot().unwrap();
        let attempt = |run: &Run, dir: &str| {
            let views = SimViews::default();
            let options = options(&run.disk, &views, run.clock.clone());
            (snapshot::restore(Path::new(COPY), Path::new(dir), &Trust::default(), &options).is_ok(), options)
        };
        let open = |run: &Run, dir: &str, options: Options| {
            let ledger = Ledger::open(Path::new(dir), options).unwrap_or_else(|error| panic!("restored: {error}"));
            run.check(&ledger);
            ledger.crash();
        };
        self.disk.off_at(self.disk.operations() + self.random.below(60));
        let (done, options) = attempt(self, "/torn");
        self.disk.cut_power(self.random.number());
        // It is a ledger whole, or none.
        let is_ledger = self.disk.exists(Path::new("/torn/format")).unwrap();
        assert!(is_ledger || !done, "the restored ledger is gone");
        if is_ledger {
            open(self, "/torn", options);
        }
        self.check_copy();
        let (done, options) = attempt(self, "/restored");
        assert!(done);
        open(self, "/restored", options);
    }
}
