//! Checks that what was read continues what a sink has: number by number, hash by hash (R13).
//!
//! The chain is computed again from the lines, so neither a lost, a doubled nor a changed entry gets by. An entry that
//! fits the chain but can't be decoded is no fork: it goes aside with its reason. Next: drain.rs.

use slot_core::chain::ChainHash;
use slot_core::event::Event;
use slot_core::ids::ProductId;
use slot_core::units::EventNumber;

use crate::marks::Mark;

/// A stream's entry as Redis holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The first part of the entry's id, `n-0`.
    pub number: u64,
    /// The field `e`: the event's line.
    pub line: Vec<u8>,
    /// The field `c`: the chain hash in hex.
    pub hash: Vec<u8>,
}

/// An event with its place in the chain.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its place.
    pub mark: Mark,
    /// The line, ASCII where the event could be read.
    pub line: Vec<u8>,
    /// The event, or why it can't be read.
    pub event: Result<Event, String>,
}

/// A sale's history is not the one that the sink has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the history forked at event {at}: {what}")]
pub struct Fork {
    /// The event at which it does not fit.
    pub at: EventNumber,
    /// In which way.
    pub what: String,
}

fn fork(at: u64, what: impl Into<String>) -> Fork {
    Fork { at: EventNumber(at), what: what.into() }
}

/// Checks entries that begin with the one at the mark, and gives those after it.
///
/// # Errors
/// [`Fork`] where the entry at the mark is missing or differs, or one after it does not continue the chain.
pub fn continue_from(
    product: &ProductId,
    mark: Mark,
    entries: Vec<Entry>,
) -> Result<Vec<Recorded>, Fork> {
    let mut entries = entries.into_iter();
    if mark.number.0 > 0 {
        let at = mark.number.0;
        let first = entries.next().ok_or_else(|| fork(at, "the stream has no such entry"))?;
        if first.number != at {
            return Err(fork(at, format!("the stream begins at event {}", first.number)));
        }
        if hash_of(&first)? != mark.hash {
            return Err(fork(at, format!("the sink has hash {}, the stream another", mark.hash)));
        }
    } else if mark.hash != ChainHash::origin(product) {
        return Err(fork(0, "the mark's hash is not the product's origin"));
    }
    let mut last = mark;
    entries
        .map(|entry| {
            let recorded = follow(last, entry)?;
            last = recorded.mark;
            Ok(recorded)
        })
        .collect()
}

fn hash_of(entry: &Entry) -> Result<ChainHash, Fork> {
    std::str::from_utf8(&entry.hash)
        .ok()
        .and_then(|hex| ChainHash::parse(hex).ok())
        .ok_or_else(|| fork(entry.number, "the entry's hash is not 32 hex digits"))
}

fn follow(last: Mark, entry: Entry) -> Result<Recorded, Fork> {
    let number = last.number.next();
    if entry.number != number.0 {
        return Err(fork(number.0, format!("the stream goes on with event {}", entry.number)));
    }
    let hash = last.hash.next(&entry.line);
    if hash_of(&entry)? != hash {
        return Err(fork(number.0, "the entry's hash does not follow from its line"));
    }
    let event = decode(number, &entry.line);
    Ok(Recorded { mark: Mark { number, hash }, line: entry.line, event })
}

fn decode(number: EventNumber, line: &[u8]) -> Result<Event, String> {
    let text = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8".to_owned())?;
    let event = Event::from_line(text).map_err(|error| error.to_string())?;
    if event.number == number {
        Ok(event)
    } else {
        Err(format!("the line calls itself event {}", event.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slot_core::units::UnixMillis;

    fn product() -> ProductId {
        ProductId::new(UnixMillis(1_763_827_200_123), 7)
    }

    fn history(lines: &[&str]) -> Vec<Entry> {
        let mut hash = ChainHash::origin(&product());
        lines
            .iter()
            .zip(1..)
            .map(|(line, number)| {
                hash = hash.next(line.as_bytes());
                Entry { number, line: (*line).into(), hash: hash.to_string().into() }
            })
            .collect()
    }

    const LINES: [&str; 3] =
        ["1 1 SALE_PAUSED 5 - - -", "1 2 SALE_RESUMED 6 - -", "1 3 SALE_PAUSED 7 - - -"];

    #[test]
    fn r13_a_history_that_continues_is_taken_event_by_event() {
        let all = continue_from(&product(), Mark::origin(&product()), history(&LINES)).unwrap();
        assert_eq!(all.iter().map(|r| r.mark.number.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(all.iter().all(|r| r.event.is_ok()));
        let rest = continue_from(&product(), all[0].mark, history(&LINES)).unwrap();
        assert_eq!(rest.len(), 2);
    }

    #[test]
    fn r13_whatever_does_not_continue_is_a_fork() {
        let origin = Mark::origin(&product());
        let at_one = continue_from(&product(), origin, history(&LINES)).unwrap()[0].mark;
        let gap: Vec<_> = history(&LINES).into_iter().filter(|e| e.number != 2).collect();
        assert_eq!(continue_from(&product(), origin, gap.clone()).unwrap_err().at.0, 2);
        assert_eq!(continue_from(&product(), at_one, gap[1..].to_vec()).unwrap_err().at.0, 1);
        assert_eq!(continue_from(&product(), at_one, vec![]).unwrap_err().at.0, 1);
        let mut changed = history(&LINES);
        changed[1].line = b"1 2 SALE_RESUMED 9 - -".to_vec();
        assert_eq!(continue_from(&product(), origin, changed).unwrap_err().at.0, 2);
        let other = history(&["1 1 SALE_PAUSED 4 - - -", LINES[1]]);
        assert_eq!(continue_from(&product(), at_one, other).unwrap_err().at.0, 1);
    }

    #[test]
    fn what_fits_the_chain_but_cannot_be_read_goes_aside() {
        let entries = history(&[LINES[0], "1 2 NO_SUCH_TYPE 6 -", "1 7 SALE_PAUSED 7 - - -"]);
        let all = continue_from(&product(), Mark::origin(&product()), entries).unwrap();
        assert!(all[0].event.is_ok());
        assert_eq!(all[1].event, Err("the line's event type is unknown".to_owned()));
        assert_eq!(all[2].event, Err("the line calls itself event 7".to_owned()));
    }
}
