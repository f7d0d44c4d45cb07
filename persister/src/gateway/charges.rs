//! The gateway sink: every payment that Postgres has and whose outcome it has not is a charge to ask for, or to ask about.
//!
//! Everything is driven by the rows of `purchases` without `settled_at`, so a start after a crash finds what was under
//! way. Before a charge the sale is asked whether the payment still is PENDING: so no money moves for a slot that is
//! lost or late. Until the gateway's outcome is in Postgres it is asked for again, and the sale is told again; both are
//! idempotent. A payment that failed by time is asked about too: its money may have moved (R8).
//! Next: stub.rs, http.rs.

use sqlx::PgPool;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use slot_core::ids::ChargeId;
use slot_core::wire::{PayReply, PaymentStatus};

use crate::failure::Failure;
use crate::gateway::{Charge, Gateway, Outcome};
use crate::retry::Backoff;
use crate::shared::Shared;
use crate::source::{Source, SourceError};

/// How often the rows are looked at when nothing tells of a new one.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// New payments come in with every batch; they are looked at together.
const GATHER: Duration = Duration::from_millis(20);
const ROWS: i64 = 20_000;
/// The most bytes of a gateway's words that a sale takes.
const LONGEST_WORDS: usize = 255;

/// Asks the gateway for charges.
pub struct Charges {
    gateway: Arc<dyn Gateway>,
    pool: PgPool,
    shared: Arc<Shared>,
    started: Arc<Notify>,
    source: Option<Source>,
    open: HashMap<ChargeId, Open>,
    steps: JoinSet<(ChargeId, Result<Next, StepError>)>,
}

/// A charge without an outcome in Postgres.
struct Open {
    asked: bool,
    busy: bool,
    due: Instant,
    backoff: Backoff,
}

/// What to do about a charge after a step.
enum Next {
    /// It has been asked for, or told of: ask about it later.
    AskAbout,
    /// The gateway has never heard of it: ask for it again.
    AskFor,
    /// Not ours to act on now: look again later.
    Wait,
}

#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("{0}")]
    Source(#[from] SourceError),
    #[error("{0}")]
    Gateway(#[from] crate::gateway::GatewayError),
    #[error("postgres: {0}")]
    Postgres(#[from] sqlx::Error),
}

type Row = (String, bool, i64, String, String, Option<String>);

/// One charge, with all that a step needs.
struct Step {
    gateway: Arc<dyn Gateway>,
    pool: PgPool,
    source: Source,
    shared: Arc<Shared>,
    charge: Charge,
    pending: bool,
    asked: bool,
    trace: Option<String>,
}

impl Charges {
    /// A driver of this gateway; `started` tells that Postgres has new payments.
    #[must_use]
    pub fn new(
        gateway: Arc<dyn Gateway>,
        pool: PgPool,
        shared: Arc<Shared>,
        started: Arc<Notify>,
    ) -> Self {
        Self {
            gateway,
            pool,
            shared,
            started,
            source: None,
            open: HashMap::new(),
            steps: JoinSet::new(),
        }
    }

    /// Drives until the process shall end; charges under way are finished, others found again at the next start.
    ///
    /// # Errors
    /// None; what fails is tried again.
    pub async fn run(mut self) -> Result<(), Failure> {
        let mut backoff = Backoff::sink();
        while !self.shared.stopping() {
            let wait = match self.round().await {
                Ok(()) => {
                    backoff.reset();
                    LOOK_EVERY
                }
                Err(error) => {
                    self.shared.metrics.retries.with_label_values(&["gateway"]).inc();
                    tracing::warn!(%error, "charges can't be looked at; trying again");
                    self.source = None;
                    backoff.wait()
                }
            };
            self.shared.pause(GATHER).await;
            tokio::select! {
                () = self.shared.pause(wait) => {}
                () = self.started.notified() => {}
            }
        }
        while self.steps.join_next().await.is_some() {}
        Ok(())
    }

    async fn round(&mut self) -> Result<(), StepError> {
        while let Some(step) = self.steps.try_join_next() {
            if let Ok((id, outcome)) = step {
                self.note(id, outcome);
            }
        }
        // Without the schema, at the very first start, there is nothing to charge either.
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT charge_id, status = 'PENDING', amount_minor, currency, method, trace_id
             FROM purchases
             WHERE settled_at IS NULL AND charge_id IS NOT NULL AND amount_minor IS NOT NULL
             ORDER BY started_at LIMIT $1",
        )
        .bind(ROWS)
        .fetch_all(&self.pool)
        .await?;
        let mut seen = HashMap::with_capacity(rows.len());
        for (id, pending, amount_minor, currency, method, trace) in rows {
            let Ok(id) = ChargeId::parse(&id) else { continue };
            let product = id.payment.slot.product;
            if self.shared.share.owns(&product) && !self.shared.halted.contains(&product) {
                seen.insert(id, (Charge { id, amount_minor, currency, method }, pending, trace));
            }
        }
        self.open.retain(|id, open| open.busy || seen.contains_key(id));
        let count = i64::try_from(seen.len()).unwrap_or(i64::MAX);
        self.shared.metrics.charges_open.set(count);
        for (charge, pending, trace) in seen.into_values() {
            if self.steps.len() >= self.shared.args.gateway.gateway_concurrency as usize {
                break;
            }
            self.start(charge, pending, trace).await?;
        }
        Ok(())
    }

    async fn start(
        &mut self,
        charge: Charge,
        pending: bool,
        trace: Option<String>,
    ) -> Result<(), StepError> {
        let ask_after = self.shared.args.gateway.ask_after();
        let open = self.open.entry(charge.id).or_insert_with(|| Open {
            asked: false,
            busy: false,
            due: Instant::now(),
            backoff: Backoff::gateway(ask_after),
        });
        if open.busy || open.due > Instant::now() {
            return Ok(());
        }
        open.busy = true;
        let asked = open.asked;
        let source = match &self.source {
            Some(source) => source.clone(),
            None => match Source::connect(&self.shared.args.redis_url).await {
                Ok(source) => self.source.insert(source).clone(),
                Err(error) => {
                    open.busy = false;
                    return Err(error.into());
                }
            },
        };
        let step = Step {
            gateway: Arc::clone(&self.gateway),
            pool: self.pool.clone(),
            source,
            shared: Arc::clone(&self.shared),
            charge,
            pending,
            asked,
            trace,
        };
        self.steps.spawn(async move { (step.charge.id, step.take().await) });
        Ok(())
    }

    fn note(&mut self, id: ChargeId, outcome: Result<Next, StepError>) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.busy = false;
        open.due = Instant::now().checked_add(open.backoff.wait()).unwrap_or_else(Instant::now);
        match outcome {
            Ok(Next::AskAbout) => open.asked = true,
            Ok(Next::AskFor) => open.asked = false,
            Ok(Next::Wait) => {}
            Err(error) => {
                // The gateway may have charged: what follows is a question, not a second charge.
                open.asked = open.asked || matches!(error, StepError::Gateway(_));
                let mut count = "failed";
                if let StepError::Source(error) = &error {
                    if error.is_about_one() {
                        count = "misused";
                    } else {
                        self.source = None;
                    }
                }
                self.shared.metrics.charges.with_label_values(&[count]).inc();
                tracing::warn!(charge = %id, %error, tries = open.backoff.tries(), "charge: trying again");
            }
        }
    }
}

impl Step {
    async fn take(self) -> Result<Next, StepError> {
        if self.pending && !self.asked { self.ask_for().await } else { self.ask_about().await }
    }

    /// Asks the gateway for the charge, if the sale still waits for it.
    async fn ask_for(mut self) -> Result<Next, StepError> {
        let id = self.charge.id;
        let waits = self.source.payment(id.payment).await?.is_some_and(|payment| {
            payment.charge == id
                && payment.status == PaymentStatus::Pending
                && payment.remaining.0 > 0
        });
        if !waits {
            // Its outcome, or its failure by time, is on the way to Postgres.
            self.count("refused");
            return Ok(Next::Wait);
        }
        self.count("asked");
        self.gateway.charge(&self.charge).await?;
        Ok(Next::AskAbout)
    }

    /// Asks the gateway what came of the charge, and tells the sale.
    async fn ask_about(mut self) -> Result<Next, StepError> {
        let id = self.charge.id;
        match self.gateway.outcome(&id).await? {
            Outcome::Pending => Ok(Next::AskAbout),
            Outcome::Success { reference } => {
                self.tell("SLOT.CONSUME", &reference).await?;
                self.count("consumed");
                Ok(Next::AskAbout)
            }
            Outcome::Failed { reason } if self.pending => {
                self.tell("SLOT.DECLINE", &reason).await?;
                self.count("declined");
                Ok(Next::AskAbout)
            }
            Outcome::Unknown if self.pending => Ok(Next::AskFor),
            Outcome::Failed { .. } => self.settle("0 seconds").await,
            // A charge that we asked for and gave up may still arrive there.
            Outcome::Unknown => self.settle("60 seconds").await,
        }
    }

    async fn tell(&mut self, word: &str, about: &str) -> Result<(), StepError> {
        let mut about = sayable(about);
        if about.is_empty() && word == "SLOT.CONSUME" {
            about = self.charge.id.to_string();
        }
        let reply =
            self.source.settle(word, &self.charge.id, &about, self.trace.as_deref()).await?;
        if let PayReply::Refused(refusal) = reply {
            tracing::warn!(charge = %self.charge.id, word, %refusal, "the sale refuses an outcome");
        }
        Ok(())
    }

    /// No money has moved for a payment that had failed by time: nothing more is to be asked.
    async fn settle(&self, after: &str) -> Result<Next, StepError> {
        sqlx::query(
            "UPDATE purchases SET settled_at = now()
             WHERE charge_id = $1 AND settled_at IS NULL AND status = 'FAILED'
               AND updated_at < now() - $2::interval",
        )
        .bind(self.charge.id.to_string())
        .bind(after)
        .execute(&self.pool)
        .await?;
        Ok(Next::AskAbout)
    }

    fn count(&self, what: &str) {
        self.shared.metrics.charges.with_label_values(&[what]).inc();
    }
}

/// A gateway's words as a sale takes them: no control characters, not too long.
fn sayable(words: &str) -> String {
    let mut clean = String::new();
    for c in words.chars().filter(|c| !c.is_control()) {
        if clean.len().saturating_add(c.len_utf8()) > LONGEST_WORDS {
            break;
        }
        clean.push(c);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateways_words_become_what_a_sale_takes() {
        assert_eq!(sayable("pi_3\r\n\0\u{7f}\u{85}x"), "pi_3x");
        assert_eq!(sayable("\n"), "");
        assert_eq!(sayable(&"a".repeat(300)), "a".repeat(255));
        // 85 × 3 bytes fit; one byte before them leaves room for 84.
        assert_eq!(sayable(&"잔".repeat(100)), "잔".repeat(85));
        assert_eq!(sayable(&format!("a{}", "잔".repeat(100))), format!("a{}", "잔".repeat(84)));
    }
}
