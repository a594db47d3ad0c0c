//! Reading attributes: doc comments, `cites = "…"`, and those that mark.

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, MetaNameValue, Result, Token};

/// The text of a `name = "text"` pair.
fn text_of(pair: &MetaNameValue) -> Result<String> {
    match &pair.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.value()),
        other => Err(syn::Error::new_spanned(other, "expected a text in quotes")),
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

/// Takes the attribute of this name out.
pub fn take(attributes: &mut Vec<Attribute>, name: &str) -> Option<Attribute> {
    let position = attributes.iter().position(|attribute| attribute.path().is_ident(name))?;
    Some(attributes.remove(position))
}

/// What stands in the parentheses of a marking attribute: perhaps a text, then pairs.
#[derive(Default)]
pub struct Arguments {
    /// The text.
    pub text: Option<String>,
    pairs: Vec<MetaNameValue>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Arguments::default();
        if input.peek(LitStr) {
            arguments.text = Some(input.parse::<LitStr>()?.value());
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

    /// The text of the pair with the one name that is allowed; empty where it is missing.
    pub fn only(&self, name: &str) -> Result<String> {
        let mut found = String::new();
        for pair in &self.pairs {
            if !pair.path.is_ident(name) {
                return Err(syn::Error::new_spanned(&pair.path, format!("expected `{name} = \"…\"`")));
            }
            found = text_of(pair)?;
        }
        Ok(found)
    }
}
