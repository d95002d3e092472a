//! `#[job]`: an `async fn` becomes a function that makes the job.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, FnArg, Ident, ItemFn, LitStr, Pat, Result, Token};

/// What `#[job(..)]` says: the name, if it is not the function's, and the calls that the builder gets.
#[derive(Default)]
pub(crate) struct Attribute {
    name: Option<Expr>,
    calls: Vec<TokenStream>,
}

/// `key` or `key = value`.
struct Entry {
    key: Ident,
    value: Option<Expr>,
}

/// Keys whose value goes to the builder's method of the same name as it is.
const VALUES: [&str; 4] = ["cron", "zone", "every", "timeout"];
/// Keys without a value.
const SWITCHES: [&str; 2] = ["idempotent", "per_share"];
const POLICIES: [Policy; 2] = [
    Policy { key: "misfire", kind: "Misfire", variants: &[("skip", "Skip"), ("once", "Once")] },
    Policy { key: "overlap", kind: "Overlap", variants: &[("skip", "Skip"), ("queue", "Queue"), ("allow", "Allow")] },
];

/// A key whose value is a word for a variant of an enum.
struct Policy {
    key: &'static str,
    kind: &'static str,
    /// The words, and the variants they name.
    variants: &'static [(&'static str, &'static str)],
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = input.parse()?;
        let value = input.parse::<Option<Token![=]>>()?.map(|_| input.parse()).transpose()?;
        Ok(Self { key, value })
    }
}

impl Parse for Attribute {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut attribute = Self::default();
        for Entry { key, value } in Punctuated::<Entry, Token![,]>::parse_terminated(input)? {
            let name = key.to_string();
            let policy = POLICIES.iter().find(|policy| policy.key == name);
            let call = match (policy, value) {
                (None, Some(value)) if name == "name" => {
                    attribute.name = Some(value);
                    continue;
                }
                (None, Some(value)) if VALUES.contains(&name.as_str()) => quote! { .#key(#value) },
                (None, None) if SWITCHES.contains(&name.as_str()) => quote! { .#key() },
                (Some(policy), Some(value)) => policy.call(&key, &value)?,
                _ => return Err(unknown(&key)),
            };
            attribute.calls.push(call);
        }
        Ok(attribute)
    }
}

impl Policy {
    fn call(&self, key: &Ident, value: &Expr) -> Result<TokenStream> {
        let word = syn::parse2::<LitStr>(quote!(#value)).map(|literal| literal.value());
        let variant = self.variants.iter().find(|(known, _)| word.as_ref().is_ok_and(|word| word == known));
        let Some((_, variant)) = variant else {
            let known: Vec<_> = self.variants.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            return Err(syn::Error::new_spanned(value, format!("expected {}", known.join(", "))));
        };
        let (kind, variant) = (format_ident!("{}", self.kind), format_ident!("{variant}"));
        Ok(quote! { .#key(::settee::job::#kind::#variant) })
    }
}

fn unknown(key: &Ident) -> syn::Error {
    let message = "expected name = \"..\", cron = \"..\", zone = \"..\", every = a duration, timeout = a duration, \
                   misfire = \"skip\" or \"once\", overlap = \"skip\", \"queue\" or \"allow\", idempotent, per_share";
    syn::Error::new_spanned(key, message)
}

pub(crate) fn expand(attribute: &Attribute, mut item: ItemFn) -> Result<TokenStream> {
    let handler = format_ident!("handler");
    let function = std::mem::replace(&mut item.sig.ident, handler.clone());
    let visibility = std::mem::replace(&mut item.vis, syn::Visibility::Inherited);
    let (docs, others) = item.attrs.drain(..).partition(|attribute| attribute.path().is_ident("doc"));
    item.attrs = others;
    let docs: Vec<syn::Attribute> = docs;
    let state = state(&item)?;
    let names: Vec<_> = state.iter().map(|(name, _)| name).collect();
    let types = state.iter().map(|(_, kind)| kind);
    let name = attribute.name.as_ref().map_or_else(|| quote!(::core::stringify!(#function)), |name| quote!(#name));
    let calls = &attribute.calls;
    Ok(quote! {
        #(#docs)*
        #visibility fn #function(#(#names: #types),*) -> ::settee::job::Job {
            #item
            let run = move |run| #handler(run #(, ::core::clone::Clone::clone(&#names))*);
            ::settee::job::Job::new(#name, run)#(#calls)*
        }
    })
}

/// The arguments behind the run: what the job works on, cloned for every run.
fn state(item: &ItemFn) -> Result<Vec<(Ident, syn::Type)>> {
    let wrong = |what| syn::Error::new_spanned(what, "expected `async fn name(run: Run, state: State, ..) -> Reply<T>`");
    if item.sig.asyncness.is_none() || item.sig.inputs.is_empty() {
        return Err(wrong(&item.sig));
    }
    let argument = |argument: &FnArg| match argument {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(name) => Ok((name.ident.clone(), (*typed.ty).clone())),
            _ => Err(wrong(&item.sig)),
        },
        FnArg::Receiver(_) => Err(wrong(&item.sig)),
    };
    item.sig.inputs.iter().skip(1).map(argument).collect()
}
