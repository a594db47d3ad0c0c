//! Retention: what is kept of a ledger, said to those who rely on it.
//!
//! ```text
//! retention = "chancery retention 1" ‖ LF ‖ "journal all" ‖ LF ‖ "entries all" ‖ LF ‖ "modules all" ‖ LF
//! ```
//!
//! The file stands in every export. `journal` is about the segments with entries and effects, `entries` about the
//! public bundles, `modules` about the blobs. `all` is from genesis on, as long as the ledger is. It is the only policy
//! of this version: opening, proofs of old state, audits and snapshots read the journal from its first entry, no
//! command removes a segment, and a journal from which one is missing does not open. A version that can let segments go
//! says so here before it does.

/// The policy, as it is published.
pub const RETENTION: &str = "chancery retention 1\njournal all\nentries all\nmodules all\n";
