//! Whether each sink works, told to whoever asks over HTTP and, every 5 s, to the edge by the Redis key
//! `slot:health:<writer>`, which vanishes after 15 s without news.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::marks::SinkName;
use crate::source::Source;

const EVERY: Duration = Duration::from_secs(5);
const LIFE_MS: u64 = 15_000;

const STARTING: u8 = 0;
const UP: u8 = 1;
const DOWN: u8 = 2;
const NOT_USED: u8 = 3;

/// How the sinks are.
#[derive(Debug)]
pub struct Health {
    database: AtomicU8,
    kafka: AtomicU8,
}

impl Health {
    /// Before the sinks have connected; without Kafka where it is not used.
    #[must_use]
    pub const fn new(with_kafka: bool) -> Self {
        let kafka = if with_kafka { STARTING } else { NOT_USED };
        Self { database: AtomicU8::new(STARTING), kafka: AtomicU8::new(kafka) }
    }

    /// Notes that a sink works, or does not.
    pub fn set(&self, sink: SinkName, up: bool) {
        let state = match sink {
            SinkName::Postgres => &self.database,
            SinkName::Kafka => &self.kafka,
        };
        state.store(if up { UP } else { DOWN }, Ordering::Relaxed);
    }

    /// Whether every sink that is used works.
    #[must_use]
    pub fn ready(&self) -> bool {
        [&self.database, &self.kafka]
            .iter()
            .all(|state| matches!(state.load(Ordering::Relaxed), UP | NOT_USED))
    }

    /// As the edge and the probes read it.
    #[must_use]
    pub fn json(&self) -> String {
        let word = |state: &AtomicU8| match state.load(Ordering::Relaxed) {
            UP => "UP",
            NOT_USED => "NOT_USED",
            _ => "DOWN",
        };
        format!(
            "{{\"database\":\"{}\",\"kafka\":\"{}\",\"at\":{}}}",
            word(&self.database),
            word(&self.kafka),
            now_ms()
        )
    }
}

/// The wall clock, in ms; only for people and for lags, never for a decision about a slot.
#[must_use]
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// Tells Redis for as long as the process lives.
pub async fn tell_redis(url: &str, writer: u32, health: &Health) {
    let key = format!("slot:health:{writer}");
    let mut source: Option<Source> = None;
    loop {
        if source.is_none() {
            source = Source::connect(url).await.ok();
        }
        if let Some(connected) = &mut source
            && connected.set_for(&key, &health.json(), LIFE_MS).await.is_err()
        {
            source = None;
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_every_sink_that_is_used() {
        let health = Health::new(true);
        health.set(SinkName::Postgres, true);
        assert!(!health.ready());
        health.set(SinkName::Kafka, true);
        assert!(health.ready());
        health.set(SinkName::Postgres, false);
        assert!(!health.ready());
        assert!(health.json().starts_with("{\"database\":\"DOWN\",\"kafka\":\"UP\",\"at\":"));
        let alone = Health::new(false);
        alone.set(SinkName::Postgres, true);
        assert!(alone.ready());
    }
}
