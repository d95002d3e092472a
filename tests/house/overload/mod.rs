//! Ten times the transfers that the example's services can sustain: what `cargo xtask overload` runs.
//!
//! ```text
//! closed loop: warm up, then measure the sustainable rate
//! open loop:   ten times that rate for so many seconds, however many answers are still to come
//! closed loop: again at once; when is it back at full speed?
//! then:        is everything that was accepted in the books, and notified?
//! ```
//! What bounds the work is one flow rule at the payment service, as in the demo; `observe` shows what it is good for. The callers are this process; everything else is
//! a process of the real binary.

mod offers;
mod report;
mod services;
mod throughput;

pub use report::{RefusalTimes, Report};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use settee::flow::Mode;
use settee::{Error, Instant};

use self::offers::{Offers, Taken};
use self::report::Observed;
use self::services::Services;
use self::throughput::Throughput;
use crate::bank::Transfers;
use crate::kill::Crowd;

/// Transfers that the payment service takes at a time, as in the demo.
const LIMIT: u32 = 64;

/// Callers of the closed loop: as many as are let in.
const CALLERS: usize = LIMIT as usize;

/// Before the rate is measured, so that connections are open and caches warm.
const WARM_UP: Duration = Duration::from_secs(3);

/// How long the sustainable rate is measured.
const MEASURED: Duration = Duration::from_secs(10);

/// What is offered, in multiples of what is sustainable.
const TIMES: f64 = 10.0;

/// The part of the sustainable rate that counts as full speed: the rest is the noise of a short window.
const FULL_SPEED: f64 = 0.9;

/// Between two looks at the throughput.
const LOOK: Duration = Duration::from_millis(50);

/// How long full speed is waited for, so that a miss has a figure too.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The binary.
    pub settee: PathBuf,
    /// Where data and logs are kept.
    pub folder: PathBuf,
    /// How long to offer too much.
    pub length: Duration,
    /// Whether the flow rule refuses, or only counts.
    pub mode: Mode,
}

impl Plan {
    /// Runs it, and tells `phase` what it is at.
    ///
    /// # Errors
    /// A process does not start, or what was begun does not end.
    pub async fn run(&self, phase: impl Fn(String)) -> Result<Report, Error> {
        phase("starting the services".to_owned());
        let services = Services::start(&self.settee, &self.folder, LIMIT, self.mode).await?;
        let transfers = Arc::new(Transfers::new(services.payment()));
        let paying = transfers.clone();
        let crowd = Crowd::of(CALLERS, move || paying.clone().once().boxed());

        phase(format!("{CALLERS} callers for {MEASURED:?}"));
        let sustainable = sustainable(&crowd).await;
        let before = services.memory();
        let rate = TIMES * sustainable;
        phase(format!("{rate:.0} transfers a second for {:?}", self.length));
        let offers = Offers::make(&transfers, rate, self.length).await;
        phase(format!("{CALLERS} callers until it is as fast as before"));
        let recovered = back_at(&crowd, FULL_SPEED * sustainable).await;
        crowd.close();
        crowd.rests().await;

        phase("looking for everything that was accepted".to_owned());
        let (offered, took) = (offers.offered(), offers.took());
        let Taken { accepted, unknown, refused, refusal_us, otherwise, told } = offers.all_ended().await?;
        services.all_ended().await?;
        let completed = services.notified(&accepted).await;
        let all = [transfers.made().clone(), accepted.clone()].concat();
        let wrong = told.into_iter().chain(services.wrong(&all).await).collect();
        Ok(Report::new(Observed {
            sustainable,
            offered,
            took,
            accepted: accepted.len() as u64,
            unknown,
            completed,
            refused,
            refusal_us,
            otherwise,
            rss_before: before.map(|memory| memory.bytes),
            rss_peak: services.memory().map(|memory| memory.peak_bytes),
            recovered,
            wrong,
        }))
    }
}

/// Transfers a second of the crowd, which rests before and afterwards.
async fn sustainable(crowd: &Crowd) -> f64 {
    crowd.open(u64::MAX);
    tokio::time::sleep(WARM_UP).await;
    let (began, before) = (Instant::now(), crowd.acknowledged());
    tokio::time::sleep(MEASURED).await;
    let rate = (crowd.acknowledged() - before) as f64 / began.elapsed().as_secs_f64();
    crowd.close();
    crowd.rests().await;
    rate
}

/// Opens the doors, and says how long it takes until the crowd makes so many transfers a second; `None`: too long.
async fn back_at(crowd: &Crowd, wanted: f64) -> Option<Duration> {
    crowd.open(u64::MAX);
    let (began, mut throughput) = (Instant::now(), Throughput::default());
    while began.elapsed() < PATIENCE {
        let rate = throughput.look(began.elapsed(), crowd.acknowledged());
        if rate.is_some_and(|rate| rate >= wanted) {
            return Some(began.elapsed());
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}
