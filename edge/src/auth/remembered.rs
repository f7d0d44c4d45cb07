//! Tokens that were good, until they expire: two generations of bounded size, so that forgetting is cheap and
//! one who asks often is kept.

use std::collections::HashMap;
use std::rc::Rc;

use super::Caller;

/// Tokens in each generation; a token with its caller takes about half a kilobyte.
const GENERATION: usize = 16_384;
/// Longer tokens are checked each time, so that they can't fill the memory.
const LONGEST: usize = 1_024;

#[derive(Default)]
pub(super) struct Remembered {
    young: HashMap<Box<str>, Rc<Caller>>,
    old: HashMap<Box<str>, Rc<Caller>>,
}

impl Remembered {
    pub(super) fn get(&mut self, token: &str, now: u64) -> Option<Rc<Caller>> {
        let caller = match self.young.get(token) {
            Some(caller) => Rc::clone(caller),
            None => {
                let (token, caller) = self.old.remove_entry(token)?;
                self.keep(token, Rc::clone(&caller));
                caller
            }
        };
        (now < caller.expires).then_some(caller)
    }

    pub(super) fn put(&mut self, token: &str, caller: Rc<Caller>) {
        if token.len() <= LONGEST {
            self.keep(token.into(), caller);
        }
    }

    fn keep(&mut self, token: Box<str>, caller: Rc<Caller>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, caller);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slot_core::ids::UserId;

    fn caller(expires: u64) -> Rc<Caller> {
        let user = UserId::parse("ana").expect("a user");
        Rc::new(Caller { user, buyer: true, admin: false, expires })
    }

    #[test]
    fn an_expired_token_is_not_remembered() {
        let mut remembered = Remembered::default();
        remembered.put("t", caller(100));
        assert!(remembered.get("t", 99).is_some());
        assert!(remembered.get("t", 100).is_none());
    }

    #[test]
    fn memory_is_bounded_and_the_busy_stay() {
        let mut remembered = Remembered::default();
        remembered.put("busy", caller(100));
        for n in 0..GENERATION * 5 {
            remembered.put(&n.to_string(), caller(100));
            assert!(remembered.get("busy", 1).is_some());
        }
        assert!(remembered.young.len() + remembered.old.len() <= GENERATION * 2);
        remembered.put(&"x".repeat(LONGEST + 1), caller(100));
        assert!(remembered.get(&"x".repeat(LONGEST + 1), 1).is_none());
    }
}
