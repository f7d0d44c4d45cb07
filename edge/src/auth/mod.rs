//! Who is asking: bearer tokens (JWT) checked once and remembered until they expire.
//!
//! The algorithm is pinned by configuration, never taken from the token. Roles are checked by the routes.
//! Next: the route.

pub(crate) mod mint;
mod remembered;
mod verifier;

use std::cell::RefCell;
use std::rc::Rc;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use slot_core::ids::UserId;

use crate::clock;
use crate::failure::{Code, Failure};
use remembered::Remembered;
pub(crate) use verifier::Verifier;

/// The role that may take slots and pay.
pub(crate) const BUYER: &str = "buyer";
/// The role that may create and change products.
pub(crate) const ADMIN: &str = "admin";

/// A caller whose token is good.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) user: UserId,
    pub(crate) buyer: bool,
    pub(crate) admin: bool,
    /// When the token expires, in Unix seconds.
    expires: u64,
}

/// One worker's check of tokens.
pub(crate) struct Auth {
    verifier: Verifier,
    remembered: RefCell<Remembered>,
}

impl Auth {
    pub(crate) fn new(verifier: Verifier) -> Self {
        Self { verifier, remembered: RefCell::default() }
    }

    /// Anyone with a good token.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<Rc<Caller>, Failure> {
        let token =
            bearer(headers).ok_or_else(|| unauthorized("send Authorization: Bearer <token>"))?;
        let now = clock::seconds(clock::now());
        if let Some(caller) = self.remembered.borrow_mut().get(token, now) {
            return Ok(caller);
        }
        let caller = Rc::new(self.verifier.verify(token)?);
        self.remembered.borrow_mut().put(token, Rc::clone(&caller));
        Ok(caller)
    }

    /// Someone who may take slots and pay.
    pub(crate) fn buyer(&self, headers: &HeaderMap) -> Result<Rc<Caller>, Failure> {
        let caller = self.caller(headers)?;
        if caller.buyer { Ok(caller) } else { Err(forbidden("this needs the role buyer")) }
    }

    /// Someone who may create and change products.
    pub(crate) fn admin(&self, headers: &HeaderMap) -> Result<Rc<Caller>, Failure> {
        let caller = self.caller(headers)?;
        if caller.admin { Ok(caller) } else { Err(forbidden("this needs the role admin")) }
    }
}

impl Caller {
    /// A user's own things are for that user, and for an admin to read.
    pub(crate) fn may_read(&self, owner: &UserId) -> Result<(), Failure> {
        if self.admin || self.user == *owner {
            Ok(())
        } else {
            Err(forbidden("this belongs to another user"))
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let text = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

pub(crate) fn unauthorized(detail: &'static str) -> Failure {
    Failure::new(Code::Unauthorized, detail)
}

pub(crate) fn forbidden(detail: &'static str) -> Failure {
    Failure::new(Code::Forbidden, detail)
}
