//! One service process of the demo: the hidden command `settee demo-process`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use settee::app::{App, announce};
use settee::config::Settings;
use settee_core::Error;
use settee_payments::{account, notify, payment};
use settee_sqlx::DatabaseOptions;

use crate::failure::Failure;
use crate::logs;

/// What a process of the demo is told.
#[derive(Debug, clap::Args)]
pub(crate) struct ProcessArgs {
    /// What it is.
    service: Service,
    /// Where `settee server` listens.
    #[arg(long)]
    server: SocketAddr,
    /// The file of its database.
    #[arg(long)]
    database: PathBuf,
    /// The part of the accounts that it holds, such as `0/2`.
    #[arg(long)]
    share: Option<String>,
    /// The folder of the last good instance lists: a process that starts while the server is away finds the others by them.
    #[arg(long)]
    lists: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Service {
    Account,
    Payment,
    Notify,
}

/// Serves until SIGTERM, or until stdin ends.
pub(crate) async fn run_process(args: ProcessArgs) -> Result<ExitCode, Failure> {
    logs::start("info");
    let running = args.service().await?.start().await?;
    announce(running.address());
    running.until_signal().await;
    Ok(ExitCode::SUCCESS)
}

impl ProcessArgs {
    async fn service(self) -> Result<App, Failure> {
        let settings = Settings { server: self.server, share: self.share, cache: self.lists, ..Settings::default() };
        let (database, options) = (self.database, DatabaseOptions::default());
        let name = self.service.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let app = App::new(&name, settings)?;
        let service = match self.service {
            Service::Account => account::service(app, &account::Config { database }, options).await,
            Service::Payment => payment::service(app, &payment::Config { database }, options).await,
            Service::Notify => notify::service(app, &notify::Config { database }, options).await,
        };
        service.map_err(|fault| Error::from(fault).into())
    }
}
