//! The mark of a view that a clean stop left whole and durable: `DIR/view.closed`.
//!
//! ```text
//! "chancery view closed 1", then lines "height N", "root HEX", "entries N", and BLAKE3 of all before, HEX; each ends in LF
//! ```
//!
//! It names the [`Position`] of the view, and is there only while nobody has the view open: whoever opens it takes the mark away first, and a clean stop
//! leaves a new one behind the last fsync of the view's files. So a view that an interrupted rebuild, a kill or a power cut left has none, and
//! is compared with the journal key by key. Only a ledger with a [summary](crate::summary) has the mark; any other compares in every case.

use crate::NodeError;
use crate::disk::{self, Disk};
use chancery_state::view::Position;
use chancery_types::{Hash, Height};
use std::path::Path;

/// Its name in the ledger's directory.
pub(crate) const NAME: &str = "view.closed";
const TITLE: &str = "chancery view closed 1";

/// Takes the mark away, durably. Gives what it says; nothing where there is none, or one that is damaged.
///
/// # Errors
/// [`NodeError::Io`]: the view must not be opened then.
pub(crate) fn take(disk: &dyn Disk, dir: &Path) -> Result<Option<Position>, NodeError> {
    let path = dir.join(NAME);
    let Some(bytes) = disk.read_if_there(&path)? else { return Ok(None) };
    disk.remove(&path).map_err(disk::failed("cannot remove", &path))?;
    disk.sync_dir(dir).map_err(disk::failed("cannot make durable", dir))?;
    Ok(parse(&bytes))
}

/// Leaves the mark of a view that is durable at this position, and is not changed any more.
///
/// # Errors
/// [`NodeError::DiskFull`] or [`NodeError::Io`]: the next start compares.
pub(crate) fn leave(disk: &dyn Disk, dir: &Path, position: &Position) -> Result<(), NodeError> {
    disk.write_file(&dir.join(NAME), text(position).as_bytes(), 0o640)
}

fn text(Position { height, root, entries }: &Position) -> String {
    let text = format!("{TITLE}\nheight {}\nroot {root}\nentries {entries}\n", height.0);
    let hash = Hash::of(text.as_bytes());
    format!("{text}{hash}\n")
}

/// The position of which this is the text.
fn parse(bytes: &[u8]) -> Option<Position> {
    let mut lines = std::str::from_utf8(bytes).ok()?.lines().skip(1);
    let mut field = |name: &str| lines.next()?.strip_prefix(name);
    let (height, root, entries) = (field("height ")?, field("root ")?, field("entries ")?);
    let position =
        Position { height: Height(height.parse().ok()?), root: Hash::parse(root)?, entries: entries.parse().ok()? };
    (text(&position).as_bytes() == bytes).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsDisk;

    #[test]
    fn a_mark_is_taken_once_and_as_it_was_left() {
        let dir = tempfile::tempdir().unwrap();
        let position = Position { height: Height(7), root: Hash([0xab; 32]), entries: 19 };
        assert_eq!(take(&OsDisk, dir.path()).unwrap(), None);
        leave(&OsDisk, dir.path(), &position).unwrap();
        assert_eq!(take(&OsDisk, dir.path()).unwrap(), Some(position));
        assert_eq!(take(&OsDisk, dir.path()).unwrap(), None);
    }

    #[test]
    fn a_mark_with_any_other_byte_says_nothing() {
        let text = text(&Position { height: Height(7), root: Hash([0xab; 32]), entries: 19 });
        assert!(parse(text.as_bytes()).is_some() && parse(&text.as_bytes()[..text.len() - 1]).is_none());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(parse(&bytes).is_none(), "byte {at}");
        }
    }
}
