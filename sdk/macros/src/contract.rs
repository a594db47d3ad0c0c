//! `#[contract]`: methods, storage, events and errors of a module, and the entry functions around them.

use crate::attributes::{Arguments, NAME_BYTES_MAX, callable, doc, take, take_mark};
use crate::schema::expand_variants;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{
    FnArg, GenericArgument, Ident, Item, ItemConst, ItemEnum, ItemFn, ItemMod, Pat, PathArguments, Result, ReturnType,
    Type,
};

/// When a method runs: name of the attribute, entry function, kind in the interface.
const KINDS: [(&str, &str); 3] = [("init", "Init"), ("call", "Call"), ("query", "Query")];

/// A method.
struct Method {
    kind: usize,
    ident: Ident,
    description: TokenStream,
    parameters: Vec<Type>,
    mutable: bool,
}

/// What was found in the module.
#[derive(Default)]
struct Found {
    methods: Vec<Method>,
    storage: Vec<(String, TokenStream)>,
    events: Option<(Ident, TokenStream)>,
    errors: Option<(Ident, TokenStream)>,
}

pub fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let legal_basis = syn::parse2::<Arguments>(attribute)?.only("legal_basis")?;
    let mut module: ItemMod = syn::parse2(item)?;
    let (name, docs) = (module.ident.unraw().to_string().replace('_', "-"), doc(&module.attrs));
    let Some((_, items)) = &mut module.content else {
        return Err(syn::Error::new_spanned(&module.ident, "expected a module with its content in braces"));
    };
    let mut found = Found::default();
    for item in items.iter_mut() {
        found.take(item)?;
    }
    let generated = found.generate(&name, &docs, &legal_basis);
    let file: syn::File = syn::parse2(generated)?;
    items.extend(file.items);
    let ident = &module.ident;
    Ok(quote! {
        #module
        #[cfg(not(target_arch = "wasm32"))]
        pub use #ident::CONTRACT;
    })
}

impl Found {
    fn take_storage(&mut self, constant: &mut ItemConst) -> Result<()> {
        if !take_mark(&mut constant.attrs, "storage")? {
            return if is_storage(constant) {
                let message = "expected `#[storage]`: what is stored is part of the interface description";
                Err(syn::Error::new_spanned(&constant.ident, message))
            } else {
                Ok(())
            };
        }
        let storage = storage(constant)?;
        if self.storage.iter().any(|(name, _)| *name == storage.0) {
            return Err(syn::Error::new_spanned(&constant.ident, "this storage name is used twice"));
        }
        self.storage.push(storage);
        Ok(())
    }

    fn take_method(&mut self, function: &mut ItemFn) -> Result<()> {
        let mut kinds =
            KINDS.iter().enumerate().filter_map(|(kind, (name, _))| Some((kind, take(&mut function.attrs, name)?)));
        let (Some((kind, attribute)), second) = (kinds.next(), kinds.next()) else { return Ok(()) };
        if let Some((_, second)) = second {
            return Err(syn::Error::new_spanned(second, "expected one of `#[init]`, `#[call]` and `#[query]`"));
        }
        if KINDS[kind].0 == "init" && self.methods.iter().any(|method| method.kind == kind) {
            return Err(syn::Error::new_spanned(attribute, "expected one `#[init]`: a deployment runs one"));
        }
        let citation = Arguments::of(&attribute)?.only("cites")?;
        self.methods.push(method(function, kind, &citation)?);
        Ok(())
    }

    fn take_variants(&mut self, item: &mut ItemEnum) -> Result<()> {
        let (event, error) = (take_mark(&mut item.attrs, "event")?, take_mark(&mut item.attrs, "error")?);
        let (slot, attribute) = match (event, error) {
            (false, false) => return Ok(()),
            (true, true) => {
                return Err(syn::Error::new_spanned(&item.ident, "expected one of `#[event]` and `#[error]`"));
            }
            (true, false) => (&mut self.events, "event"),
            (false, true) => (&mut self.errors, "error"),
        };
        if slot.replace((item.ident.clone(), expand_variants(item, error)?)).is_some() {
            return Err(syn::Error::new_spanned(&item.ident, format!("expected one `#[{attribute}]` enum")));
        }
        Ok(())
    }

    fn take(&mut self, item: &mut Item) -> Result<()> {
        match item {
            Item::Fn(function) => self.take_method(function),
            Item::Const(constant) => self.take_storage(constant),
            Item::Enum(item) => self.take_variants(item),
            _ => Ok(()),
        }
    }

    fn generate(&self, name: &str, docs: &str, legal_basis: &str) -> TokenStream {
        let descriptions = self.methods.iter().map(|method| &method.description);
        let storage = self.storage.iter().map(|(_, description)| description);
        let never = quote! { ::chancery_sdk::dispatch::Never };
        let variants =
            |found: &Option<(Ident, TokenStream)>| found.as_ref().map_or(never.clone(), |(ident, _)| quote! { #ident });
        let (events, errors) = (variants(&self.events), variants(&self.errors));
        let implementations = self.events.iter().chain(&self.errors).map(|(_, code)| code);
        let entries = (0..KINDS.len()).map(|kind| self.entry(kind));
        let native = KINDS.iter().map(|(kind, _)| {
            let entry = format_ident!("__{kind}");
            quote! { #kind => #entry(selector, arguments_len) }
        });
        quote! {
            #(#implementations)*

            const __INTERFACE: ::chancery_sdk::types::interface::constant::Interface =
                ::chancery_sdk::types::interface::constant::Interface {
                    name: #name,
                    doc: #docs,
                    legal_basis: #legal_basis,
                    methods: &[#(#descriptions),*],
                    events: <#events as ::chancery_sdk::dispatch::Variants>::VARIANTS,
                    errors: <#errors as ::chancery_sdk::dispatch::Variants>::VARIANTS,
                    storage: &[#(#storage),*],
                };

            #[used]
            #[cfg_attr(target_arch = "wasm32", unsafe(link_section = "chancery:interface"))]
            static __INTERFACE_BYTES: [u8; ::chancery_sdk::types::interface::constant::len(&__INTERFACE)] =
                ::chancery_sdk::types::interface::constant::encode(&__INTERFACE);

            #(#entries)*

            /// The contract, linked into the program: what the test harness runs.
            #[cfg(not(target_arch = "wasm32"))]
            pub const CONTRACT: ::chancery_sdk::native::Contract = ::chancery_sdk::native::Contract {
                package: ::core::env!("CARGO_MANIFEST_DIR"),
                interface: &__INTERFACE_BYTES,
                entry: |kind, selector, arguments_len| match kind {
                    #(#native,)*
                    _ => ::chancery_sdk::dispatch::BAD_ARGUMENTS,
                },
            };
        }
    }

    /// The entry function of a kind. On wasm it is exported where there is a method of the kind; `call` always.
    fn entry(&self, kind: usize) -> TokenStream {
        let export = KINDS[kind].0;
        let entry = format_ident!("__{export}");
        let (of_kind, arms): (Vec<_>, Vec<_>) = (0u32..)
            .zip(&self.methods)
            .filter(|(_, method)| method.kind == kind)
            .map(|(selector, method)| (selector, method.arm(selector)))
            .unzip();
        let exported = (export == "call" || !of_kind.is_empty()).then(|| {
            let wasm = format_ident!("__wasm_{export}");
            quote! {
                #[cfg(target_arch = "wasm32")]
                #[unsafe(export_name = #export)]
                extern "C" fn #wasm(selector: u32, arguments_len: usize) -> i32 {
                    #entry(selector, arguments_len)
                }
            }
        });
        quote! {
            #[allow(dead_code, unused_variables, reason = "a contract need not have methods of every kind, nor methods arguments")]
            fn #entry(__selector: u32, __arguments_len: usize) -> i32 {
                let __bytes = ::chancery_sdk::host::arguments(__arguments_len);
                let mut __reader = ::chancery_sdk::types::Reader::new(&__bytes);
                match __selector {
                    #(#arms)*
                    _ => ::chancery_sdk::dispatch::BAD_ARGUMENTS,
                }
            }
            #exported
        }
    }
}

impl Method {
    fn arm(&self, selector: u32) -> TokenStream {
        let Method { ident, parameters, mutable, .. } = self;
        // Names of their own: a parameter may be called as its method, or as anything here.
        let names: Vec<_> = (0..parameters.len()).map(|position| format_ident!("__{position}")).collect();
        let decode = names.iter().zip(parameters).map(|(name, ty)| {
            quote! {
                let ::core::result::Result::Ok(#name) = <#ty as ::chancery_sdk::types::Decode>::decode(&mut __reader) else {
                    return ::chancery_sdk::dispatch::BAD_ARGUMENTS;
                };
            }
        });
        let ctx = if *mutable {
            quote! { &mut ::chancery_sdk::Context::default() }
        } else {
            quote! { &::chancery_sdk::Context::default() }
        };
        quote! {
            #selector => {
                #(#decode)*
                if __reader.finish().is_err() {
                    return ::chancery_sdk::dispatch::BAD_ARGUMENTS;
                }
                ::chancery_sdk::dispatch::Answer::give(self::#ident(#ctx, #(#names),*))
            }
        }
    }
}

/// Reads a method off a function, whose parameters lose their doc comments (Rust allows none there).
fn method(function: &mut ItemFn, kind: usize, citation: &str) -> Result<Method> {
    let (attribute, kind_name) = KINDS[kind];
    let wanted = if attribute == "query" { "&Context" } else { "&mut Context" };
    let docs = doc(&function.attrs);
    if docs.is_empty() {
        return Err(syn::Error::new_spanned(
            &function.sig.ident,
            "expected a doc comment: it is the method's help text",
        ));
    }
    let reason = "a method takes the fields of its form";
    function.attrs.push(syn::parse_quote!(#[allow(clippy::too_many_arguments, reason = #reason)]));
    let signature = &mut function.sig;
    let mut inputs = signature.inputs.iter_mut();
    let mutable = match inputs.next() {
        Some(FnArg::Typed(first)) => match &*first.ty {
            Type::Reference(reference) if reference.mutability.is_none() || attribute != "query" => {
                reference.mutability.is_some()
            }
            other => return Err(syn::Error::new_spanned(other, format!("expected `ctx: {wanted}` first"))),
        },
        _ => return Err(syn::Error::new_spanned(&signature.ident, format!("expected `ctx: {wanted}` first"))),
    };
    let (mut parameters, mut fields) = (Vec::new(), Vec::new());
    for input in inputs {
        let FnArg::Typed(parameter) = input else { continue };
        let (Pat::Ident(name), ty) = (&*parameter.pat, &*parameter.ty) else {
            return Err(syn::Error::new_spanned(&parameter.pat, "expected a name: callers write it"));
        };
        let (text, docs) = (callable(&name.ident)?, doc(&parameter.attrs));
        parameter.attrs.retain(|attribute| !attribute.path().is_ident("doc"));
        fields.push(quote! {
            ::chancery_sdk::types::interface::constant::Field {
                name: #text, doc: #docs, ty: <#ty as ::chancery_sdk::types::interface::constant::Describe>::TYPE,
            }
        });
        parameters.push(ty.clone());
    }
    let ReturnType::Type(_, returns) = &signature.output else {
        return Err(syn::Error::new_spanned(&signature.ident, "expected a method to return `Result<T, Error>`"));
    };
    let (name, kind_ident) = (callable(&signature.ident)?, format_ident!("{kind_name}"));
    let description = quote! {
        ::chancery_sdk::types::interface::constant::Method {
            name: #name,
            doc: #docs,
            citation: #citation,
            kind: ::chancery_sdk::types::interface::MethodKind::#kind_ident,
            fields: &[#(#fields),*],
            returns: <#returns as ::chancery_sdk::dispatch::Answer>::TYPE,
        }
    };
    Ok(Method { kind, ident: signature.ident.clone(), description, parameters, mutable })
}

/// Whether a constant is made by `Item::new(…)` or `Map::new(…)`, however their paths are written.
fn is_storage(constant: &ItemConst) -> bool {
    let syn::Expr::Call(call) = &*constant.expr else { return false };
    let syn::Expr::Path(path) = &*call.func else { return false };
    let names: Vec<_> = path.path.segments.iter().rev().take(2).map(|segment| segment.ident.to_string()).collect();
    matches!(names.as_slice(), [new, ty] if new == "new" && (ty == "Item" || ty == "Map"))
}

/// Reads a stored item or map off a constant: its name is the text that `new` gets.
fn storage(constant: &ItemConst) -> Result<(String, TokenStream)> {
    let wrong = || syn::Error::new_spanned(&constant.ty, "expected `Item<T>` or `Map<K, V>`, made by `new(\"name\")`");
    let syn::Expr::Call(new) = &*constant.expr else { return Err(wrong()) };
    let Some(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. })) = new.args.first() else {
        return Err(wrong());
    };
    let name = name.value();
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(syn::Error::new_spanned(&new.args, "expected a name of 1 to 64 bytes"));
    }
    let Type::Path(path) = &*constant.ty else { return Err(wrong()) };
    let Some(last) = path.path.segments.last() else { return Err(wrong()) };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Err(wrong()) };
    let types: Vec<_> = arguments
        .args
        .iter()
        .filter_map(|argument| if let GenericArgument::Type(ty) = argument { Some(ty) } else { None })
        .collect();
    let (keys, value) = match (last.ident == "Map", types.as_slice()) {
        (false, [value]) => (quote! { &[] }, value),
        (true, [key, value]) => (quote! { <#key as ::chancery_sdk::key::Key>::TYPES }, value),
        _ => return Err(wrong()),
    };
    let docs = doc(&constant.attrs);
    let description = quote! {
        ::chancery_sdk::types::interface::constant::Storage {
            name: #name,
            doc: #docs,
            keys: #keys,
            value: <#value as ::chancery_sdk::types::interface::constant::Describe>::TYPE,
        }
    };
    Ok((name, description))
}
