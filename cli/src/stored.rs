//! Stored keys and values by the interface: `name length ‖ name ‖ key parts` and the value's encoding.

use chancery_node::ContractRecord;
use chancery_node::registry::REGISTRY;
use chancery_types::codec::{Decode, Reader};
use chancery_types::entry::Write;
use chancery_types::interface::{Interface, Storage};
use chancery_types::json;
use serde_json::{Value, json};

/// The beginning of all keys of a stored item or map.
pub fn prefix(storage: &Storage) -> Vec<u8> {
    // Names have at most 64 bytes.
    let len = u8::try_from(storage.name.len()).unwrap_or(u8::MAX);
    [&[len], storage.name.as_bytes()].concat()
}

/// Whose key it is, and its parts; `None` where the interface does not know it.
pub fn key<'a>(interface: &'a Interface, bytes: &[u8]) -> Option<(&'a Storage, Vec<Value>)> {
    let (len, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*len))?;
    let storage = interface.storage.iter().find(|storage| storage.name.as_bytes() == name)?;
    let mut reader = Reader::new(rest);
    let parts = storage.keys.iter().map(|ty| json::decode_key(ty, &mut reader)).collect::<Result<_, _>>().ok()?;
    reader.finish().ok()?;
    Some((storage, parts))
}

/// A value, or its bytes where it is not of its type.
pub fn value(storage: &Storage, bytes: &[u8]) -> Value {
    json::from_bytes(&storage.value, bytes).unwrap_or_else(|_| hex::encode(bytes).into())
}

/// A write as people read it.
pub fn write(interface: &Interface, write: &Write) -> Value {
    let record = write.value.as_deref().filter(|_| write.contract == REGISTRY);
    if let Some(record) = record.and_then(|bytes| ContractRecord::from_bytes(bytes).ok()) {
        let value =
            json!({"contract": record.id.to_string(), "module": record.module.to_string(), "by": record.by.to_did()});
        return json!({"stored": "register of contracts", "key": [record.name], "value": value});
    }
    match key(interface, &write.key) {
        Some((storage, parts)) => {
            let value = write.value.as_deref().map(|bytes| value(storage, bytes));
            json!({"stored": storage.name, "key": parts, "value": value})
        }
        None => json!({"key": hex::encode(&write.key), "value": write.value.as_ref().map(hex::encode)}),
    }
}
