//! From a request to its route and back: finds the resource, times and counts the answer, echoes the trace id.
//! It reads no body and checks no token; the routes do, in the same order everywhere: who asks, what they
//! bring, what the module says, how it is told.
//! Next: for an acquire, routes/slots.rs.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, LOCATION, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use slot_core::ids::TraceId;
use slot_core::units::UnixMillis;

use crate::clock;
use crate::door::Door;
use crate::failure::{Code, Failure};
use crate::intake::Query;
use crate::routes::{health, metrics, openapi, payments, place, products, sale, slots, webhook};
use crate::trace;

pub(crate) const BASE: &str = "/product/v1";

/// A request on its way through a route.
pub(crate) struct Call {
    pub(crate) head: Parts,
    pub(crate) body: Incoming,
    pub(crate) trace: TraceId,
    /// When it reached the edge, by the edge's clock.
    pub(crate) arrived: UnixMillis,
}

impl Call {
    pub(crate) fn query(&self) -> Query<'_> {
        Query::new(self.head.uri.query())
    }
}

/// An answer, and what it is in one word for the metrics.
pub(crate) struct Answer {
    pub(crate) response: Response<Full<Bytes>>,
    outcome: &'static str,
}

pub(crate) type Outcome = Result<Answer, Failure>;

impl Answer {
    pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Outcome {
        let body =
            serde_json::to_vec(body).map_err(|error| Failure::internal(error.to_string()))?;
        Ok(Self::bytes(status, "application/json", Bytes::from(body)))
    }

    pub(crate) fn bytes(status: StatusCode, media_type: &'static str, body: Bytes) -> Self {
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        Self { response, outcome: "ok" }
    }

    pub(crate) fn empty() -> Self {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Self { response, outcome: "ok" }
    }

    /// Names where what was made can be read.
    pub(crate) fn at(mut self, collection: &str, id: &str) -> Self {
        let location = format!("{BASE}/{collection}/{id}");
        if let Ok(value) = HeaderValue::try_from(location) {
            self.response.headers_mut().insert(LOCATION, value);
        }
        self
    }

    pub(crate) const fn called(mut self, outcome: &'static str) -> Self {
        self.outcome = outcome;
        self
    }
}

/// Something that has a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource<'a> {
    Products,
    Product(&'a str),
    Pause(&'a str),
    Resume(&'a str),
    Close(&'a str),
    OwnPlace(&'a str),
    Acquire,
    MySlots,
    Slot(&'a str),
    Payments,
    Payment(&'a str),
    PaymentWebhook,
    Health,
    Live,
    Ready,
    Metrics,
    Openapi,
}

impl<'a> Resource<'a> {
    fn at(path: &'a str) -> Option<Self> {
        let (based, path) = match path.strip_prefix(BASE) {
            Some(rest) => (true, rest),
            None => (false, path),
        };
        Some(match path {
            "/health" => Self::Health,
            "/health/live" => Self::Live,
            "/health/ready" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/openapi.yaml" => Self::Openapi,
            _ if !based => return None,
            "/products" => Self::Products,
            "/slots/acquire" => Self::Acquire,
            "/slots/my-slots" => Self::MySlots,
            "/payments" => Self::Payments,
            "/webhooks/payment" => Self::PaymentWebhook,
            _ => {
                let mut parts = path.strip_prefix('/')?.splitn(3, '/');
                match (parts.next()?, parts.next()?, parts.next()) {
                    ("products", id, None) => Self::Product(id),
                    ("products", id, Some("pause")) => Self::Pause(id),
                    ("products", id, Some("resume")) => Self::Resume(id),
                    ("products", id, Some("close")) => Self::Close(id),
                    ("products", id, Some("waitlist/me")) => Self::OwnPlace(id),
                    ("slots", id, None) => Self::Slot(id),
                    ("payments", id, None) => Self::Payment(id),
                    _ => return None,
                }
            }
        })
    }

    /// Its path's pattern, as metrics name it, and the methods it has.
    const fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::Products => ("/products", "GET, HEAD, POST"),
            Self::Product(_) => ("/products/{id}", "GET, HEAD, PUT, DELETE"),
            Self::Pause(_) => ("/products/{id}/pause", "POST"),
            Self::Resume(_) => ("/products/{id}/resume", "POST"),
            Self::Close(_) => ("/products/{id}/close", "POST"),
            Self::OwnPlace(_) => ("/products/{id}/waitlist/me", "GET, HEAD, DELETE"),
            Self::Acquire => ("/slots/acquire", "POST"),
            Self::MySlots => ("/slots/my-slots", "GET, HEAD"),
            Self::Slot(_) => ("/slots/{id}", "GET, HEAD, DELETE"),
            Self::Payments => ("/payments", "POST"),
            Self::Payment(_) => ("/payments/{id}", "GET, HEAD"),
            Self::PaymentWebhook => ("/webhooks/payment", "POST"),
            Self::Health => ("/health", "GET, HEAD"),
            Self::Live => ("/health/live", "GET, HEAD"),
            Self::Ready => ("/health/ready", "GET, HEAD"),
            Self::Metrics => ("/metrics", "GET, HEAD"),
            Self::Openapi => ("/openapi.yaml", "GET, HEAD"),
        }
    }
}

/// Answers one request.
pub(crate) async fn handle(
    door: Rc<Door>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let began = Instant::now();
    let arrived = clock::now();
    let (head, body) = request.into_parts();
    let trace = trace::of(&head.headers);
    let mut call = Call { head, body, trace, arrived };
    let path = call.head.uri.path().to_owned();
    let resource = Resource::at(&path);
    let (mut response, outcome) = match dispatch(&door, resource, &mut call).await {
        Ok(answer) => (answer.response, answer.outcome),
        Err(failure) => {
            let outcome = failure.code.word();
            (failure.into_answer(&call.trace), outcome)
        }
    };
    response.headers_mut().insert(trace::HEADER, trace::header_value(&call.trace));
    if door.is_draining() {
        // Whoever keeps this connection hears in time to send the next request elsewhere.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let pattern = resource.map_or("unknown", |resource| resource.described().0);
    let route = (method_word(&call.head.method), pattern);
    door.metrics.answered(route, response.status().as_u16(), outcome, began.elapsed());
    Ok(response)
}

fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

async fn dispatch(door: &Door, resource: Option<Resource<'_>>, call: &mut Call) -> Outcome {
    // hyper follows RFC 9112 §6.3 and drops a Content-Length beside a Transfer-Encoding before we can see it;
    // a proxy in front might do otherwise. Our bodies are small: nobody needs to send them in chunks.
    if call.head.headers.contains_key(TRANSFER_ENCODING) {
        return Err(Failure::new(
            Code::LengthRequired,
            "send the body with Content-Length, not with Transfer-Encoding",
        )
        .close());
    }
    let Some(resource) = resource else {
        return Err(Failure::not_found("there is nothing at this path; see /openapi.yaml"));
    };
    let method = match call.head.method {
        Method::HEAD => Method::GET,
        ref method => method.clone(),
    };
    match (resource, method) {
        (Resource::Acquire, Method::POST) => slots::acquire(door, call).await,
        (Resource::MySlots, Method::GET) => slots::mine(door, call).await,
        (Resource::Slot(id), Method::GET) => slots::get(door, call, id).await,
        (Resource::Slot(id), Method::DELETE) => slots::give_back(door, call, id).await,
        (Resource::Payments, Method::POST) => payments::start(door, call).await,
        (Resource::Payment(id), Method::GET) => payments::get(door, call, id).await,
        (Resource::PaymentWebhook, Method::POST) => webhook::payment(door, call).await,
        (Resource::Products, Method::GET) => products::list(door, call),
        (Resource::Products, Method::POST) => products::create(door, call).await,
        (Resource::Product(id), Method::GET) => products::get(door, id).await,
        (Resource::Product(id), Method::PUT) => products::change(door, call, id).await,
        (Resource::Product(id), Method::DELETE) => products::delete(door, call, id).await,
        (Resource::Pause(id), Method::POST) => sale::pause(door, call, id).await,
        (Resource::Resume(id), Method::POST) => sale::resume(door, call, id).await,
        (Resource::Close(id), Method::POST) => sale::close(door, call, id).await,
        (Resource::OwnPlace(id), Method::GET) => place::get(door, call, id).await,
        (Resource::OwnPlace(id), Method::DELETE) => place::leave(door, call, id).await,
        (Resource::Live, Method::GET) => Ok(health::live()),
        (Resource::Ready, Method::GET) => health::ready(door).await,
        (Resource::Health, Method::GET) => health::components(door).await,
        (Resource::Metrics, Method::GET) => metrics::show(door),
        (Resource::Openapi, Method::GET) => Ok(openapi::show()),
        (resource, _) => Err(Failure::new(
            Code::MethodNotAllowed,
            "see the header Allow for the methods that this path has",
        )
        .allow(resource.described().1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_resource() {
        let at = |path: &'static str| Resource::at(path);
        assert_eq!(at("/product/v1/products"), Some(Resource::Products));
        assert_eq!(at("/product/v1/products/x"), Some(Resource::Product("x")));
        assert_eq!(at("/product/v1/products/x/waitlist/me"), Some(Resource::OwnPlace("x")));
        assert_eq!(at("/product/v1/slots/acquire"), Some(Resource::Acquire));
        assert_eq!(at("/product/v1/slots/x"), Some(Resource::Slot("x")));
        assert_eq!(at("/health/live"), Some(Resource::Live));
        assert_eq!(at("/product/v1/health/live"), Some(Resource::Live));
        for nothing in [
            "/",
            "/products",
            "/product/v1",
            "/product/v1/",
            "/product/v1/slots/x/y",
            "/product/v12/health",
        ] {
            assert_eq!(Resource::at(nothing), None, "{nothing}");
        }
    }
}
