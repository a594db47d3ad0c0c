//! A view that goes stale, ahead, wrong, or away: what sled may do to a node.

use super::SimDisk;
use crate::disk::Disk;
use crate::options::OpenView;
use chancery_state::view::{Pairs, Position};
use chancery_state::{MemoryStore, Scan, StateError, StateKey, StateView, Store, ViewBatch, Visited, Visitor};
use chancery_types::{ContractId, Hash, Height};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a view holds.
#[derive(Clone, Default)]
pub struct ViewContent {
    pairs: BTreeMap<StateKey, Vec<u8>>,
    position: Option<Position>,
}

/// What is wrong with a view when it is opened next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ViewFault {
    /// It is as it was at some earlier block.
    Stale,
    /// It is as it was at some earlier block, and says that it is further.
    Ahead,
    /// It says another root.
    OtherRoot,
    /// A pair is missing.
    LostPair,
    /// It does not say how far it has come.
    LostPosition,
    /// It is empty.
    Empty,
    /// It does not open.
    Closed,
    /// The store panics.
    Panics,
}

/// The faults there are.
pub const VIEW_FAULTS: [ViewFault; 8] = [
    ViewFault::Stale,
    ViewFault::Ahead,
    ViewFault::OtherRoot,
    ViewFault::LostPair,
    ViewFault::LostPosition,
    ViewFault::Empty,
    ViewFault::Closed,
    ViewFault::Panics,
];

#[derive(Clone, Default)]
struct Kept {
    now: ViewContent,
    earlier: ViewContent,
    fault: Option<ViewFault>,
}

/// The view of a ledger on a simulated disk: it survives everything, and is as wrong as a test wants it.
#[derive(Clone, Default)]
pub struct SimViews(Arc<Mutex<Kept>>);

impl SimViews {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Views of their own with the same content.
    pub fn copy(&self) -> SimViews {
        SimViews(Arc::new(Mutex::new(self.kept().clone())))
    }

    /// This is the earlier state that a stale view falls back to.
    pub fn remember(&self) {
        let mut kept = self.kept();
        kept.earlier = kept.now.clone();
    }

    /// The view is found like this when it is opened next.
    pub fn damage(&self, fault: ViewFault) {
        self.kept().fault = Some(fault);
    }

    /// For [`crate::Options::open_view`].
    pub fn opener(&self, disk: &SimDisk) -> OpenView {
        let (views, disk) = (self.clone(), disk.clone());
        Arc::new(move |path: &Path, _| {
            let mut kept = views.kept();
            if !disk.exists(path)? {
                disk.make_dir(path, 0o750)?;
                (kept.now, kept.fault) = (ViewContent::default(), None);
            }
            let fault = kept.fault.take();
            kept.suffer(fault)?;
            Ok(Box::new(SimView(views.clone())) as Box<dyn StateView>)
        })
    }
}

impl Kept {
    fn suffer(&mut self, fault: Option<ViewFault>) -> Result<(), StateError> {
        let view = &mut self.now;
        match fault {
            None => {}
            Some(ViewFault::Stale) => *view = self.earlier.clone(),
            Some(ViewFault::Ahead) => {
                *view = self.earlier.clone();
                if let Some(position) = &mut view.position {
                    (position.height, position.entries) = (Height(position.height.0 + 1_000), position.entries + 2_000);
                }
            }
            Some(ViewFault::OtherRoot) => {
                if let Some(position) = &mut view.position {
                    position.root = Hash([7; 32]);
                }
            }
            Some(ViewFault::LostPair) => drop(view.pairs.pop_first()),
            Some(ViewFault::LostPosition) => view.position = None,
            Some(ViewFault::Empty) => *view = ViewContent::default(),
            Some(ViewFault::Closed) => return Err(StateError::View("simulated".into())),
            Some(ViewFault::Panics) => std::panic::resume_unwind(Box::new("simulated")),
        }
        Ok(())
    }
}

struct SimView(SimViews);

impl Store for SimView {
    fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.kept().now.pairs.get(&(*contract, key.to_vec())).cloned())
    }

    fn visit(&self, contract: &ContractId, range: &Scan, visitor: &mut Visitor<'_>) -> Visited {
        // The range's rules are those of the store in memory.
        let store = MemoryStore::new();
        let write = |((contract, key), value): (&StateKey, &Vec<u8>)| chancery_types::entry::Write {
            contract: *contract,
            key: key.clone(),
            value: Some(value.clone()),
        };
        let writes: Vec<_> = self.0.kept().now.pairs.iter().map(write).collect();
        store.apply(&writes);
        store.visit(contract, range, visitor)
    }
}

impl StateView for SimView {
    fn position(&self) -> Result<Option<Position>, StateError> {
        Ok(self.0.kept().now.position)
    }

    fn apply(&self, batch: &ViewBatch) -> Result<(), StateError> {
        let view = &mut self.0.kept().now;
        for write in &batch.writes {
            let key = (write.contract, write.key.clone());
            match &write.value {
                Some(value) => drop(view.pairs.insert(key, value.clone())),
                None => drop(view.pairs.remove(&key)),
            }
        }
        if batch.position.is_some() {
            view.position = batch.position;
        }
        Ok(())
    }

    fn pairs(&self) -> Pairs<'_> {
        Box::new(self.0.kept().now.pairs.clone().into_iter().map(Ok))
    }

    fn checkpoint(&self) -> Result<(), StateError> {
        Ok(())
    }
}
