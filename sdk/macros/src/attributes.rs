//! Reading attributes and names: doc comments, `cites = "…"`, those that mark, and how what is marked is called.

use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprLit, Ident, Lit, LitStr, Meta, MetaNameValue, Result, Token};

/// Longest name of a method, a field, a stored item or map: `NAME_BYTES_MAX` of `chancery_types::call`.
pub const NAME_BYTES_MAX: usize = 64;

/// The name of a method or field, as callers write it.
pub fn callable(ident: &Ident) -> Result<String> {
    let name = ident.unraw().to_string();
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(letters)
    {
        return Ok(name);
    }
    let wanted = "expected a name that begins with one of a to z and goes on with them, digits and `_`, at most 64 bytes: callers write it";
    Err(Error::new_spanned(ident, wanted))
}

/// The text of a `name = "text"` pair.
fn text_of(pair: &MetaNameValue) -> Result<String> {
    match &pair.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.value()),
        other => Err(Error::new_spanned(other, "expected a text in quotes")),
    }
}

/// The doc comment, its lines joined.
pub fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let lines = lines.filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) => text_of(pair).ok(),
        _ => None,
    });
    lines.map(|line| line.trim().to_string()).collect::<Vec<_>>().join(" ").trim().to_string()
}

/// Takes the attribute of this name out, which has no arguments.
pub fn take_mark(attributes: &mut Vec<Attribute>, name: &str) -> Result<bool> {
    match take(attributes, name) {
        None => Ok(false),
        Some(Attribute { meta: Meta::Path(_), .. }) => Ok(true),
        Some(Attribute { meta, .. }) => {
            Err(Error::new_spanned(meta, format!("expected `#[{name}]` and nothing in it")))
        }
    }
}

/// Takes the attribute of this name out.
pub fn take(attributes: &mut Vec<Attribute>, name: &str) -> Option<Attribute> {
    let position = attributes.iter().position(|attribute| attribute.path().is_ident(name))?;
    Some(attributes.remove(position))
}

/// What stands in the parentheses of a marking attribute: perhaps a text, then pairs.
#[derive(Default)]
pub struct Arguments {
    text: Option<LitStr>,
    pairs: Vec<MetaNameValue>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Arguments::default();
        if input.peek(LitStr) {
            arguments.text = Some(input.parse()?);
            if input.is_empty() {
                return Ok(arguments);
            }
            input.parse::<Token![,]>()?;
        }
        arguments.pairs = Punctuated::<MetaNameValue, Token![,]>::parse_terminated(input)?.into_iter().collect();
        Ok(arguments)
    }
}

impl Arguments {
    /// Those of an attribute; none where it has no parentheses.
    pub fn of(attribute: &Attribute) -> Result<Self> {
        match &attribute.meta {
            Meta::Path(_) => Ok(Arguments::default()),
            _ => attribute.parse_args(),
        }
    }

    /// Takes the text in front of the pairs.
    pub fn take_text(&mut self) -> Option<String> {
        self.text.take().map(|text| text.value())
    }

    /// The text of the pair with the one name that is allowed, empty where it is missing. There is nothing else, and it is there once.
    pub fn only(&self, name: &str) -> Result<String> {
        if let Some(text) = &self.text {
            return Err(Error::new_spanned(text, format!("expected `{name} = \"…\"`, found a text without a name")));
        }
        if let Some(other) = self.pairs.iter().find(|pair| !pair.path.is_ident(name)) {
            return Err(Error::new_spanned(&other.path, format!("expected `{name} = \"…\"`")));
        }
        match self.pairs.as_slice() {
            [] => Ok(String::new()),
            [pair] => text_of(pair),
            [_, second, ..] => {
                Err(Error::new_spanned(second, format!("expected `{name} = \"…\"` once: this is the second")))
            }
        }
    }
}
