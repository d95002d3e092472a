//! What the macro knows of a service trait, and the parts that server and client share.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Attribute, FnArg, GenericArgument, Ident, ItemTrait, LitStr, Pat, PathArguments, Result, ReturnType, TraitItem, TraitItemFn,
    Type, Visibility,
};

use crate::attribute::{RpcOptions, take_rpc};

/// A service trait, read.
pub(crate) struct Model {
    pub(crate) wire_name: LitStr,
    pub(crate) name: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) methods: Vec<Method>,
}

/// One method of it.
pub(crate) struct Method {
    pub(crate) name: Ident,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) options: RpcOptions,
    pub(crate) arguments: Vec<(Ident, Type)>,
    pub(crate) reply: Type,
    pub(crate) streams: bool,
}

impl Model {
    pub(crate) fn read(wire_name: &LitStr, item: ItemTrait) -> Result<Self> {
        let methods = item.items.into_iter().map(Method::read).collect::<Result<Vec<_>>>()?;
        Ok(Self { wire_name: wire_name.clone(), name: item.ident, visibility: item.vis, attributes: item.attrs, methods })
    }

    pub(crate) fn ident(&self, suffix: &str) -> Ident {
        format_ident!("{}{}", self.name, suffix)
    }

    /// The trait as users implement it: plain `async fn` in their code, futures that may move between threads here.
    pub(crate) fn service_trait(&self) -> TokenStream {
        let (attributes, visibility, name) = (&self.attributes, &self.visibility, &self.name);
        let methods = self.methods.iter().map(|method| {
            let (attributes, signature, reply) = (&method.attributes, method.signature(), &method.reply);
            quote! { #(#attributes)* #signature -> impl ::core::future::Future<Output = #reply> + ::core::marker::Send; }
        });
        quote! {
            #(#attributes)*
            #visibility trait #name: ::core::marker::Send + ::core::marker::Sync + 'static {
                #(#methods)*
            }
        }
    }

    /// The descriptor, shared by both sides.
    pub(crate) fn descriptor(&self) -> TokenStream {
        let (descriptor, wire_name) = (self.descriptor_name(), &self.wire_name);
        let methods = self.methods.iter().map(|method| {
            let name = method.name.to_string();
            let RpcOptions { idempotent, oneway, spawn, .. } = &method.options;
            quote! {
                ::settee::rpc::MethodDescriptor { name: #name, idempotent: #idempotent, oneway: #oneway, spawn: #spawn }
            }
        });
        quote! {
            static #descriptor: ::settee::rpc::ServiceDescriptor =
                ::settee::rpc::ServiceDescriptor { name: #wire_name, methods: &[#(#methods),*] };
        }
    }

    pub(crate) fn descriptor_name(&self) -> Ident {
        format_ident!("{}_DESCRIPTOR", snake(&self.name.to_string()).to_uppercase())
    }

    /// A struct a method, whose fields are its arguments: they travel by name.
    pub(crate) fn arguments(&self) -> TokenStream {
        let structs = self.methods.iter().map(|method| {
            let name = self.arguments_name(method);
            let fields = method.arguments.iter().map(|(argument, kind)| quote! { #argument: #kind });
            quote! {
                #[derive(::settee::expand::serde::Serialize, ::settee::expand::serde::Deserialize)]
                #[serde(crate = "::settee::expand::serde")]
                struct #name { #(#fields),* }
            }
        });
        quote! { #(#structs)* }
    }

    pub(crate) fn arguments_name(&self, method: &Method) -> Ident {
        format_ident!("{}{}Arguments", self.name, pascal(&method.name.to_string()))
    }

    /// The object-safe form, for callers in the same process.
    pub(crate) fn object(&self) -> TokenStream {
        let (name, object) = (&self.name, self.ident("Object"));
        let declared = self.methods.iter().map(|method| {
            let (signature, reply) = (method.object_signature(), &method.reply);
            quote! { #signature -> ::settee::expand::BoxFuture<'_, #reply>; }
        });
        let implemented = self.methods.iter().map(|method| {
            let (signature, reply, call) = (method.object_signature(), &method.reply, method.call(name));
            quote! { #signature -> ::settee::expand::BoxFuture<'_, #reply> { ::std::boxed::Box::pin(#call) } }
        });
        quote! {
            trait #object: ::core::marker::Send + ::core::marker::Sync { #(#declared)* }
            impl<T: #name> #object for T { #(#implemented)* }
        }
    }
}

impl Method {
    fn read(item: TraitItem) -> Result<Self> {
        let TraitItem::Fn(mut item) = item else {
            return Err(syn::Error::new_spanned(item, "a service has methods only"));
        };
        let options = take_rpc(&mut item.attrs)?;
        if item.sig.asyncness.is_none() {
            return Err(syn::Error::new_spanned(&item.sig, "expected `async fn`"));
        }
        let arguments = arguments(&item)?;
        let reply = match item.sig.output {
            ReturnType::Type(_, reply) => *reply,
            ReturnType::Default => return Err(syn::Error::new_spanned(&item.sig, "expected `-> Reply<T>` or `-> Reply<T, R>`")),
        };
        let streams = streams(&reply);
        Ok(Self { name: item.sig.ident, attributes: item.attrs, options, arguments, reply, streams })
    }

    pub(crate) fn signature(&self) -> TokenStream {
        let name = &self.name;
        let arguments = self.arguments.iter().map(|(argument, kind)| quote! { #argument: #kind });
        quote! { fn #name(&self, #(#arguments),*) }
    }

    fn object_signature(&self) -> TokenStream {
        let name = format_ident!("{}_boxed", self.name);
        let arguments = self.arguments.iter().map(|(argument, kind)| quote! { #argument: #kind });
        quote! { fn #name(&self, #(#arguments),*) }
    }

    fn call(&self, of: &Ident) -> TokenStream {
        let name = &self.name;
        let arguments = self.arguments.iter().map(|(argument, _)| argument);
        quote! { #of::#name(self, #(#arguments),*) }
    }

    pub(crate) fn argument_names(&self) -> impl Iterator<Item = &Ident> {
        self.arguments.iter().map(|(argument, _)| argument)
    }
}

fn arguments(item: &TraitItemFn) -> Result<Vec<(Ident, Type)>> {
    let mut inputs = item.sig.inputs.iter();
    if !matches!(inputs.next(), Some(FnArg::Receiver(receiver)) if receiver.reference.is_some() && receiver.mutability.is_none())
    {
        return Err(syn::Error::new_spanned(&item.sig, "expected `&self` first"));
    }
    let argument = |input: &FnArg| match input {
        FnArg::Typed(typed) => match (&*typed.pat, &*typed.ty) {
            (_, Type::Reference(reference)) => {
                Err(syn::Error::new_spanned(reference, "arguments are owned: they cross the wire"))
            }
            (Pat::Ident(name), kind) => Ok((name.ident.clone(), kind.clone())),
            (other, _) => Err(syn::Error::new_spanned(other, "expected a plain name: it is the argument's name on the wire")),
        },
        FnArg::Receiver(receiver) => Err(syn::Error::new_spanned(receiver, "expected one `&self`")),
    };
    inputs.map(argument).collect()
}

/// Whether the reply is `Reply<Updates<..>, ..>`.
fn streams(reply: &Type) -> bool {
    let Type::Path(path) = reply else { return false };
    let Some(PathArguments::AngleBracketed(generic)) = path.path.segments.last().map(|segment| &segment.arguments) else {
        return false;
    };
    let first = generic.args.first();
    matches!(first, Some(GenericArgument::Type(Type::Path(value))) if value.path.segments.last().is_some_and(|last| last.ident == "Updates"))
}

fn pascal(snake: &str) -> String {
    let capital = |word: &str| word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect::<String>();
    snake.split('_').map(capital).collect()
}

fn snake(pascal: &str) -> String {
    let mut out = String::new();
    for letter in pascal.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
