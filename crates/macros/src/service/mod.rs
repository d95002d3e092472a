//! `#[service]`: the trait, its server, its client, and the object-safe form that joins the two in one process.

mod client;
mod model;
mod server;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemTrait, LitStr, Result};

use self::model::Model;

pub(crate) fn expand(name: &LitStr, item: ItemTrait) -> Result<TokenStream> {
    let model = Model::read(name, item)?;
    let parts = [
        model.service_trait(),
        model.descriptor(),
        model.arguments(),
        model.object(),
        server::expand(&model),
        client::expand(&model),
    ];
    Ok(quote! { #(#parts)* })
}
