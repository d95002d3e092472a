//! The serving half: from an incoming call to a method of the trait.

use proc_macro2::TokenStream;
use quote::quote;

use super::model::{Method, Model};

pub(crate) fn expand(model: &Model) -> TokenStream {
    let (name, visibility, server, descriptor) = (&model.name, &model.visibility, model.ident("Server"), model.descriptor_name());
    let wire_name = model.wire_name.value();
    let doc = format!("Serves `{wire_name}` with an implementation of [`{name}`].");
    let arms = model.methods.iter().enumerate().map(|(index, method)| arm(model, index, method));
    quote! {
        #[doc = #doc]
        #[derive(Debug)]
        #visibility struct #server<T>(::std::sync::Arc<T>);

        impl<T> ::core::clone::Clone for #server<T> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<T: #name> #server<T> {
            /// Serves `implementation`.
            pub fn new(implementation: T) -> Self {
                Self(::std::sync::Arc::new(implementation))
            }

            /// Serves an implementation that is shared with others.
            pub fn shared(implementation: ::std::sync::Arc<T>) -> Self {
                Self(implementation)
            }
        }

        impl<T: #name> ::settee::rpc::Service for #server<T> {
            fn descriptor(&self) -> &'static ::settee::rpc::ServiceDescriptor {
                &#descriptor
            }

            fn call(
                self: ::std::sync::Arc<Self>,
                method: usize,
                incoming: ::settee::rpc::Incoming,
            ) -> ::settee::expand::BoxFuture<'static, ::settee::rpc::Answer> {
                match method {
                    #(#arms)*
                    _ => ::settee::expand::no_such_method(incoming),
                }
            }
        }
    }
}

fn arm(model: &Model, index: usize, method: &Method) -> TokenStream {
    let (name, arguments_name, method_name) = (&model.name, model.arguments_name(method), &method.name);
    let arguments: Vec<_> = method.argument_names().collect();
    let answer = if method.streams { quote!(answer_stream) } else { quote!(answer) };
    quote! {
        #index => ::std::boxed::Box::pin(async move {
            match ::settee::expand::arguments::<#arguments_name>(&incoming) {
                Ok(#arguments_name { #(#arguments),* }) => {
                    ::settee::expand::#answer(incoming.encoding, #name::#method_name(&*self.0, #(#arguments),*).await)
                }
                Err(refused) => refused,
            }
        }),
    }
}
