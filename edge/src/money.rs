//! Amounts between JSON's decimal major units and the module's integral minor units, by ISO 4217 exponent,
//! without ever passing through binary floating point.

use iso_currency::Currency as Iso;
use rust_decimal::Decimal;
use serde_json::value::RawValue;
use slot_core::units::{Currency, Millis, MinorUnits};

/// The largest amount: what a JSON client that keeps numbers as doubles can still hold exactly (2^53 − 1).
const MOST: u64 = 9_007_199_254_740_991;
/// The longest span that a sale takes: 366 days.
const LONGEST_MS: u64 = 31_622_400_000;
/// More digits than this would be rounded on the way, and no amount needs them.
const LONGEST_NUMBER: usize = 28;

fn exponent(currency: Currency) -> Option<u32> {
    Iso::from_code(currency.as_str()).and_then(Iso::exponent).map(u32::from)
}

/// Reads a currency that ISO 4217 knows and that has a minor unit.
pub(crate) fn currency(text: &str) -> Result<Currency, String> {
    let currency = Currency::parse(text).map_err(|e| e.to_string())?;
    match exponent(currency) {
        Some(_) => Ok(currency),
        None => Err(format!("currency must be an ISO 4217 code in use such as KRW, got {text}")),
    }
}

/// Reads an amount in major units: a JSON number with no more decimals than the currency has.
pub(crate) fn minor(
    field: &str,
    number: &RawValue,
    currency: Currency,
) -> Result<MinorUnits, String> {
    let decimals = exponent(currency).unwrap_or(0);
    scaled(number, decimals, MOST).map(MinorUnits).ok_or_else(|| {
        format!(
            "{field} must be a number above 0 with at most {decimals} decimals ({currency}), up to {MOST} minor units, got {}",
            shortened(number.get()), currency = currency.as_str()
        )
    })
}

/// An amount as a JSON number in major units, with as many decimals as the currency has.
pub(crate) fn major(amount: MinorUnits, currency: Currency) -> Option<Box<RawValue>> {
    let scale = exponent(currency).unwrap_or(0);
    let decimal = Decimal::try_from_i128_with_scale(i128::from(amount.0), scale).ok()?;
    RawValue::from_string(decimal.to_string()).ok()
}

/// Reads a span in seconds, to the millisecond.
pub(crate) fn span(field: &str, number: &RawValue) -> Result<Millis, String> {
    scaled(number, 3, LONGEST_MS).map(Millis).ok_or_else(|| {
        format!(
            "{field} must be a number of seconds above 0, with at most 3 decimals, up to 366 days, got {}",
            shortened(number.get())
        )
    })
}

/// Reads a span in whole milliseconds.
pub(crate) fn span_ms(field: &str, number: &RawValue) -> Result<Millis, String> {
    scaled(number, 0, LONGEST_MS).map(Millis).ok_or_else(|| {
        format!(
            "{field} must be a whole number of milliseconds above 0, up to 366 days, got {}",
            shortened(number.get())
        )
    })
}

/// `number × 10^decimals`, if that is a whole number from 1 to `most`.
fn scaled(number: &RawValue, decimals: u32, most: u64) -> Option<u64> {
    let text = Some(number.get()).filter(|text| text.len() <= LONGEST_NUMBER)?;
    let exact = if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()?
    } else {
        // from_str_exact would also read a quoted string's digits; only a bare number starts like this.
        text.starts_with(|c: char| c.is_ascii_digit()).then_some(())?;
        Decimal::from_str_exact(text).ok()?
    };
    let shift = Decimal::from(10_u64.checked_pow(decimals)?);
    let shifted = exact.normalize().checked_mul(shift)?;
    let whole = shifted.is_integer().then(|| u64::try_from(shifted).ok())??;
    (1..=most).contains(&whole).then_some(whole)
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, code: &str) -> Option<u64> {
        let raw = RawValue::from_string(text.to_owned()).ok()?;
        minor("amount", &raw, currency(code).expect("a currency")).ok().map(|m| m.0)
    }

    #[test]
    fn amounts_are_exact_in_the_currency_s_own_minor_unit() {
        assert_eq!(read("15000", "KRW"), Some(15_000));
        assert_eq!(read("15000.00", "KRW"), Some(15_000));
        assert_eq!(read("12.5", "EUR"), Some(1_250));
        assert_eq!(read("0.29", "USD"), Some(29));
        assert_eq!(read("1.234", "KWD"), Some(1_234));
        assert_eq!(read("1.5e1", "EUR"), Some(1_500));
        assert_eq!(read("9007199254740991", "KRW"), Some(MOST));
    }

    #[test]
    fn amounts_that_lose_something_are_refused() {
        for (text, code) in [
            ("0", "KRW"),
            ("-1", "KRW"),
            ("0.5", "KRW"),
            ("1.001", "EUR"),
            ("\"12\"", "EUR"),
            ("null", "EUR"),
            ("9007199254740992", "KRW"),
            ("1e400", "KRW"),
            ("0.00000000000000000000000000000000000000000001", "EUR"),
            ("12.500000000000000000000000000000000000001", "EUR"),
        ] {
            assert_eq!(read(text, code), None, "{text} {code}");
        }
    }

    #[test]
    fn amounts_come_back_as_they_went_in() {
        let eur = currency("EUR").expect("EUR");
        assert_eq!(major(MinorUnits(1_250), eur).expect("a number").get(), "12.50");
        assert_eq!(major(MinorUnits(15_000), Currency::KRW).expect("a number").get(), "15000");
        assert!(currency("XXX").is_err() || exponent(currency("XXX").expect("XXX")).is_some());
        assert!(currency("ZZZ").is_err());
        assert!(currency("eur").is_err());
    }

    #[test]
    fn spans_are_exact_to_the_millisecond() {
        let read =
            |text: &str| span("ttlSeconds", &RawValue::from_string(text.into()).expect("JSON"));
        assert_eq!(read("1800"), Ok(Millis(1_800_000)));
        assert_eq!(read("0.25"), Ok(Millis(250)));
        assert!(read("0.0001").is_err());
        assert!(read("0").is_err());
    }
}
