//! How a connection over --max-connections is told to come back: a problem like every other one, without hearing
//! the request.
//!
//! Closing a socket with unread bytes in it resets the connection, and a reset can overtake the answer. So the
//! answer's end is said first, and what the client still sends is read away for a moment.

use std::io::Write;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::{Code, Failure};
use crate::trace;

/// How many at a time are let go like this in each worker; under more, the rest are only closed.
pub(crate) const AT_A_TIME: usize = 256;
/// How long one may take to hear it out.
const PATIENCE: Duration = Duration::from_millis(200);

pub(crate) async fn say(stream: TcpStream) {
    // One that doesn't listen is closed all the same.
    let _ = timeout(PATIENCE, tell(stream)).await;
}

async fn tell(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(&answer().await?).await?;
    stream.shutdown().await?;
    let mut unheard = [0; 4_096];
    while stream.read(&mut unheard).await? > 0 {}
    Ok(())
}

/// hyper answers only to requests that it has read, so the few bytes are written by hand.
async fn answer() -> std::io::Result<Vec<u8>> {
    let trace = trace::new();
    let failure =
        Failure::new(Code::Overloaded, "too many connections are open; come back shortly");
    let (mut head, body) = failure.close().into_answer(&trace).into_parts();
    head.headers.insert(trace::HEADER, trace::header_value(&trace));
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes);
    let mut bytes = Vec::with_capacity(512);
    write!(bytes, "HTTP/1.1 {}\r\n", head.status)?;
    for (name, value) in &head.headers {
        write!(bytes, "{name}: ")?;
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    write!(bytes, "content-length: {}\r\n\r\n", body.len())?;
    bytes.extend_from_slice(&body);
    Ok(bytes)
}
