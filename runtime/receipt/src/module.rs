//! The interface description inside a module: WebAssembly's binary format as far as its sections (core specification §5.5.2).
//!
//! ```text
//! module  = 00 61 73 6d 01 00 00 00 ‖ section*
//! section = id, one byte ‖ length, unsigned LEB128 ‖ that many bytes
//! custom  = a section of id 0: length of the name ‖ name ‖ content
//! ```

use chancery_types::codec::Decode;
use chancery_types::interface::{INTERFACE_VERSION, Interface, SECTION};

const MAGIC: [u8; 8] = *b"\0asm\x01\0\0\0";
const CUSTOM: u8 = 0;

/// The interface description of a module.
pub(crate) fn interface(wasm: &[u8]) -> Result<Interface, String> {
    let mut rest = wasm.strip_prefix(&MAGIC).ok_or("it does not begin like a WebAssembly module")?;
    let mut found = None;
    while let Some((id, after)) = rest.split_first() {
        let (content, next) = sized(after).ok_or("a section is longer than the module")?;
        rest = next;
        if *id != CUSTOM {
            continue;
        }
        let (name, content) = sized(content).ok_or("the name of a section is longer than the section")?;
        if name == SECTION.as_bytes() && found.replace(content).is_some() {
            return Err(format!("it has the section `{SECTION}` twice"));
        }
    }
    let section = found.ok_or_else(|| format!("it has no section `{SECTION}`"))?;
    let interface =
        Interface::from_bytes(section).map_err(|error| format!("its interface does not decode: {error}"))?;
    if interface.version != INTERFACE_VERSION {
        let version = interface.version;
        return Err(format!("expected an interface of version {INTERFACE_VERSION}, found version {version}"));
    }
    Ok(interface)
}

/// A length and that many bytes, and what follows them.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut length, mut rest) = (0u64, bytes);
    for shift in (0..35).step_by(7) {
        let (byte, after) = rest.split_first()?;
        rest = after;
        length |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return rest.split_at_checked(usize::try_from(length).ok()?);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_types::codec::Encode;

    fn custom(name: &str, content: &[u8]) -> Vec<u8> {
        let len = u8::try_from(name.len()).unwrap();
        let size = u8::try_from(1 + name.len() + content.len()).unwrap();
        [&[CUSTOM, size, len], name.as_bytes(), content].concat()
    }

    #[test]
    fn the_interface_is_found_between_other_sections() {
        let interface = Interface { version: INTERFACE_VERSION, name: "permit".into(), ..Interface::default() };
        let section = custom(SECTION, &interface.to_bytes());
        let wasm = [&MAGIC[..], &custom("name", b"x"), &[1, 1, 0], &section].concat();
        assert_eq!(super::interface(&wasm), Ok(interface));
        let twice = [&wasm[..], &section].concat();
        assert!(super::interface(&twice).unwrap_err().contains("twice"));
        for cut in 1..wasm.len() {
            assert!(super::interface(&wasm[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn the_built_modules_tell_their_interface() {
        let wasm = include_bytes!("../../../contracts/dist/minimal.wasm");
        assert_eq!(super::interface(wasm).unwrap().name, "minimal");
    }
}
