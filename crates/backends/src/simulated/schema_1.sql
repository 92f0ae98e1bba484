-- Times are months as `2026-11`, amounts are micro-USD, limits are cents.
CREATE TABLE resources (
    row        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    order_id   TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    service    TEXT NOT NULL,
    provider   TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('active', 'suspended', 'removed')),
    cap        INTEGER NOT NULL,
    usage      INTEGER NOT NULL,
    generation INTEGER NOT NULL
) STRICT;

CREATE INDEX resources_of_provider ON resources (provider) WHERE status <> 'removed';

-- The current generation only: a credential of an earlier generation has no row and is therefore refused. A row
-- has the sixteen random bytes behind a credential, not its text.
CREATE TABLE credentials (
    resource INTEGER NOT NULL REFERENCES resources (row),
    name     TEXT NOT NULL,
    seed     BLOB NOT NULL UNIQUE,
    PRIMARY KEY (resource, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE monthly_usage (
    provider TEXT NOT NULL,
    month    TEXT NOT NULL,
    resource INTEGER NOT NULL REFERENCES resources (row),
    usage    INTEGER NOT NULL,
    PRIMARY KEY (provider, month, resource)
) STRICT, WITHOUT ROWID;

CREATE TABLE limits (
    provider TEXT PRIMARY KEY,
    cents    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
