-- The outbox of alerts about budgets. A row is written once per project, cap and threshold, with the id that
-- every attempt sends. `state` is `pending`, `delivered`, `given_up`, or `local` for an alert raised while no receiver
-- was configured. The sending process claims the row until `leased_until`, and recognizes its claim by `attempts`,
-- which each claim increments.
CREATE TABLE alerts (
    row              INTEGER PRIMARY KEY,
    id               TEXT NOT NULL UNIQUE,
    project          INTEGER NOT NULL REFERENCES projects (row),
    cap_cents        INTEGER NOT NULL,
    threshold        INTEGER NOT NULL,
    usage_micro_usd  INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    state            TEXT NOT NULL,
    attempts         INTEGER NOT NULL,
    first_attempt_at INTEGER,
    next_attempt_at  INTEGER NOT NULL,
    leased_until     INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX one_alert_per_threshold ON alerts (project, cap_cents, threshold);
CREATE INDEX pending_alerts ON alerts (next_attempt_at) WHERE state = 'pending';
