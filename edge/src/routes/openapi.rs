//! GET /openapi.yaml: the contract, as it was when this program was built.

use bytes::Bytes;
use hyper::StatusCode;

use crate::router::Answer;

pub(crate) fn show() -> Answer {
    let contract = Bytes::from_static(include_bytes!("../../openapi.yaml"));
    Answer::bytes(StatusCode::OK, "application/yaml", contract)
}
