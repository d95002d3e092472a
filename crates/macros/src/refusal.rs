//! `#[refusal]`: derives what crosses the wire, and `Refusal::code` from `#[code("..")]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Fields, ItemEnum, LitStr, Result, Variant};

pub(crate) fn expand(mut item: ItemEnum) -> Result<TokenStream> {
    let arms = item.variants.iter_mut().map(arm).collect::<Result<Vec<_>>>()?;
    let name = &item.ident;
    Ok(quote! {
        #[derive(Clone, Debug, PartialEq, Eq, ::settee::expand::serde::Serialize, ::settee::expand::serde::Deserialize)]
        #[serde(crate = "::settee::expand::serde", rename_all = "snake_case")]
        #item

        impl ::settee::Refusal for #name {
            fn code(&self) -> &str {
                match self {
                    #(#arms)*
                }
            }
        }
    })
}

fn arm(variant: &mut Variant) -> Result<TokenStream> {
    let position = variant.attrs.iter().position(|attribute| attribute.path().is_ident("code"));
    let Some(position) = position else {
        return Err(syn::Error::new_spanned(&variant, "a refusal needs its code: #[code(\"AM04\")]"));
    };
    let code: LitStr = variant.attrs.remove(position).parse_args()?;
    let name = &variant.ident;
    Ok(match variant.fields {
        Fields::Unit => quote! { Self::#name => #code, },
        Fields::Named(_) => quote! { Self::#name { .. } => #code, },
        Fields::Unnamed(_) => quote! { Self::#name(..) => #code, },
    })
}
