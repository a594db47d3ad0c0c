//! `#[derive(Schema)]`, and what events and errors share with it.

use crate::attributes::{Arguments, doc, take};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields, Result, Variant};

/// The description of fields, as constant expressions.
fn fields_description(fields: &Fields) -> Result<TokenStream> {
    if let Fields::Unnamed(unnamed) = fields {
        return Err(syn::Error::new_spanned(unnamed, "expected named fields: their names are shown to people"));
    }
    let fields = fields.iter().map(|field| {
        let (name, doc, ty) = (field.ident.as_ref().map(ToString::to_string), doc(&field.attrs), &field.ty);
        quote! {
            ::chancery_sdk::types::interface::constant::Field {
                name: #name, doc: #doc, ty: <#ty as ::chancery_sdk::types::interface::constant::Describe>::TYPE,
            }
        }
    });
    Ok(quote! { &[#(#fields),*] })
}

/// A variant's description.
fn variant_description(variant: &Variant, citation: &str) -> Result<TokenStream> {
    let (name, doc, fields) = (variant.ident.to_string(), doc(&variant.attrs), fields_description(&variant.fields)?);
    Ok(quote! {
        ::chancery_sdk::types::interface::constant::Variant { name: #name, doc: #doc, citation: #citation, fields: #fields }
    })
}

fn ordinal(index: usize, at: &Variant) -> Result<u8> {
    u8::try_from(index).map_err(|_| syn::Error::new_spanned(at, "expected at most 256 variants"))
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
    let (ident, name, docs) = (&item.ident, item.ident.to_string(), doc(&item.attrs));
    let (encode, decode, description) = match &item.data {
        Data::Struct(data) => {
            let description = fields_description(&data.fields)?;
            let fields: Vec<_> = data.fields.iter().filter_map(|field| field.ident.as_ref()).collect();
            (
                quote! { #(::chancery_sdk::types::Encode::encode(&self.#fields, out);)* },
                quote! { Ok(#ident { #(#fields: ::chancery_sdk::types::Decode::decode(reader)?),* }) },
                quote! { Struct(#name, #docs, #description) },
            )
        }
        Data::Enum(data) => {
            let (mut encode, mut decode, mut variants) = (Vec::new(), Vec::new(), Vec::new());
            for (index, variant) in data.variants.iter().enumerate() {
                let (tag, ident) = (ordinal(index, variant)?, &variant.ident);
                let fields: Vec<_> = variant.fields.iter().filter_map(|field| field.ident.as_ref()).collect();
                variants.push(variant_description(variant, "")?);
                encode.push(quote! {
                    Self::#ident { #(#fields),* } => { out.push(#tag); #(::chancery_sdk::types::Encode::encode(#fields, out);)* }
                });
                decode.push(quote! { #tag => Ok(Self::#ident { #(#fields: ::chancery_sdk::types::Decode::decode(reader)?),* }), });
            }
            (
                quote! { match self { #(#encode)* } },
                quote! {
                    match <u8 as ::chancery_sdk::types::Decode>::decode(reader)? {
                        #(#decode)*
                        _ => Err(::chancery_sdk::types::DecodeError::UnknownTag),
                    }
                },
                quote! { Enum(#name, #docs, &[#(#variants),*]) },
            )
        }
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

/// Implements `Variants` for an enum of events or errors; for errors, `Fault` too.
pub fn expand_variants(item: &mut syn::ItemEnum, errors: bool) -> Result<TokenStream> {
    let ident = &item.ident;
    let (mut descriptions, mut ordinals, mut encodings, mut rules) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, variant) in item.variants.iter_mut().enumerate() {
        let rule = take(&mut variant.attrs, "rule");
        let arguments = rule.as_ref().map(Arguments::of).transpose()?.unwrap_or_default();
        let citation = arguments.only("cites")?;
        let text = match (arguments.text, errors) {
            (Some(text), _) => text,
            (None, false) => String::new(),
            (None, true) => {
                let message =
                    "expected `#[rule(\"what was required\", cites = \"…\")]`: a refusal says which rule was not met";
                return Err(syn::Error::new_spanned(&variant.ident, message));
            }
        };
        if errors && doc(&variant.attrs).is_empty() {
            return Err(syn::Error::new_spanned(&variant.ident, "expected a doc comment: it is what people read"));
        }
        descriptions.push(variant_description(variant, &citation)?);
        let name = &variant.ident;
        let ordinal =
            u16::try_from(index).map_err(|_| syn::Error::new_spanned(name, "expected at most 65,536 variants"))?;
        ordinals.push(quote! { Self::#name { .. } => #ordinal });
        let fields: Vec<_> = variant.fields.iter().filter_map(|field| field.ident.clone()).collect();
        encodings.push(
            quote! { Self::#name { #(#fields),* } => { #(::chancery_sdk::types::Encode::encode(#fields, out);)* } },
        );
        rules.push(quote! { Self::#name { .. } => (#text, #citation) });
    }
    let fault = errors.then(|| {
        quote! {
            impl ::chancery_sdk::dispatch::Fault for #ident {
                fn rule(&self) -> (&'static str, &'static str) { match *self { #(#rules),* } }
            }
        }
    });
    Ok(quote! {
        impl ::chancery_sdk::dispatch::Variants for #ident {
            const VARIANTS: &'static [::chancery_sdk::types::interface::constant::Variant] = &[#(#descriptions),*];
            fn ordinal(&self) -> u16 { match *self { #(#ordinals),* } }
            fn encode_fields(&self, out: &mut ::chancery_sdk::prelude::Vec<u8>) { match self { #(#encodings)* } }
        }
        #fault
    })
}
