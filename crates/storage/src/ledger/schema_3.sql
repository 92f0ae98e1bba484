-- Requests for a human's yes. One is pending until somebody decides it, and a granted one is spent with the intent that
-- it grants, in one transaction. `nonce` is of the one form that is out with a client; it goes when the answer comes.
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

-- What seals the state that a client carries between a question and its answer. It opens nothing else, and dies with
-- the requests that it vouches for.
CREATE TABLE seal (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    key TEXT NOT NULL
) STRICT;
