//! Tests that cross crates: what the documentation shows is what happens.
