//! The macros of `chancery-sdk`: [`macro@contract`] turns a Rust module into a contract, [`macro@Schema`] gives a type its encoding and
//! its description. See that crate for how a contract looks.
//!
//! What is written wrongly is a compile error at its place: a method without a context, a result that is no `Result`, a storage name used twice,
//! what is stored without `#[storage]`, a name that callers could not write, a variant with a number of its own, and whatever an attribute
//! would not read. `tests.rs` has every such error with its text.

mod attributes;
mod contract;
mod schema;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Turns a module into a contract. Within it:
///
/// - `#[init]`, `#[call(cites = "…")]` and `#[query(cites = "…")]` mark methods, whose first parameter is `&mut Context` (`&Context` for a query) and which
///   return `Result<T, Error>`; doc comments of methods and parameters are their help texts;
/// - `#[storage]` marks constants of type `Item<T>` or `Map<K, V>`;
/// - `#[event]` and `#[error]` mark one enum each; a variant of the error has `#[rule("what was required", cites = "…")]`.
///
/// `#[contract(legal_basis = "…")]` names the law. The contract's name is the module's, with `-` for `_`.
#[proc_macro_attribute]
pub fn contract(attribute: TokenStream, item: TokenStream) -> TokenStream {
    contract::expand(attribute.into(), item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Gives a struct or enum its encoding (Borsh) and its description: fields in order, doc comments as help texts.
#[proc_macro_derive(Schema)]
pub fn schema(item: TokenStream) -> TokenStream {
    schema::expand(item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}
