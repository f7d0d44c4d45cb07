//! What a request brings: its body within size and time, as JSON of a known shape; its query. Every complaint
//! names the field and says what would be right.
//! Next: the route.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::CONTENT_TYPE;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use slot_core::units::Invalid;
use uuid::Uuid;

use crate::failure::{Code, Failure};

/// Reads a body of at most `limit` bytes. hyper has a deadline for headers, but none for bodies.
pub(crate) async fn bytes(
    body: &mut Incoming,
    limit: usize,
    deadline: Duration,
) -> Result<Bytes, Failure> {
    let too_large = || {
        Failure::new(Code::PayloadTooLarge, format!("the body may have at most {limit} bytes"))
            .close()
    };
    if usize::try_from(body.size_hint().lower()).map_or(true, |size| size > limit) {
        return Err(too_large());
    }
    let read = async {
        let mut whole: Option<Bytes> = None;
        let mut parts = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let data = frame
                .map_err(|_| {
                    Failure::validation("the body ended before its Content-Length").close()
                })?
                .into_data()
                .unwrap_or_default();
            match whole.take() {
                None if parts.is_empty() => whole = Some(data),
                first => {
                    parts.extend_from_slice(&first.unwrap_or_default());
                    parts.extend_from_slice(&data);
                }
            }
            if parts.len().max(whole.as_ref().map_or(0, Bytes::len)) > limit {
                return Err(too_large());
            }
        }
        Ok(whole.unwrap_or_else(|| parts.freeze()))
    };
    tokio::time::timeout(deadline, read).await.unwrap_or_else(|_| {
        Err(Failure::new(Code::RequestTimeout, "the body did not arrive in time; send it again")
            .close())
    })
}

/// Refuses a body that doesn't say it is JSON.
pub(crate) fn must_be_json(headers: &HeaderMap) -> Result<(), Failure> {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split(';').next())
        .unwrap_or_default();
    if media_type.trim().eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Failure::new(Code::UnsupportedMediaType, "set Content-Type: application/json"))
    }
}

/// Reads a JSON object of a known shape.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    // A derived reader would also take an array in place of the object.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Failure::validation("the body must be a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| Failure::validation(error.to_string()))
}

/// Reads an id that a body names. Callers can't tell our UUIDs from others: one that can't be ours is one that
/// is not there, and only what is no UUID is a mistake.
pub(crate) fn id<T>(
    field: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Result<T, Failure> {
    parse(text).map_err(|error| {
        let detail = format!("{field}: {error}");
        match Uuid::try_parse(text) {
            Ok(_) => Failure::not_found(detail),
            Err(_) => Failure::validation(detail),
        }
    })
}

/// A query's parameters, decoded; one given twice is refused, unknown ones are left alone.
pub(crate) struct Query<'a>(Option<&'a str>);

impl<'a> Query<'a> {
    pub(crate) const fn new(text: Option<&'a str>) -> Self {
        Self(text)
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<String>, Failure> {
        let mut values = self.0.unwrap_or_default().split('&').filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        });
        let value = values.next();
        if values.next().is_some() {
            return Err(Failure::validation(format!("{name} must be given once")));
        }
        value
            .map(|value| {
                percent_decode_str(value)
                    .decode_utf8()
                    .map(std::borrow::Cow::into_owned)
                    .map_err(|_| Failure::validation(format!("{name} must be UTF-8")))
            })
            .transpose()
    }

    /// As `get`; one that is empty is as good as none.
    pub(crate) fn word(&self, name: &str) -> Result<Option<String>, Failure> {
        Ok(self.get(name)?.filter(|word| !word.is_empty()))
    }

    /// A whole number within bounds, or its default.
    pub(crate) fn number(
        &self,
        name: &str,
        default: usize,
        bounds: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, Failure> {
        let Some(text) = self.get(name)? else { return Ok(default) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && bounds.contains(number)).ok_or_else(|| {
            Failure::validation(format!(
                "{name} must be a whole number from {} to {}",
                bounds.start(),
                bounds.end()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_bounded() {
        let query = Query::new(Some("page=2&size=100&status=ON%5FSALE&size2=1&bad=%ff"));
        assert_eq!(query.number("page", 0, 0..=10).ok(), Some(2));
        assert_eq!(query.number("none", 20, 1..=100).ok(), Some(20));
        assert_eq!(query.get("status").ok().flatten().as_deref(), Some("ON_SALE"));
        assert!(query.number("size", 20, 1..=99).is_err());
        assert!(query.get("bad").is_err());
        assert_eq!(Query::new(Some("status=")).word("status").ok(), Some(None));
        assert!(Query::new(Some("page=1&page=2")).get("page").is_err());
        for bad in
            ["page=-1", "page=+1", "page=", "page", "page=1.0", "page=99999999999999999999999"]
        {
            assert!(Query::new(Some(bad)).number("page", 0, 0..=10).is_err(), "{bad}");
        }
    }
}
