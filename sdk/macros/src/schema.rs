//! `#[derive(Schema)]`, and what events and errors share with it.

use crate::attributes::{Arguments, callable, doc, take};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Fields, Ident, Result, Variant};

/// The description of fields, as constant expressions.
fn fields_description(fields: &Fields) -> Result<TokenStream> {
    if let Fields::Unnamed(unnamed) = fields {
        return Err(syn::Error::new_spanned(unnamed, "expected named fields: their names are shown to people"));
    }
    let field = |(ident, field): (&Ident, &syn::Field)| {
        let (name, doc, ty) = (callable(ident)?, doc(&field.attrs), &field.ty);
        Ok(quote! {
            ::chancery_sdk::types::interface::constant::Field {
                name: #name, doc: #doc, ty: <#ty as ::chancery_sdk::types::interface::constant::Describe>::TYPE,
            }
        })
    };
    let fields: Vec<_> = idents(fields).into_iter().zip(fields).map(field).collect::<Result<_>>()?;
    Ok(quote! { &[#(#fields),*] })
}

/// The names of fields, which have them.
fn idents(fields: &Fields) -> Vec<&Ident> {
    fields.iter().filter_map(|field| field.ident.as_ref()).collect()
}

/// A variant's fields bound to names of their own, so that none hides what stands around them, and their encodings into `out`.
fn encode_fields(fields: &Fields) -> (TokenStream, TokenStream) {
    let idents = idents(fields);
    let names: Vec<_> = (0..idents.len()).map(|position| format_ident!("__{position}")).collect();
    (quote! { #(#idents: #names),* }, quote! { #(::chancery_sdk::types::Encode::encode(#names, out);)* })
}

/// A variant's description.
fn variant_description(variant: &Variant, citation: &str) -> Result<TokenStream> {
    if let Some((_, number)) = &variant.discriminant {
        let message = "expected no number: a variant is encoded by its position, so `as u8` must be the position too";
        return Err(syn::Error::new_spanned(number, message));
    }
    let (name, doc, fields) =
        (variant.ident.unraw().to_string(), doc(&variant.attrs), fields_description(&variant.fields)?);
    Ok(quote! {
        ::chancery_sdk::types::interface::constant::Variant { name: #name, doc: #doc, citation: #citation, fields: #fields }
    })
}

fn ordinal(index: usize, at: &Variant) -> Result<u8> {
    u8::try_from(index).map_err(|_| syn::Error::new_spanned(at, "expected at most 256 variants"))
}

/// What the implementations for a type consist of: the bodies of `encode` and `decode`, and the description.
struct Parts {
    encode: TokenStream,
    decode: TokenStream,
    description: TokenStream,
}

fn of_struct(name: &str, docs: &str, fields: &Fields) -> Result<Parts> {
    let (description, fields) = (fields_description(fields)?, idents(fields));
    Ok(Parts {
        encode: quote! { #(::chancery_sdk::types::Encode::encode(&self.#fields, out);)* },
        decode: quote! { ::core::result::Result::Ok(Self { #(#fields: ::chancery_sdk::types::Decode::decode(reader)?),* }) },
        description: quote! { Struct(#name, #docs, #description) },
    })
}

fn of_enum<'a>(name: &str, docs: &str, all: impl Iterator<Item = &'a Variant>) -> Result<Parts> {
    let (mut encode, mut decode, mut variants) = (Vec::new(), Vec::new(), Vec::new());
    for (index, variant) in all.enumerate() {
        let (tag, ident) = (ordinal(index, variant)?, &variant.ident);
        let (fields, (bound, encodings)) = (idents(&variant.fields), encode_fields(&variant.fields));
        variants.push(variant_description(variant, "")?);
        encode.push(quote! { Self::#ident { #bound } => { out.push(#tag); #encodings } });
        decode.push(quote! { #tag => ::core::result::Result::Ok(Self::#ident { #(#fields: ::chancery_sdk::types::Decode::decode(reader)?),* }), });
    }
    Ok(Parts {
        encode: quote! { match self { #(#encode)* } },
        decode: quote! {
            match <u8 as ::chancery_sdk::types::Decode>::decode(reader)? {
                #(#decode)*
                _ => ::core::result::Result::Err(::chancery_sdk::types::DecodeError::UnknownTag),
            }
        },
        description: quote! { Enum(#name, #docs, &[#(#variants),*]) },
    })
}

/// Derives encoding and description.
pub fn expand(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    if !item.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &item.generics,
            "expected a type without parameters: its description is one constant",
        ));
    }
    let (ident, name, docs) = (&item.ident, item.ident.unraw().to_string(), doc(&item.attrs));
    let Parts { encode, decode, description } = match &item.data {
        Data::Struct(data) => of_struct(&name, &docs, &data.fields)?,
        Data::Enum(data) if data.variants.is_empty() => {
            return Err(syn::Error::new_spanned(ident, "expected a variant: there is no value of this type"));
        }
        Data::Enum(data) => of_enum(&name, &docs, data.variants.iter())?,
        Data::Union(_) => return Err(syn::Error::new_spanned(ident, "expected a struct or an enum")),
    };
    Ok(quote! {
        #[automatically_derived]
        impl ::chancery_sdk::types::Encode for #ident {
            fn encode(&self, out: &mut ::chancery_sdk::prelude::Vec<u8>) { #encode }
        }
        #[automatically_derived]
        impl ::chancery_sdk::types::Decode for #ident {
            fn decode(reader: &mut ::chancery_sdk::types::Reader<'_>) -> ::core::result::Result<Self, ::chancery_sdk::types::DecodeError> { #decode }
        }
        #[automatically_derived]
        impl ::chancery_sdk::types::interface::constant::Describe for #ident {
            const TYPE: ::chancery_sdk::types::interface::constant::Type = ::chancery_sdk::types::interface::constant::Type::#description;
        }
    })
}

/// Implements `Variants` for an enum of events or errors, and `Event` or `Fault`.
pub fn expand_variants(item: &mut syn::ItemEnum, errors: bool) -> Result<TokenStream> {
    let ident = &item.ident;
    let (mut descriptions, mut ordinals, mut encodings, mut rules) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, variant) in item.variants.iter_mut().enumerate() {
        let rule = take(&mut variant.attrs, "rule");
        let mut arguments = rule.as_ref().map(Arguments::of).transpose()?.unwrap_or_default();
        // An event states no rule.
        let text = if errors { arguments.take_text() } else { Some(String::new()) };
        let citation = arguments.only("cites")?;
        let Some(text) = text else {
            let message =
                "expected `#[rule(\"what was required\", cites = \"…\")]`: a refusal says which rule was not met";
            return Err(syn::Error::new_spanned(&variant.ident, message));
        };
        if errors && doc(&variant.attrs).is_empty() {
            return Err(syn::Error::new_spanned(&variant.ident, "expected a doc comment: it is what people read"));
        }
        descriptions.push(variant_description(variant, &citation)?);
        let name = &variant.ident;
        let ordinal =
            u16::try_from(index).map_err(|_| syn::Error::new_spanned(name, "expected at most 65,536 variants"))?;
        ordinals.push(quote! { Self::#name { .. } => #ordinal });
        let (bound, encoded) = encode_fields(&variant.fields);
        encodings.push(quote! { Self::#name { #bound } => { #encoded } });
        rules.push(quote! { Self::#name { .. } => (#text, #citation) });
    }
    let kind = if errors {
        quote! {
            impl ::chancery_sdk::dispatch::Fault for #ident {
                fn rule(&self) -> (&'static str, &'static str) { match *self { #(#rules),* } }
            }
        }
    } else {
        quote! { impl ::chancery_sdk::dispatch::Event for #ident {} }
    };
    // A reference to an enum without variants has to be followed to be matched by no arm.
    let value = if encodings.is_empty() {
        quote! { *self }
    } else {
        quote! { self }
    };
    Ok(quote! {
        impl ::chancery_sdk::dispatch::Variants for #ident {
            const VARIANTS: &'static [::chancery_sdk::types::interface::constant::Variant] = &[#(#descriptions),*];
            fn ordinal(&self) -> u16 { match *self { #(#ordinals),* } }
            fn encode_fields(&self, out: &mut ::chancery_sdk::prelude::Vec<u8>) { match #value { #(#encodings)* } }
        }
        #kind
    })
}
