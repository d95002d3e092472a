//! The attribute macros of settee. They register and convert; what they expand to is ordinary code that calls `settee`.

#![forbid(unsafe_code)]

mod attribute;
mod job;
mod main_attribute;
mod refusal;
mod service;
mod tcc;

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

/// Makes a trait a TCC participant: `#[settee::tcc("pay.Debit", route = account)]`.
///
/// The trait has `type Tx: LocalTx;` and `attempt(&self, tx, &order) -> Reply<Hold, Refusal>`, `confirm` and `cancel` (`(&self,
/// tx, &order, &hold) -> Reply<()>`). For `trait Debit` it writes `DebitServer` (opens, fences and commits the local
/// transaction) and `DebitClient` (reached only through a global transaction). `route` names the field of the order that
/// decides which instances hold its data; phase two goes there too.
#[proc_macro_attribute]
pub fn tcc(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let attribute = parse_macro_input!(attribute as tcc::Attribute);
    let item = parse_macro_input!(item as syn::ItemTrait);
    finish(tcc::expand(attribute, item))
}

/// Makes an `async fn` a job: `#[settee::job(cron = "0 0 2 * * *", zone = "Europe/Zurich", misfire = "once")]`.
///
/// The function `async fn reconcile(run: Run, ledger: Ledger) -> Reply<Proof>` becomes `fn reconcile(ledger: Ledger) -> Job`, for
/// `App::job`: what follows the run is what the job works on, cloned for every run. The job is called
/// like the function.
///
/// It takes `name = ".."`, `cron = ".."` with `zone = ".."` or `every = Duration` (without either it runs when it is triggered),
/// `timeout = Duration`, `misfire = "skip"` or `"once"`, `overlap = "skip"`, `"queue"` or `"allow"`, `idempotent` and `per_share`;
/// what they mean and what is the default is said at the methods of `Job` with these names. Whatever else a job can be told is
/// told to the job: `reconcile(ledger).retry(..)`.
#[proc_macro_attribute]
pub fn job(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let attribute = parse_macro_input!(attribute as job::Attribute);
    let item = parse_macro_input!(item as syn::ItemFn);
    finish(job::expand(&attribute, item))
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
