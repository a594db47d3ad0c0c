//! Writes that are not yet in a store, laid over it: one order, and what is written above is seen in place of what is below.

use crate::store::{Scan, StateKey, Store, Visited, Visitor};
use chancery_types::ContractId;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Values by key that are not in the store below; `None` is a removal.
pub type Pending = BTreeMap<StateKey, Option<Vec<u8>>>;

/// Visits a range of `base` under layers of writes, of which the last is the newest. As [`Store::visit`].
///
/// # Errors
/// As [`Store::visit`].
pub fn visit_layers(
    base: &dyn Store,
    layers: &[&Pending],
    contract: &ContractId,
    range: &Scan,
    visitor: &mut Visitor<'_>,
) -> Visited {
    let Some((newest, below)) = layers.split_last() else { return base.visit(contract, range, visitor) };
    let Some(bounds) = range.bounds(contract) else { return Ok(ControlFlow::Continue(())) };
    let written = newest.range(bounds).map(|((_, key), value)| (key.as_slice(), value));
    visit_laid_over(written, range.descending, visitor, |visitor| visit_layers(base, below, contract, range, visitor))
}

/// Visits what is `written`, in the order of its keys, and what `visit_below` tells of, as one. Nothing is read further than the visitor goes.
pub(crate) fn visit_laid_over<'a>(
    mut written: impl DoubleEndedIterator<Item = (&'a [u8], &'a Option<Vec<u8>>)>,
    descending: bool,
    visitor: &mut Visitor<'_>,
    visit_below: impl FnOnce(&mut Visitor<'_>) -> Visited,
) -> Visited {
    let mut next = || if descending { written.next_back() } else { written.next() };
    let mut above = next();
    let tell = |visitor: &mut Visitor<'_>, key: &[u8], value: &Option<Vec<u8>>| match value {
        Some(value) => visitor(key, Some(&|| Ok(value.clone()))),
        None => visitor(key, None),
    };
    let below = visit_below(&mut |key, value| {
        while let Some((written, newer)) = above {
            let (earlier, later) = if descending { (key, written) } else { (written, key) };
            if earlier > later {
                break;
            }
            above = next();
            // Of a key that both have, what is below is not told.
            if tell(visitor, written, newer)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if written == key {
                return Ok(ControlFlow::Continue(()));
            }
        }
        visitor(key, value)
    })?;
    if below.is_break() {
        return Ok(below);
    }
    while let Some((written, newer)) = above {
        if tell(visitor, written, newer)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        above = next();
    }
    Ok(ControlFlow::Continue(()))
}
