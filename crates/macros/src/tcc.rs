//! `#[tcc]`: the trait of a participant, what serves it, and what calls it within a global transaction.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{
    FnArg, GenericArgument, Ident, ItemTrait, LitStr, Path, PathArguments, Result, ReturnType, Token, TraitItem, TraitItemFn,
    Type,
};

/// `"pay.Debit"` or `"pay.Debit", route = account`.
pub(crate) struct Attribute {
    name: LitStr,
    route: Option<Ident>,
}

/// A `#[tcc]` trait, read.
struct Model {
    name: LitStr,
    route: Option<Ident>,
    item: ItemTrait,
    order: Type,
    hold: Type,
    refusal: Type,
}

impl Parse for Attribute {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse()?;
        if input.is_empty() {
            return Ok(Self { name, route: None });
        }
        input.parse::<Token![,]>()?;
        let key: Ident = input.parse()?;
        if key != "route" {
            return Err(syn::Error::new_spanned(key, "expected `route = field of the order`"));
        }
        input.parse::<Token![=]>()?;
        Ok(Self { name, route: Some(input.parse()?) })
    }
}

pub(crate) fn expand(attribute: Attribute, item: ItemTrait) -> Result<TokenStream> {
    let model = Model::read(attribute, item)?;
    let parts = [model.participant_trait(), model.server(), model.client()];
    Ok(quote! { #(#parts)* })
}

impl Model {
    fn read(attribute: Attribute, item: ItemTrait) -> Result<Self> {
        let methods: Vec<_> = item
            .items
            .iter()
            .filter_map(|item| match item {
                TraitItem::Fn(method) => Some(method),
                _ => None,
            })
            .collect();
        let names: Vec<_> = methods.iter().map(|method| method.sig.ident.to_string()).collect();
        if names != ["attempt", "confirm", "cancel"] {
            let message = "expected `type Tx: LocalTx;` and the methods attempt, confirm and cancel, in this order";
            return Err(syn::Error::new_spanned(&item.ident, message));
        }
        let order = order(methods[0])?;
        let (hold, refusal) = reply(methods[0])?;
        Ok(Self { name: attribute.name, route: attribute.route, item, order, hold, refusal })
    }

    /// The trait as users implement it, with futures that may move between threads.
    fn participant_trait(&self) -> TokenStream {
        let (attributes, visibility, name) = (&self.item.attrs, &self.item.vis, &self.item.ident);
        let (order, hold, refusal) = (&self.order, &self.hold, &self.refusal);
        let docs = |wanted: &str| {
            let methods = self.item.items.iter().filter_map(|item| match item {
                TraitItem::Fn(method) if method.sig.ident == wanted => Some(method.attrs.clone()),
                _ => None,
            });
            methods.flatten().collect::<Vec<_>>()
        };
        let (attempt, confirm, cancel) = (docs("attempt"), docs("confirm"), docs("cancel"));
        let types = self.item.items.iter().filter(|item| matches!(item, TraitItem::Type(_)));
        let future = |output: TokenStream| quote! { impl ::core::future::Future<Output = #output> + ::core::marker::Send };
        let (tried, done) = (future(quote!(::settee::Reply<#hold, #refusal>)), future(quote!(::settee::Reply<()>)));
        quote! {
            #(#attributes)*
            #visibility trait #name: ::core::marker::Send + ::core::marker::Sync + 'static {
                /// The local transaction that the methods work in; settee opens, fences and commits it.
                #(#types)*

                #(#attempt)*
                fn attempt(&self, tx: &mut Self::Tx, order: &#order) -> #tried;
                #(#confirm)*
                fn confirm(&self, tx: &mut Self::Tx, order: &#order, hold: &#hold) -> #done;
                #(#cancel)*
                fn cancel(&self, tx: &mut Self::Tx, order: &#order, hold: &#hold) -> #done;
            }
        }
    }

    fn server(&self) -> TokenStream {
        let (visibility, name, wire_name) = (&self.item.vis, &self.item.ident, &self.name);
        let (order, hold, refusal) = (&self.order, &self.hold, &self.refusal);
        let (server, tcc) = (format_ident!("{name}Server"), format_ident!("{name}Tcc"));
        let doc = format!(
            "Serves [`{name}`]: `{server}::new(implementation, database)`. Settee opens, fences and commits in that database."
        );
        let phase_two = |method: Ident| {
            quote! {
                async fn #method(handler: &T, tx: &mut T::Tx, order: &#order, hold: &#hold) -> ::settee::Reply<()> {
                    #name::#method(handler, tx, order, hold).await
                }
            }
        };
        let (confirm, cancel) = (phase_two(format_ident!("confirm")), phase_two(format_ident!("cancel")));
        quote! {
            #[doc = #doc]
            #visibility type #server<T, S> = ::settee::txn::ParticipantServer<#tcc<T>, S>;

            #[doc(hidden)]
            #[derive(Debug)]
            #visibility struct #tcc<T>(::core::marker::PhantomData<fn() -> T>);

            impl<T: #name> ::settee::txn::Tcc for #tcc<T> {
                const DESCRIPTOR: &'static ::settee::rpc::ServiceDescriptor =
                    &::settee::rpc::ServiceDescriptor { name: #wire_name, methods: ::settee::txn::METHODS };
                type Handler = T;
                type Tx = T::Tx;
                type Order = #order;
                type Hold = #hold;
                type Refusal = #refusal;

                async fn attempt(handler: &T, tx: &mut T::Tx, order: &#order) -> ::settee::Reply<#hold, #refusal> {
                    #name::attempt(handler, tx, order).await
                }
                #confirm
                #cancel
            }
        }
    }

    fn client(&self) -> TokenStream {
        let (visibility, name, wire_name) = (&self.item.vis, &self.item.ident, &self.name);
        let (order, hold, refusal) = (&self.order, &self.hold, &self.refusal);
        let client = format_ident!("{name}Client");
        let doc = format!("Calls `{}` within a global transaction: `transfer.attempt(&client, order)`.", wire_name.value());
        let route = match &self.route {
            Some(field) => quote! { ::core::option::Option::Some(::settee::rpc::RouteKey::of(&order.#field)) },
            None => quote! {{ let _ = order; ::core::option::Option::None }},
        };
        quote! {
            #[doc = #doc]
            #[derive(Clone, Debug)]
            #visibility struct #client(::settee::rpc::Channel);

            impl ::settee::rpc::ServiceClient for #client {
                const SERVICE: &'static str = #wire_name;

                fn remote(channel: ::settee::rpc::Channel) -> Self {
                    Self(channel)
                }
            }

            impl ::settee::txn::TccClient for #client {
                type Order = #order;
                type Hold = #hold;
                type Refusal = #refusal;

                fn service(&self) -> &'static str {
                    #wire_name
                }

                fn route(&self, order: &#order) -> ::core::option::Option<::settee::rpc::RouteKey> {
                    #route
                }

                async fn attempt(
                    &self,
                    attempt: &::settee::txn::Attempt<#order>,
                    options: ::settee::rpc::CallOptions,
                ) -> ::settee::Reply<::settee::txn::Attempted<#hold>, #refusal> {
                    self.0.call(&::settee::txn::ATTEMPT, attempt, options).await
                }
            }
        }
    }
}

/// The type behind the `&` of the third argument of `attempt`.
fn order(attempt: &TraitItemFn) -> Result<Type> {
    match attempt.sig.inputs.iter().nth(2) {
        Some(FnArg::Typed(argument)) => match &*argument.ty {
            Type::Reference(reference) => Ok((*reference.elem).clone()),
            other => Err(syn::Error::new_spanned(other, "expected `order: &Order`")),
        },
        _ => Err(syn::Error::new_spanned(&attempt.sig, "expected `attempt(&self, tx: &mut Self::Tx, order: &Order)`")),
    }
}

/// `Hold` and `Refusal` of `Reply<Hold, Refusal>`.
fn reply(attempt: &TraitItemFn) -> Result<(Type, Type)> {
    let wrong = || syn::Error::new_spanned(&attempt.sig, "expected `-> Reply<Hold, Refusal>` or `-> Reply<Hold>`");
    let ReturnType::Type(_, reply) = &attempt.sig.output else { return Err(wrong()) };
    let Type::Path(path) = &**reply else { return Err(wrong()) };
    let mut types = generics(&path.path).ok_or_else(wrong)?.into_iter();
    let hold = types.next().ok_or_else(wrong)?;
    Ok((hold, types.next().unwrap_or_else(|| syn::parse_quote!(::settee::Never))))
}

fn generics(path: &Path) -> Option<Vec<Type>> {
    let PathArguments::AngleBracketed(generic) = &path.segments.last()?.arguments else { return None };
    let types = generic.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(kind) => Some(kind.clone()),
        _ => None,
    });
    Some(types.collect())
}
