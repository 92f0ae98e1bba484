-- Approval requests. A request is pending until the user decides it. An approval is used in the same transaction that
-- records the intent it permits. `nonce` identifies the elicitation that a client has open; the answer clears it.
CREATE TABLE approvals (
    row        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    provider   TEXT NOT NULL,
    service    TEXT NOT NULL,
    cap_cents  INTEGER NOT NULL CHECK (cap_cents > 0),
    terms      TEXT NOT NULL,
    asked_by   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    status     TEXT NOT NULL,
    nonce      TEXT,
    decided_by TEXT,
    decided_at INTEGER,
    project    TEXT
) STRICT;

CREATE INDEX approvals_by_name ON approvals (name, row);
CREATE INDEX pending_approvals ON approvals (expires_at) WHERE status = 'pending';

-- The key that signs the request state, which a client returns with its answer. It has no other use, and is deleted
-- with the requests that it signed.
CREATE TABLE seal (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    key TEXT NOT NULL
) STRICT;
