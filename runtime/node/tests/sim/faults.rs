//! The faults: what happens to the disk, the view and the process between and during the calls, and how it goes on.

use crate::load::{DIR, Run, invoke, options};
use chancery_node::sim::{Full, VIEW_FAULTS, ViewFault};
use chancery_node::{Ledger, Level, Parts, State};
use std::path::Path;

impl Run {
    /// Something goes wrong, or not. Returns the ledger as it goes on.
    pub fn happen(&mut self, ledger: Ledger) -> Ledger {
        match self.random.below(13) {
            0 => self.cut_power(ledger),
            1 => self.kill(ledger),
            2 => {
                self.disk.off_at(self.disk.operations() + self.random.below(14));
                self.until(ledger, |run, _| run.disk.is_off())
            }
            3 => {
                self.disk.fail_sync(self.random.below(6), self.random.once_in(2));
                self.until(ledger, |_, ledger| ledger.state() != State::Serving)
            }
            4 => self.fill(ledger),
            5 => {
                ledger.close().unwrap();
                self.note_checkpoint();
                self.damage_closed_view();
                self.open()
            }
            6 => {
                self.disk.set_full(Some(Full::Names));
                for _ in 0..1 + self.random.below(3) {
                    self.round(&ledger);
                }
                self.disk.heal();
                self.round(&ledger);
                ledger
            }
            _ => ledger,
        }
    }

    /// Goes on until it has happened, a few rounds at most, then starts anew.
    fn until(&mut self, ledger: Ledger, happened: impl Fn(&Run, &Ledger) -> bool) -> Ledger {
        for _ in 0..6 {
            self.round(&ledger);
            if happened(self, &ledger) {
                break;
            }
        }
        if !self.disk.is_off() && self.random.once_in(4) {
            // Closed in order after the fault: what vouches for the end must not vouch for what is in doubt.
            self.disk.heal();
            drop(ledger.close());
            self.note_checkpoint();
            self.disk.cut_power(self.random.number());
            return self.open();
        }
        if self.disk.is_off() || self.random.once_in(2) { self.cut_power(ledger) } else { self.kill(ledger) }
    }

    /// The disk is full for a while: nothing is recorded, everything can be read, and then it goes on without a restart.
    fn fill(&mut self, ledger: Ledger) -> Ledger {
        let before = ledger.head();
        self.disk.set_full(Some(if self.random.once_in(2) { Full::Told } else { Full::Untold }));
        for _ in 0..1 + self.random.below(3) {
            self.round(&ledger);
        }
        assert_eq!(ledger.head(), before);
        assert!(matches!(ledger.state(), State::ReadOnly | State::Serving), "{:?}", ledger.state());
        assert!(ledger.receipt(0, &Parts::default(), Level::Published).is_ok());
        self.check(&ledger);
        if self.random.once_in(4) {
            return self.cut_power(ledger);
        }
        self.disk.heal();
        let call = self.signed(invoke("enrol", 3u64.to_le_bytes().to_vec()));
        self.send(&ledger, vec![call]);
        assert_eq!((ledger.state(), ledger.head().size), (State::Serving, before.size + 2));
        ledger
    }

    fn damage_view(&mut self) {
        if self.random.once_in(2) {
            self.views.damage(VIEW_FAULTS[self.random.below(VIEW_FAULTS.len() as u64) as usize]);
        }
    }

    /// After a clean stop the view is durable, and a start that begins from a summary does not read it: that a single pair is gone, which is rot, is for
    /// the store to find.
    fn damage_closed_view(&mut self) {
        let faults: Vec<_> = VIEW_FAULTS.iter().filter(|fault| **fault != ViewFault::LostPair).collect();
        if self.random.once_in(2) {
            self.views.damage(*faults[self.random.below(faults.len() as u64) as usize]);
        }
    }

    fn cut_power(&mut self, ledger: Ledger) -> Ledger {
        self.note_checkpoint();
        ledger.crash();
        self.disk.heal();
        self.disk.cut_power(self.random.number());
        // What a reader finds before the ledger is opened again.
        self.note_checkpoint();
        self.damage_view();
        self.open()
    }

    fn kill(&mut self, ledger: Ledger) -> Ledger {
        self.note_checkpoint();
        ledger.crash();
        self.disk.heal();
        self.disk.kill();
        self.damage_view();
        self.open()
    }

    /// Starts the ledger, sometimes with a power cut on the way, and asks the oracle.
    fn open(&mut self) -> Ledger {
        while self.random.once_in(3) {
            self.disk.off_at(self.disk.operations() + self.random.below(12));
            let opened = Ledger::open(Path::new(DIR), options(&self.disk, &self.views, self.clock.clone()));
            self.note_checkpoint();
            if let Ok(ledger) = opened {
                ledger.crash();
            }
            self.disk.cut_power(self.random.number());
            self.note_checkpoint();
        }
        let opened = Ledger::open(Path::new(DIR), options(&self.disk, &self.views, self.clock.clone()));
        let ledger = opened.unwrap_or_else(|error| panic!("the ledger does not open: {error}"));
        self.check(&ledger);
        self.check_copy();
        self.note_checkpoint();
        ledger
    }
}
