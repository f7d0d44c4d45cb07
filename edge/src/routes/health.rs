//! Whether the edge lives, can serve, and how the parts behind it are. The persister tells about Postgres and
//! Kafka through Redis, in `slot:health:<writer>`, which lives 15 s.

use bytes::Bytes;
use hyper::StatusCode;
use redis::{Pipeline, Value, cmd};
use serde::{Deserialize, Serialize};

use crate::door::Door;
use crate::failure::{Code, Failure};
use crate::router::{Answer, Outcome};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Up,
    #[serde(rename = "NOT_USED")]
    NotUsed,
    Degraded,
    Down,
}

#[derive(Serialize)]
struct Health {
    status: Status,
    components: Components,
}

#[derive(Serialize)]
struct Components {
    redis: Component,
    database: Component,
    kafka: Component,
}

#[derive(Serialize)]
struct Component {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

impl Component {
    const fn up() -> Self {
        Self { status: Status::Up, detail: None }
    }
    const fn down(detail: &'static str) -> Self {
        Self { status: Status::Down, detail: Some(detail) }
    }
}

/// What a persister reports.
#[derive(Deserialize)]
struct Report {
    database: String,
    kafka: String,
}

/// GET /health/live
pub(crate) fn live() -> Answer {
    Answer::bytes(StatusCode::OK, "application/json", Bytes::from_static(b"{\"status\":\"UP\"}"))
}

/// GET /health/ready
pub(crate) async fn ready(door: &Door) -> Outcome {
    if door.is_draining() {
        return Err(Failure::new(Code::Unavailable, "this process is stopping"));
    }
    if door.catalogue.age().is_none() {
        return Err(Failure::new(Code::Unavailable, "the products have not been read yet"));
    }
    let mut ping = Pipeline::with_capacity(1);
    ping.add_command(cmd("PING"));
    match door.shard.read_all(&ping).await?.first() {
        Some(Value::ServerError(error)) => {
            let cause = format!("{} {}", error.code(), error.details().unwrap_or_default());
            Err(Failure::new(Code::Unavailable, "Redis is not ready").because(cause))
        }
        _ => Ok(live()),
    }
}

/// GET /health
pub(crate) async fn components(door: &Door) -> Outcome {
    let mut questions = Pipeline::new();
    questions.add_command(cmd("PING"));
    for writer in 0..door.config.persisters {
        questions.add_command(cmd("GET").arg(format!("slot:health:{writer}")).to_owned());
    }
    let replies = door.shard.read_all(&questions).await.unwrap_or_default();
    let components = match replies.split_first() {
        None => Components {
            redis: Component::down("no answer"),
            database: Component::down("not known while Redis gives no answer"),
            kafka: Component::down("not known while Redis gives no answer"),
        },
        Some((ping, reports)) => {
            let reports: Vec<Option<Report>> = reports.iter().map(report).collect();
            Components {
                redis: match ping {
                    Value::ServerError(_) => Component::down("not ready"),
                    _ => Component::up(),
                },
                database: combined(&reports, |report| &report.database),
                kafka: combined(&reports, |report| &report.kafka),
            }
        }
    };
    let status =
        match (&components.redis.status, &components.database.status, &components.kafka.status) {
            (Status::Up, Status::Up | Status::NotUsed, Status::Up | Status::NotUsed) => Status::Up,
            (Status::Up, _, _) => Status::Degraded,
            _ => Status::Down,
        };
    let code = match status {
        Status::Down => StatusCode::SERVICE_UNAVAILABLE,
        Status::Up | Status::NotUsed | Status::Degraded => StatusCode::OK,
    };
    Answer::json(code, &Health { status, components })
}

fn report(reply: &Value) -> Option<Report> {
    match reply {
        Value::BulkString(bytes) => serde_json::from_slice(bytes).ok(),
        _ => None,
    }
}

fn combined(reports: &[Option<Report>], field: impl Fn(&Report) -> &str) -> Component {
    if reports.iter().any(Option::is_none) {
        return Component::down("a persister does not report");
    }
    let said = || reports.iter().flatten().map(&field);
    if !reports.is_empty() && said().all(|word| word == "NOT_USED") {
        // Left out on purpose, such as Kafka where only Postgres is wanted.
        Component { status: Status::NotUsed, detail: None }
    } else if said().all(|word| matches!(word, "UP" | "NOT_USED")) {
        Component::up()
    } else {
        Component::down("a persister can't reach it")
    }
}
