-- The books: every event of every sale, the states folded from them, and the marks that make both exactly once.
-- The persister is the only writer. States are a convenience; the log is the truth (DESIGN §5, §7).

-- A point in time from milliseconds since 1970.
CREATE FUNCTION at_ms(ms bigint) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT to_timestamp(ms / 1000.0)';

-- A sale and its options as of the last event.
CREATE TABLE products (
    id                uuid        PRIMARY KEY,
    name              text        NOT NULL,
    description       text        NOT NULL,
    total             bigint      NOT NULL,
    sale_date         timestamptz NOT NULL,
    ttl_ms            bigint      NOT NULL,
    waitlist          bigint      NOT NULL,
    slot_limit        bigint      NOT NULL,
    payment_window_ms bigint      NOT NULL,
    expiring_soon_ms  bigint      NOT NULL,
    price_minor       bigint,
    currency          text,
    -- Before and after its sale date alike; UPCOMING and SOLD_OUT follow from the clock and the slots.
    state             text        NOT NULL CHECK (state IN ('OPEN', 'PAUSED', 'CLOSED', 'DELETED')),
    created_by        text,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    last_event        bigint      NOT NULL
);

-- A buyer's right to one unit, or the place on the waitlist that may become one.
CREATE TABLE purchase_slots (
    id             uuid        PRIMARY KEY,
    product_id     uuid        NOT NULL,
    arrival_number bigint      NOT NULL,
    user_id        text        NOT NULL,
    status         text        NOT NULL
        CHECK (status IN ('WAITING', 'LEFT', 'ACTIVE', 'COMPLETED', 'EXPIRED')),
    reclaim_status text
        CHECK (reclaim_status IN ('AUTO_EXPIRED', 'MANUAL_RECLAIMED', 'RELEASED')),
    granted        text        CHECK (granted IN ('DIRECT', 'PROMOTED')),
    arrived_at     timestamptz,
    queued_at      timestamptz,
    acquired_at    timestamptz,
    -- The time that counts: its deadline, or while paying until when it is held (R7).
    deadline       timestamptz,
    warned_at      timestamptz,
    completed_at   timestamptz,
    ended_at       timestamptz,
    trace_id       text,
    updated_at     timestamptz NOT NULL,
    last_event     bigint      NOT NULL,
    -- One slot number, one holder: the last fence behind R1 and R3.
    CONSTRAINT one_holder_per_slot_number UNIQUE (product_id, arrival_number)
);
CREATE INDEX purchase_slots_of_a_user ON purchase_slots (user_id, product_id, arrival_number);
CREATE INDEX purchase_slots_by_trace ON purchase_slots (trace_id) WHERE trace_id IS NOT NULL;

-- One attempt to pay for a slot.
CREATE TABLE purchases (
    id                uuid        PRIMARY KEY,
    slot_id           uuid        NOT NULL,
    product_id        uuid        NOT NULL,
    attempt           smallint    NOT NULL,
    -- The gateway's idempotency key; a payment id may be made again after a failover, this never is.
    charge_id         text        UNIQUE,
    user_id           text        NOT NULL,
    idempotency_key   text,
    amount_minor      bigint,
    currency          text,
    method            text        CHECK (method IN ('CARD', 'BANK_TRANSFER', 'WALLET')),
    status            text        NOT NULL
        CHECK (status IN ('PENDING', 'SUCCESS', 'FAILED', 'REFUND_DUE')),
    cause             text        CHECK (cause IN ('DECLINED', 'TIMEOUT')),
    reason            text,
    gateway_reference text,
    started_at        timestamptz,
    until_at          timestamptz,
    completed_at      timestamptz,
    -- When nothing more is to be asked of the gateway: it has answered and the sale knows, or it never
    -- had the charge. Null keeps the persister asking (R8: money is never silently lost).
    settled_at        timestamptz,
    trace_id          text,
    updated_at        timestamptz NOT NULL,
    last_event        bigint      NOT NULL
);
CREATE INDEX purchases_of_a_slot ON purchases (slot_id);
CREATE INDEX purchases_of_a_user ON purchases (user_id);
CREATE INDEX purchases_of_a_product ON purchases (product_id);
CREATE INDEX purchases_unsettled ON purchases (started_at) WHERE settled_at IS NULL;
CREATE INDEX purchases_by_trace ON purchases (trace_id) WHERE trace_id IS NOT NULL;

-- Money that has to go back, one row per REFUND_DUE, whether or not the sale knows the charge.
CREATE TABLE refunds (
    product_id        uuid        NOT NULL,
    event_number      bigint      NOT NULL,
    payment_id        uuid        NOT NULL,
    charge_id         text        NOT NULL,
    user_id           text,
    gateway_reference text        NOT NULL,
    amount_minor      bigint,
    currency          text,
    reason            text        NOT NULL,
    at                timestamptz NOT NULL,
    trace_id          text,
    PRIMARY KEY (product_id, event_number)
);
CREATE INDEX refunds_by_charge ON refunds (charge_id);

-- Every event, in its sale's order (R2, R13): the line is what the chain hashes.
CREATE TABLE slot_audit_log (
    product_id   uuid        NOT NULL,
    event_number bigint      NOT NULL CHECK (event_number > 0),
    type         text        NOT NULL,
    at           timestamptz NOT NULL,
    line         text        NOT NULL,
    chain_hash   bytea       NOT NULL CHECK (octet_length(chain_hash) = 16),
    trace_id     text,
    PRIMARY KEY (product_id, event_number)
);
CREATE INDEX slot_audit_log_by_trace ON slot_audit_log (trace_id) WHERE trace_id IS NOT NULL;

-- Events that could not be read, each with its reason; their place in the chain was checked.
CREATE TABLE quarantined_events (
    product_id     uuid        NOT NULL,
    event_number   bigint      NOT NULL CHECK (event_number > 0),
    line           bytea       NOT NULL,
    chain_hash     bytea       NOT NULL CHECK (octet_length(chain_hash) = 16),
    reason         text        NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (product_id, event_number)
);

-- A writer's latest start; a process with an older epoch may not write any more.
CREATE TABLE writers (
    writer     integer     PRIMARY KEY,
    epoch      bigint      NOT NULL,
    started_at timestamptz NOT NULL
);

-- How far Postgres has each sale. It moves only from what its writer last read (compare and set), in the
-- transaction that brings the events.
CREATE TABLE sink_marks (
    product_id   uuid        PRIMARY KEY,
    writer       integer     NOT NULL,
    epoch        bigint      NOT NULL,
    event_number bigint      NOT NULL,
    chain_hash   bytea       NOT NULL CHECK (octet_length(chain_hash) = 16),
    updated_at   timestamptz NOT NULL
);

-- Counts per sale, for people; R1 is total = stock + active + completed.
CREATE VIEW sale_counts AS
SELECT p.id AS product_id,
       p.name,
       p.state,
       p.total,
       p.total - count(s.id) FILTER (WHERE s.status IN ('ACTIVE', 'COMPLETED')) AS stock,
       count(s.id) FILTER (WHERE s.status = 'ACTIVE')    AS active,
       count(s.id) FILTER (WHERE s.status = 'COMPLETED') AS completed,
       count(s.id) FILTER (WHERE s.status = 'EXPIRED')   AS expired,
       count(s.id) FILTER (WHERE s.status = 'WAITING')   AS waiting
FROM products p
LEFT JOIN purchase_slots s ON s.product_id = p.id
GROUP BY p.id;
