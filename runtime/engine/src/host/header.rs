//! The host functions for C, from the one table.

use super::functions::{HOST_FUNCTIONS, IMPORT_MODULE, Scalar};
use super::{ANSWER_BAD_ARGUMENTS, ANSWER_DONE, ANSWER_REFUSED, CONTEXT_BYTES};
use std::fmt::Write;

/// `chancery.h`: declarations of every host function, and what an entry function answers.
pub fn c_header() -> String {
    let mut header = format!(
        "/* The host functions of a Chancery contract. Written from the table of `runtime/engine/src/host/functions.rs`: do not edit.\n \
         * Every function is charged before it works. A pointer or length outside the memory stops the call. */\n\
         #ifndef CHANCERY_H\n#define CHANCERY_H\n\n#include <stdint.h>\n\n\
         /* What an entry function answers. */\n\
         #define CHANCERY_DONE {ANSWER_DONE}\n#define CHANCERY_REFUSED {ANSWER_REFUSED}\n\
         #define CHANCERY_BAD_ARGUMENTS {ANSWER_BAD_ARGUMENTS}\n\n\
         /* Bytes that chancery_context writes. */\n#define CHANCERY_CONTEXT_BYTES {CONTEXT_BYTES}\n\n\
         /* An entry function: int32_t call(uint32_t selector, uint32_t arguments_len). */\n\
         #define CHANCERY_ENTRY(name) __attribute__((export_name(#name))) int32_t name\n\n\
         #define CHANCERY_IMPORT(name) __attribute__((import_module(\"{IMPORT_MODULE}\"), import_name(name)))\n"
    );
    for function in HOST_FUNCTIONS {
        let result = match function.result {
            None => "void",
            Some(Scalar::I32) => "int32_t",
            Some(Scalar::I64) => "int64_t",
        };
        let parameters: Vec<String> = function.parameters.iter().map(|name| parameter(name)).collect();
        let (name, doc, parameters) = (function.name, function.doc, parameters.join(", "));
        // Writing into a text does not fail.
        let _ = write!(
            header,
            "\n/* {name}: {doc} */\nCHANCERY_IMPORT(\"{name}\") {result} chancery_{name}({parameters});\n"
        );
    }
    header.push_str("\n#endif\n");
    header
}

/// A parameter's declaration: what is written is a pointer, what is counted a number, and all else is read.
fn parameter(name: &str) -> String {
    match name {
        "out" => "uint8_t *out".into(),
        "code" | "kind" | "flags" | "limit" | "cap" | "len" => format!("uint32_t {name}"),
        name if name.ends_with("_len") => format!("uint32_t {name}"),
        name => format!("const uint8_t *{name}"),
    }
}
