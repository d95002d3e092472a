//! The attribute macros of settee. They register and convert; what they expand to is ordinary code that calls `settee`.

#![forbid(unsafe_code)]

mod attribute;
mod main_attribute;
mod refusal;
mod service;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Makes a trait a service: `#[settee::service("pay.Account")]`.
///
/// For `trait Account` it writes `AccountServer` (what a listener serves), `AccountClient` (a caller, remote or in process) and
/// the trait itself with `Send` futures. Methods are `async fn name(&self, arguments..) -> Reply<T, R>` with owned arguments;
/// a `Reply<Updates<T>, R>` is a server stream.
///
/// On a method, `#[rpc(..)]` takes: `idempotent` (may be sent again after it may have run), `oneway` (nothing is answered),
/// `spawn` (uses much processor time), `route = "argument.field"` (goes to the instance whose share holds that value).
#[proc_macro_attribute]
pub fn service(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let name = parse_macro_input!(attribute as syn::LitStr);
    let item = parse_macro_input!(item as syn::ItemTrait);
    finish(service::expand(&name, item))
}

/// Makes an enum a refusal: a business "no" whose variants carry codes, `#[code("AM04")]`.
#[proc_macro_attribute]
pub fn refusal(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let _no_arguments = parse_macro_input!(attribute as syn::parse::Nothing);
    let item = parse_macro_input!(item as syn::ItemEnum);
    finish(refusal::expand(item))
}

/// Runs `async fn main` on settee's runtime.
#[proc_macro_attribute]
pub fn main(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let _no_arguments = parse_macro_input!(attribute as syn::parse::Nothing);
    let item = parse_macro_input!(item as syn::ItemFn);
    finish(main_attribute::expand(item))
}

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
