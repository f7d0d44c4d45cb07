//! The check of one token: signature, algorithm, times, subject, roles. HS256 so far; further algorithms and
//! keys become further [`Verifier`]s behind the same `verify`.
//! Next: mod.rs remembers the result.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use slot_core::ids::UserId;

use super::{ADMIN, BUYER, Caller, unauthorized};
use crate::failure::Failure;

/// How far our clock and the issuer's may differ.
const LEEWAY_SECONDS: u64 = 5;

pub(crate) struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    #[serde(default)]
    roles: Vec<String>,
}

impl Verifier {
    pub(crate) fn hs256(secret: &[u8]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "sub"]);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_exp = true;
        validation.validate_nbf = true;
        // Audience and issuer are not configurable yet; a token that names one was made for some other
        // service until they are.
        validation.validate_aud = true;
        Self { key: DecodingKey::from_secret(secret), validation }
    }

    pub(super) fn verify(&self, token: &str) -> Result<Caller, Failure> {
        let token = decode::<Claims>(token, &self.key, &self.validation).map_err(|error| {
            unauthorized(match error.kind() {
                ErrorKind::ExpiredSignature => "the token has expired; get a new one",
                ErrorKind::ImmatureSignature => "the token is not valid yet",
                _ => "the token is not valid",
            })
        })?;
        // RFC 7515 §4.1.11: extensions that we must understand and don't.
        if token.header.crit.is_some() {
            return Err(unauthorized("the token uses extensions that are not understood here"));
        }
        let Claims { sub, exp, roles } = token.claims;
        let user = UserId::parse(&sub).map_err(|_| {
            unauthorized("the token's sub must be 1 to 64 bytes of printable ASCII without space")
        })?;
        let has = |role: &str| roles.iter().any(|have| have == role);
        Ok(Caller { user, buyer: has(BUYER), admin: has(ADMIN), expires: exp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const FAR: u64 = 4_000_000_000;

    fn token(header: &Header, claims: &Value) -> String {
        encode(header, claims, &EncodingKey::from_secret(SECRET)).expect("a token")
    }

    fn accepts(token: &str) -> bool {
        Verifier::hs256(SECRET).verify(token).is_ok()
    }

    fn now() -> u64 {
        crate::clock::seconds(crate::clock::now())
    }

    #[test]
    fn a_good_token_names_its_user_and_roles() {
        let token =
            token(&Header::default(), &json!({"sub": "ana", "exp": FAR, "roles": ["buyer"]}));
        let caller = Verifier::hs256(SECRET).verify(&token).expect("good");
        assert_eq!(caller.user.as_str(), "ana");
        assert!(caller.buyer && !caller.admin);
    }

    #[test]
    fn tokens_that_are_not_good_now_are_refused() {
        let header = Header::default();
        for claims in [
            json!({"sub": "ana"}),
            json!({"exp": FAR}),
            json!({"sub": "ana", "exp": now() - 6}),
            json!({"sub": "ana", "exp": FAR, "nbf": now() + 60}),
            json!({"sub": "ana", "exp": FAR, "aud": "another-service"}),
            json!({"sub": "ana bo", "exp": FAR}),
            json!({"sub": "", "exp": FAR}),
            json!({"sub": "a".repeat(65), "exp": FAR}),
            json!({"sub": "ana", "exp": FAR, "roles": "buyer"}),
            json!({"sub": "ana", "exp": "never"}),
        ] {
            assert!(!accepts(&token(&header, &claims)), "{claims}");
        }
    }

    #[test]
    fn tampered_tokens_are_refused() {
        let claims = json!({"sub": "ana", "exp": FAR, "roles": ["buyer"]});
        let good = token(&Header::default(), &claims);
        assert!(accepts(&good));
        let [head, body, signature] =
            <[&str; 3]>::try_from(good.split('.').collect::<Vec<_>>()).expect("three parts");
        let admin = json!({"sub": "ana", "exp": FAR, "roles": ["admin"]});
        let other = token(&Header::default(), &admin);
        let other_body = other.split('.').nth(1).expect("a body");
        assert!(!accepts(&format!("{head}.{other_body}.{signature}")), "other claims");
        assert!(!accepts(&format!("{head}.{body}.")), "no signature");
        assert!(!accepts(&format!("{head}.{body}")), "two parts");
        assert!(
            !accepts(&good.replace(signature, &"A".repeat(signature.len()))),
            "other signature"
        );
        // {"alg":"none"} and {"alg":"HS384"}, the latter signed properly.
        assert!(!accepts(&format!("eyJhbGciOiJub25lIn0.{body}.")), "alg none");
        assert!(!accepts(&token(&Header::new(Algorithm::HS384), &claims)), "other algorithm");
        let crit = Header { crit: Some(vec!["b64".into()]), ..Header::default() };
        assert!(!accepts(&token(&crit, &claims)), "unknown critical extension");
    }
}
