//! What admins do to a sale: create, change (R10, R11), pause, resume, close, drop. Next: apply.rs.

use super::log::{Entry, Log};
use super::state::Sale;
use crate::chain::ChainHash;
use crate::event::{
    Event, ProductChanged, ProductCreated, ProductDeleted, SaleClosed, SalePaused, SaleResumed,
};
use crate::ids::{ProductId, TraceId, UserId};
use crate::units::{EventNumber, Invalid, Millis, Price, UnixMillis};
use crate::wire::{Done, SaleReply};

/// The most units a sale can have.
pub const MAX_STOCK: u32 = 100_000_000;

/// How long a slot lasts where the product does not say.
pub const DEFAULT_TTL: Millis = Millis(30 * 60 * 1000);

const DEFAULT_PAYMENT_WINDOW: Millis = Millis(5 * 60 * 1000);
const DEFAULT_WARNING: Millis = Millis(5 * 60 * 1000);
const DEFAULT_WAITLIST: u32 = 1_000_000;
const MAX_SPAN: Millis = Millis(366 * 24 * 60 * 60 * 1000);

/// An admin's request to put a product on sale; what is `None` takes its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateAsk {
    /// 1 to 200 characters.
    pub name: String,
    /// 1 to 2000 characters.
    pub description: String,
    /// 1 to [`MAX_STOCK`] units.
    pub stock: u32,
    /// When it opens.
    pub sale_date: UnixMillis,
    /// How long a slot lasts; 30 minutes.
    pub ttl: Option<Millis>,
    /// How many may wait; one million.
    pub waitlist: Option<u32>,
    /// How many slots a user may have; 1.
    pub limit: Option<u32>,
    /// How long a payment may take; 5 minutes.
    pub payment_window: Option<Millis>,
    /// How long before its deadline a slot's holder is warned; 5 minutes, or a sixth of a ttl that is no longer than that.
    pub expiring_soon: Option<Millis>,
    /// What a unit costs; without it any amount is taken.
    pub price: Option<Price>,
    /// Which admin asks.
    pub by: Option<UserId>,
}

impl CreateAsk {
    fn check(&self) -> Result<ProductCreated, Invalid> {
        check_name(&self.name)?;
        check_description(&self.description)?;
        if !(1..=MAX_STOCK).contains(&self.stock) {
            return Err(Invalid("stock must be between 1 and 100000000"));
        }
        let ttl = self.ttl.unwrap_or(DEFAULT_TTL);
        if !(Millis(1)..=MAX_SPAN).contains(&ttl) {
            return Err(Invalid("ttl must be between 1 ms and 366 days"));
        }
        let payment_window = self.payment_window.unwrap_or(DEFAULT_PAYMENT_WINDOW);
        if !(Millis(1)..=MAX_SPAN).contains(&payment_window) {
            return Err(Invalid("payment window must be between 1 ms and 366 days"));
        }
        // Five minutes before the deadline of a slot that does not live as long is no warning.
        let usual =
            if ttl > DEFAULT_WARNING { DEFAULT_WARNING } else { Millis(ttl.0.div_euclid(6)) };
        let expiring_soon = self.expiring_soon.unwrap_or(usual);
        if expiring_soon >= ttl {
            return Err(Invalid("expiring-soon must be shorter than ttl"));
        }
        let limit = self.limit.unwrap_or(1);
        if !(1..=1000).contains(&limit) {
            return Err(Invalid("limit must be between 1 and 1000 slots for one user"));
        }
        check_date(self.sale_date)?;
        if self.price.is_some_and(|price| i64::try_from(price.amount.0).is_err()) {
            return Err(Invalid("price must be at most 9223372036854775807 minor units"));
        }
        if self.price.is_some_and(|price| price.amount.0 == 0) {
            return Err(Invalid("price must be at least 1 minor unit"));
        }
        Ok(ProductCreated {
            name: self.name.as_str().into(),
            description: self.description.as_str().into(),
            total: self.stock,
            sale_date: self.sale_date,
            ttl,
            waitlist: self.waitlist.unwrap_or(DEFAULT_WAITLIST),
            limit,
            payment_window,
            expiring_soon,
            price: self.price,
            by: self.by.clone(),
            hash: ChainHash::ALGORITHM.into(),
        })
    }
}

fn check_name(name: &str) -> Result<(), Invalid> {
    if (1..=200).contains(&name.chars().count()) {
        Ok(())
    } else {
        Err(Invalid("name must be 1 to 200 characters"))
    }
}

fn check_description(description: &str) -> Result<(), Invalid> {
    if (1..=2000).contains(&description.chars().count()) {
        Ok(())
    } else {
        Err(Invalid("description must be 1 to 2000 characters"))
    }
}

fn check_date(date: UnixMillis) -> Result<(), Invalid> {
    // Year 9999 is the last that ISO 8601 can write without an agreement.
    if date.0 <= 253_402_300_799_999 {
        Ok(())
    } else {
        Err(Invalid("sale date must be in milliseconds since 1970 and before the year 10000"))
    }
}

/// An admin's request to change a product; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlterAsk {
    /// The new name.
    pub name: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// Units to add, or to take away where negative (R10).
    pub stock: Option<i64>,
    /// The new opening time (R11).
    pub sale_date: Option<UnixMillis>,
    /// Only if this still is the last event's number.
    pub if_number: Option<EventNumber>,
    /// Which admin asks.
    pub by: Option<UserId>,
}

impl AlterAsk {
    /// Looks at what is not right whatever the sale's state.
    ///
    /// # Errors
    /// [`Invalid`] as for [`CreateAsk`].
    pub fn check(&self) -> Result<(), Invalid> {
        self.name.as_deref().map_or(Ok(()), check_name)?;
        self.description.as_deref().map_or(Ok(()), check_description)?;
        self.sale_date.map_or(Ok(()), check_date)?;
        let most = i64::from(MAX_STOCK);
        if self.stock.is_some_and(|delta| !(most.saturating_neg()..=most).contains(&delta)) {
            return Err(Invalid("stock may change by at most 100000000"));
        }
        Ok(())
    }
}

impl Sale {
    /// Puts a product on sale.
    ///
    /// # Errors
    /// [`Invalid`] where the request is out of bounds; the message says which bounds.
    pub fn create(
        product: ProductId,
        ask: &CreateAsk,
        now: UnixMillis,
        trace: Option<&TraceId>,
        log: &mut Log,
    ) -> Result<Self, Invalid> {
        let created = ask.check()?;
        let number = EventNumber(1);
        let (change, trace) = (created.clone().into(), trace.cloned());
        let line = Event { number, at: now, trace, change }.to_line();
        let hash = ChainHash::origin(&product).next(line.as_bytes());
        log.0.push(Entry { number, line, hash });
        Ok(Self::begin(product, &created, now, hash))
    }

    /// Changes a product; new units go to the waitlist first (R10).
    pub fn alter(
        &mut self,
        ask: &AlterAsk,
        trace: Option<&TraceId>,
        now: UnixMillis,
        log: &mut Log,
    ) -> SaleReply {
        let now = now.max(self.last_at);
        if ask.if_number.is_some_and(|number| number != self.last_number) && !self.deleted {
            return SaleReply::Changed(self.last_number);
        }
        self.advance_for([], now, log);
        match self.decide_alter(ask) {
            Ok(Some(changed)) => {
                self.commit(changed, now, trace.cloned(), log);
                self.promote(now, log);
                SaleReply::Sale(Box::new(self.view(now)))
            }
            Ok(None) => SaleReply::Sale(Box::new(self.view(now))),
            Err(refusal) => refusal,
        }
    }

    fn decide_alter(&self, ask: &AlterAsk) -> Result<Option<ProductChanged>, SaleReply> {
        if self.deleted {
            return Err(SaleReply::NoSale);
        }
        let delta = ask.stock.unwrap_or(0);
        let sale_date = ask.sale_date.filter(|date| *date != self.terms.sale_date);
        if self.closed && (delta != 0 || sale_date.is_some()) {
            return Err(SaleReply::Closed);
        }
        let held = self.index.active.saturating_add(self.index.completed);
        let total = i64::from(self.terms.total)
            .checked_add(delta)
            .and_then(|total| u32::try_from(total).ok())
            .filter(|total| *total >= held && *total <= MAX_STOCK)
            .ok_or(SaleReply::Stock { least: held })?;
        if sale_date.is_some() && !self.places.is_empty() {
            return Err(SaleReply::SlotsExist);
        }
        let new = |text: &Option<String>, old: &str| {
            text.as_deref().filter(|text| *text != old).map(Into::into)
        };
        let name = new(&ask.name, &self.terms.name);
        let description = new(&ask.description, &self.terms.description);
        if name.is_none() && description.is_none() && delta == 0 && sale_date.is_none() {
            return Ok(None);
        }
        let by = ask.by.clone();
        Ok(Some(ProductChanged { name, description, delta, total, sale_date, by }))
    }

    /// Stops grants and promotions; payments go on (R11).
    pub fn pause(
        &mut self,
        by: Option<&UserId>,
        reason: &str,
        trace: Option<&TraceId>,
        now: UnixMillis,
        log: &mut Log,
    ) -> Done {
        let now = now.max(self.last_at);
        self.advance_for([], now, log);
        match (self.deleted, self.closed, self.paused) {
            (true, _, _) => Done::NoSale,
            (_, true, _) => Done::Closed,
            (_, _, true) => Done::Ok,
            (false, false, false) => {
                let paused = SalePaused { by: by.cloned(), reason: reason.into() };
                self.commit(paused, now, trace.cloned(), log);
                Done::Ok
            }
        }
    }

    /// Lets grants and promotions go on; free units go to the waitlist first.
    pub fn resume(
        &mut self,
        by: Option<&UserId>,
        trace: Option<&TraceId>,
        now: UnixMillis,
        log: &mut Log,
    ) -> Done {
        let now = now.max(self.last_at);
        self.advance_for([], now, log);
        match (self.deleted, self.closed, self.paused) {
            (true, _, _) => Done::NoSale,
            (_, true, _) => Done::Closed,
            (_, _, false) => Done::Ok,
            (false, false, true) => {
                self.commit(SaleResumed { by: by.cloned() }, now, trace.cloned(), log);
                self.promote(now, log);
                Done::Ok
            }
        }
    }

    /// Ends grants and empties the waitlist for good; held slots can still be paid.
    pub fn close(
        &mut self,
        by: Option<&UserId>,
        trace: Option<&TraceId>,
        now: UnixMillis,
        log: &mut Log,
    ) -> Done {
        let now = now.max(self.last_at);
        self.advance_for([], now, log);
        if self.deleted {
            return Done::NoSale;
        }
        if !self.closed {
            let waiting = self.waiting();
            self.commit(SaleClosed { by: by.cloned(), waiting }, now, trace.cloned(), log);
        }
        Done::Ok
    }

    /// Deletes the product: the sale is hidden, its history stays. Refused while it is in use (R11).
    pub fn drop_product(
        &mut self,
        by: Option<&UserId>,
        trace: Option<&TraceId>,
        now: UnixMillis,
        log: &mut Log,
    ) -> Done {
        let now = now.max(self.last_at);
        self.advance_for([], now, log);
        if self.deleted {
            return Done::NoSale;
        }
        if self.index.active > 0 || self.index.paying > 0 || self.index.refunds > 0 {
            return Done::InUse;
        }
        // Deleting ends grants as closing does; whoever still waits is let go by the event that says so.
        self.close(by, trace, now, log);
        self.commit(ProductDeleted { by: by.cloned() }, now, trace.cloned(), log);
        Done::Ok
    }
}
