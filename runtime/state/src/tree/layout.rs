//! The layout against the model of the rule: whatever shape the pages have, roots, proofs and pairs are those of the rule.
