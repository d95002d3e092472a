//! `#[main]`: an `async fn main` on settee's runtime.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemFn, Result};

pub(crate) fn expand(mut item: ItemFn) -> Result<TokenStream> {
    if item.sig.asyncness.take().is_none() {
        return Err(syn::Error::new_spanned(&item.sig, "expected `async fn main`"));
    }
    let body = &item.block;
    item.block = syn::parse_quote!({ ::settee::app::run(async move #body) });
    Ok(quote! { #item })
}
