//! The gateway's signature over a webhook: `X-Signature: t=<Unix seconds>,v1=<hex>`, where v1 is the
//! HMAC-SHA256 of `t "." body` with a shared secret. Two secrets can be live, so that one can be replaced.
//! Next: routes/webhook.rs.

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use hyper::header::HeaderName;
use sha2::Sha256;

use crate::failure::{Code, Failure};

const HEADER: HeaderName = HeaderName::from_static("x-signature");
/// How far the signature's time may be from ours, either way.
const TOLERANCE_SECONDS: u64 = 300;

pub(crate) struct Secrets(Vec<Hmac<Sha256>>);

impl Secrets {
    pub(crate) fn new(secrets: &[Vec<u8>]) -> Self {
        Self(secrets.iter().filter_map(|s| Hmac::<Sha256>::new_from_slice(s).ok()).collect())
    }

    /// Whether the body is the gateway's, signed within the last minutes. The comparison takes constant
    /// time (the `hmac` crate's `verify_slice`).
    pub(crate) fn check(&self, headers: &HeaderMap, body: &[u8], now: u64) -> Result<(), Failure> {
        let header = headers
            .get(HEADER)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| refused("X-Signature is missing"))?;
        let mut time = None;
        let mut signatures = Vec::new();
        for part in header.split(',') {
            match part.trim().split_once('=') {
                Some(("t", text)) if time.is_none() => time = Some(text),
                Some(("v1", text)) => signatures.extend(hex::decode(text)),
                _ => {}
            }
        }
        let time = time.ok_or_else(|| refused("X-Signature must be t=<Unix seconds>,v1=<hex>"))?;
        let genuine = self.0.iter().any(|secret| {
            let mac = secret.clone().chain_update(time).chain_update(b".").chain_update(body);
            signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
        });
        if !genuine {
            return Err(refused("X-Signature does not fit the body"));
        }
        match time.parse::<u64>() {
            Ok(time) if time.abs_diff(now) <= TOLERANCE_SECONDS => Ok(()),
            _ => Err(refused("X-Signature is not from the last 5 minutes; sign the body again")),
        }
    }
}

fn refused(detail: &'static str) -> Failure {
    Failure::new(Code::Unauthorized, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn sign(secret: &[u8], time: u64, body: &[u8]) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
        let mac = mac.chain_update(time.to_string()).chain_update(b".").chain_update(body);
        format!("t={time},v1={}", hex::encode(mac.finalize().into_bytes()))
    }

    fn accepts(secrets: &Secrets, header: &str, body: &[u8], now: u64) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(header).expect("a header"));
        secrets.check(&headers, body, now).is_ok()
    }

    #[test]
    fn either_live_secret_is_accepted_and_no_other() {
        let secrets = Secrets::new(&[b"old secret".to_vec(), b"new secret".to_vec()]);
        assert!(accepts(&secrets, &sign(b"old secret", 1_000, b"{}"), b"{}", 1_000));
        assert!(accepts(&secrets, &sign(b"new secret", 1_000, b"{}"), b"{}", 1_000));
        assert!(!accepts(&secrets, &sign(b"bad secret", 1_000, b"{}"), b"{}", 1_000));
    }

    #[test]
    fn body_time_and_form_are_all_bound() {
        let secrets = Secrets::new(&[b"secret".to_vec()]);
        let good = sign(b"secret", 1_000, b"{}");
        assert!(accepts(&secrets, &good, b"{}", 1_300));
        assert!(accepts(&secrets, &good, b"{}", 700));
        assert!(!accepts(&secrets, &good, b"{}", 1_301), "stale");
        assert!(!accepts(&secrets, &good, b"{}", 699), "from the future");
        assert!(!accepts(&secrets, &good, b"{ }", 1_000), "other body");
        assert!(!accepts(&secrets, &good.replace("t=1000", "t=1001"), b"{}", 1_000), "other time");
        for bad in ["", "t=1000", "v1=00", "t=,v1=", "t=1000,v1=zz", &good.replace("v1", "v0")] {
            assert!(!accepts(&secrets, bad, b"{}", 1_000), "{bad}");
        }
    }
}
