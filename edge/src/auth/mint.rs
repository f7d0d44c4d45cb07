//! `slot-edge token`: tokens for local use and tests, signed with the server's own secret. In production the
//! identity provider signs them.

use anyhow::{Context, Result};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use slot_core::ids::UserId;

use super::{ADMIN, BUYER};
use crate::clock;
use crate::config::{Role, Token, jwt_secret};

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iat: u64,
    exp: u64,
    roles: Vec<&'static str>,
}

pub(crate) fn print_token(ask: &Token) -> Result<()> {
    let secret = jwt_secret(&ask.jwt_hs256_secret_file)?;
    UserId::check(&ask.sub).context("--sub")?;
    let now = clock::seconds(clock::now());
    let roles = ask.role.iter().map(|role| match role {
        Role::Buyer => BUYER,
        Role::Admin => ADMIN,
    });
    let claims = Claims {
        sub: &ask.sub,
        iat: now,
        exp: now.saturating_add(ask.ttl),
        roles: roles.collect(),
    };
    let token = encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&secret))
        .context("cannot sign the token")?;
    println!("{token}");
    Ok(())
}
