//! A command's arguments, taken one by one from the left. Every message says what should stand there.
//! Everything is read before a key is touched.

use redis_module::raw;
use slot_core::chain::ChainHash;
use slot_core::ids::{AnyId, ChargeId, ProductId, SlotId, TraceId, UserId};
use slot_core::units::{EventNumber, Millis, UnixMillis};
use std::ops::RangeInclusive;
use std::ptr::NonNull;
use std::slice;

use crate::failure::{Failure, shown};
use crate::server::text::Word;

/// The two keys of every write.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) product: ProductId,
    pub(crate) sale: Word<'a>,
    pub(crate) stream: Word<'a>,
}

/// Who asks for something that admins do.
#[derive(Default)]
pub(crate) struct Asker {
    pub(crate) by: Option<UserId>,
    pub(crate) trace: Option<TraceId>,
}

/// The arguments that are still unread.
pub(crate) struct Args<'a> {
    grammar: &'static str,
    words: slice::Iter<'a, NonNull<raw::RedisModuleString>>,
}

impl<'a> Args<'a> {
    /// `words` begin with the command's name.
    pub(crate) fn new(grammar: &'static str, words: &'a [NonNull<raw::RedisModuleString>]) -> Self {
        let mut words = words.iter();
        words.next();
        Self { grammar, words }
    }

    pub(crate) fn left(&self) -> usize {
        self.words.len()
    }

    pub(crate) fn word(&mut self, what: &str) -> Result<Word<'a>, Failure> {
        match self.words.next() {
            // SAFETY: border.rs made the slice of arguments that live as long as the command runs.
            Some(raw) => Ok(unsafe { Word::new(*raw) }),
            None => Err(Failure::Misuse(format!("{what} is missing: {}", self.grammar))),
        }
    }

    /// Nothing may be left.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        match self.words.next() {
            None => Ok(()),
            // SAFETY: as above.
            Some(raw) => Err(self.unexpected(unsafe { Word::new(*raw) })),
        }
    }

    fn unexpected(&self, word: Word<'_>) -> Failure {
        Failure::Misuse(format!("unexpected {}: {}", shown(word.bytes()), self.grammar))
    }

    /// The next option's name, in any case; nothing at the end.
    pub(crate) fn option(
        &mut self,
        names: &[&'static str],
    ) -> Result<Option<&'static str>, Failure> {
        let Some(raw) = self.words.next() else { return Ok(None) };
        // SAFETY: as above.
        let word = unsafe { Word::new(*raw) };
        match names.iter().find(|name| word.bytes().eq_ignore_ascii_case(name.as_bytes())) {
            Some(name) => Ok(Some(name)),
            None => Err(self.unexpected(word)),
        }
    }

    /// The sale's key and the stream's.
    pub(crate) fn keys(&mut self) -> Result<Keys<'a>, Failure> {
        let (product, sale) = self.sale_key()?;
        let stream = self.word("the stream's key")?;
        if stream.bytes().strip_prefix(sale.bytes()) != Some(b":events") {
            return Err(Failure::misuse(
                "the stream's key must be the sale's key followed by :events",
            ));
        }
        Ok(Keys { product, sale, stream })
    }

    /// The sale's key alone, as reads have it.
    pub(crate) fn sale_key(&mut self) -> Result<(ProductId, Word<'a>), Failure> {
        let word = self.word("the sale's key")?;
        let form = || Failure::misuse("the sale's key must be slot:{<product id>}, in lower case");
        let key = std::str::from_utf8(word.bytes()).map_err(|_| form())?;
        // One product has one key: the id's other spelling names another.
        if key.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(form());
        }
        let product = ProductId::from_sale_key(key).map_err(|_| form())?;
        Ok((product, word))
    }

    /// A text whose length in bytes is within bounds.
    pub(crate) fn text(
        &mut self,
        what: &str,
        length: RangeInclusive<usize>,
    ) -> Result<&'a str, Failure> {
        let bytes = self.word(what)?.bytes();
        if !length.contains(&bytes.len()) {
            let (least, most) = (length.start(), length.end());
            return Err(Failure::Misuse(format!(
                "{what} must be {least} to {most} bytes, got {}",
                bytes.len()
            )));
        }
        std::str::from_utf8(bytes)
            .map_err(|_| Failure::Misuse(format!("{what} must be valid UTF-8")))
    }

    pub(crate) fn number(
        &mut self,
        what: &str,
        bounds: RangeInclusive<u64>,
    ) -> Result<u64, Failure> {
        number(self.word(what)?.bytes(), what, bounds)
    }

    /// A number of `u32`'s size.
    pub(crate) fn small(
        &mut self,
        what: &str,
        bounds: RangeInclusive<u32>,
    ) -> Result<u32, Failure> {
        let bounds = u64::from(*bounds.start())..=u64::from(*bounds.end());
        Ok(u32::try_from(self.number(what, bounds)?).unwrap_or(u32::MAX))
    }

    pub(crate) fn time(&mut self, what: &str) -> Result<UnixMillis, Failure> {
        self.number(what, TIMES).map(UnixMillis)
    }

    pub(crate) fn span(&mut self, what: &str) -> Result<Millis, Failure> {
        self.number(what, TIMES).map(Millis)
    }

    pub(crate) fn event_number(&mut self, what: &str) -> Result<EventNumber, Failure> {
        self.number(what, 1..=u64::MAX).map(EventNumber)
    }

    pub(crate) fn user(&mut self) -> Result<UserId, Failure> {
        user(self.word("the user")?.bytes())
    }

    pub(crate) fn trace(&mut self) -> Result<TraceId, Failure> {
        trace(self.word("the trace id")?.bytes())
    }

    /// `[BY admin] [TRACE id]`, up to the end.
    pub(crate) fn asker(&mut self) -> Result<Asker, Failure> {
        let mut asker = Asker::default();
        while let Some(option) = self.option(&["BY", "TRACE"])? {
            match option {
                "BY" => asker.by = Some(self.user()?),
                _ => asker.trace = Some(self.trace()?),
            }
        }
        Ok(asker)
    }

    /// `n hash [TRACE id]`, up to the end: an event that the caller has seen.
    pub(crate) fn event(&mut self) -> Result<(EventNumber, ChainHash), Failure> {
        let number = self.event_number("the event's number")?;
        let hash = ChainHash::parse(self.text("the event's hash", 0..=64)?)?;
        while self.option(&["TRACE"])?.is_some() {
            self.trace()?;
        }
        Ok((number, hash))
    }

    /// A slot of the sale whose key was given.
    pub(crate) fn slot(&mut self, product: ProductId) -> Result<SlotId, Failure> {
        let id = SlotId::parse(self.text("the slot's id", 0..=64)?)?;
        of_this_sale(id.product, product)?;
        Ok(id)
    }

    /// A charge of the sale whose key was given.
    pub(crate) fn charge(&mut self, product: ProductId) -> Result<ChargeId, Failure> {
        let id = ChargeId::parse(self.text("the charge's id", 0..=64)?)?;
        of_this_sale(id.payment.slot.product, product)?;
        Ok(id)
    }

    /// A slot's or a payment's id of the sale whose key was given.
    pub(crate) fn any_id(&mut self, product: ProductId) -> Result<AnyId, Failure> {
        let id = AnyId::parse(self.text("the id", 0..=64)?)?;
        of_this_sale(id.product(), product)?;
        if matches!(id, AnyId::Product(_)) {
            return Err(Failure::misuse("this id names a product: ask SLOT.SALE for it"));
        }
        Ok(id)
    }
}

/// Times and spans that every client can hold: ECMAScript's numbers end at 2^53.
pub(crate) const TIMES: RangeInclusive<u64> = 0..=9_007_199_254_740_991;

fn of_this_sale(id: ProductId, key: ProductId) -> Result<(), Failure> {
    if id == key {
        Ok(())
    } else {
        Err(Failure::Misuse(format!("this id is of product {id}, the key names {key}")))
    }
}

pub(crate) fn number(
    bytes: &[u8],
    what: &str,
    bounds: RangeInclusive<u64>,
) -> Result<u64, Failure> {
    let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(bytes)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok())
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            let got = shown(bytes);
            Failure::Misuse(format!("{what} must be between {least} and {most}, got {got}"))
        })
}

pub(crate) fn user(bytes: &[u8]) -> Result<UserId, Failure> {
    // A text that is not UTF-8 is no user id either, and says so in the same words.
    Ok(UserId::parse(std::str::from_utf8(bytes).unwrap_or_default())?)
}

pub(crate) fn trace(bytes: &[u8]) -> Result<TraceId, Failure> {
    Ok(TraceId::parse(std::str::from_utf8(bytes).unwrap_or_default())?)
}
