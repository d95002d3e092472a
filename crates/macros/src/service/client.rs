//! The calling half: a concrete enum of a remote channel and an implementation in the same process.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::LitStr;

use super::model::{Method, Model};

pub(crate) fn expand(model: &Model) -> TokenStream {
    let (name, visibility, client, object) = (&model.name, &model.visibility, model.ident("Client"), model.ident("Object"));
    let way = model.ident("Way");
    let wire_name = &model.wire_name;
    let doc = format!("Calls `{}`, over the network or in the same process. Cheap to clone.", wire_name.value());
    let methods = model.methods.iter().enumerate().map(|(index, method)| body(model, index, method));
    quote! {
        #[doc = #doc]
        #[derive(Clone)]
        #visibility struct #client(#way);

        #[derive(Clone)]
        enum #way {
            Remote(::settee::rpc::Channel),
            InProcess(::std::sync::Arc<dyn #object>, ::settee::rpc::Session),
        }

        impl #client {
            /// Calls an implementation in the same process: no network, no encoding, the same answers.
            pub fn in_process<T: #name>(implementation: ::std::sync::Arc<T>) -> Self {
                Self(#way::InProcess(implementation, ::settee::rpc::Session::open(::core::option::Option::None)))
            }
        }

        impl ::settee::rpc::ServiceClient for #client {
            const SERVICE: &'static str = #wire_name;

            fn remote(channel: ::settee::rpc::Channel) -> Self {
                Self(#way::Remote(channel))
            }
        }

        impl ::core::fmt::Debug for #client {
            fn fmt(&self, out: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                out.write_str(::core::stringify!(#client))
            }
        }

        impl #name for #client {
            #(#methods)*
        }
    }
}

fn body(model: &Model, index: usize, method: &Method) -> TokenStream {
    let (signature, reply, way) = (method.signature(), &method.reply, model.ident("Way"));
    let (descriptor, arguments_name) = (model.descriptor_name(), model.arguments_name(method));
    let arguments: Vec<_> = method.argument_names().collect();
    let (boxed, send) = (format_ident!("{}_boxed", method.name), if method.streams { quote!(stream) } else { quote!(call) });
    let route = method.options.route.as_ref().map_or_else(|| quote!(::core::option::Option::None), route);
    quote! {
        async #signature -> #reply {
            match &self.0 {
                #way::Remote(channel) => {
                    let options = ::settee::rpc::CallOptions { route: #route, ..::core::default::Default::default() };
                    let method = &#descriptor.methods[#index];
                    channel.#send(method, &#arguments_name { #(#arguments),* }, options).await
                }
                #way::InProcess(object, session) => {
                    ::settee::expand::replied(session.clone().scope(object.#boxed(#(#arguments),*)).await)
                }
            }
        }
    }
}

/// `argument.field` as the expression of a routing key.
fn route(path: &LitStr) -> TokenStream {
    match path.parse::<syn::Expr>() {
        Ok(expression) => quote! { ::core::option::Option::Some(::settee::rpc::RouteKey::of(&#expression)) },
        Err(error) => error.into_compile_error(),
    }
}
