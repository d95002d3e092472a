//! Reading `#[rpc(..)]` on a method.

use syn::{Attribute, LitStr, Result};

/// What `#[rpc(..)]` says.
#[derive(Default)]
pub(crate) struct RpcOptions {
    pub(crate) idempotent: bool,
    pub(crate) oneway: bool,
    pub(crate) spawn: bool,
    pub(crate) route: Option<LitStr>,
}

/// Takes the `#[rpc(..)]` attributes off a method and reads them.
pub(crate) fn take_rpc(attributes: &mut Vec<Attribute>) -> Result<RpcOptions> {
    let mut options = RpcOptions::default();
    let (ours, others) = attributes.drain(..).partition(|attribute| attribute.path().is_ident("rpc"));
    *attributes = others;
    for attribute in ours as Vec<Attribute> {
        attribute.parse_nested_meta(|meta| {
            match meta.path.get_ident().map(ToString::to_string).as_deref() {
                Some("idempotent") => options.idempotent = true,
                Some("oneway") => options.oneway = true,
                Some("spawn") => options.spawn = true,
                Some("route") => options.route = Some(meta.value()?.parse()?),
                _ => return Err(meta.error("expected idempotent, oneway, spawn or route = \"argument.field\"")),
            }
            Ok(())
        })?;
    }
    Ok(options)
}
