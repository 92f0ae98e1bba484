-- What Stripe's Provisioning API remembers beyond the resources themselves. Times are RFC 3339.
ALTER TABLE resources ADD COLUMN created_at TEXT NOT NULL DEFAULT '1970-01-01T00:00:00Z';

-- When the current generation of credentials became current.
ALTER TABLE resources ADD COLUMN minted_at TEXT NOT NULL DEFAULT '1970-01-01T00:00:00Z';

-- A resource as the API shows it. One that was not created through the API has no row until it is changed there.
-- As long as `polls` is positive, a look at it shows `interim` and takes one of them away.
CREATE TABLE api_resources (
    resource      INTEGER PRIMARY KEY REFERENCES resources (row),
    project       TEXT,
    name          TEXT,
    catalog       TEXT NOT NULL,
    environment   TEXT NOT NULL,
    livemode      INTEGER NOT NULL,
    configuration TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('complete', 'errored', 'needs_information')),
    interim       TEXT NOT NULL,
    polls         INTEGER NOT NULL,
    message       TEXT,
    wanted        TEXT,
    unlinked      INTEGER NOT NULL
) STRICT;

CREATE TABLE api_projects (
    id       TEXT PRIMARY KEY,
    name     TEXT NOT NULL,
    catalog  TEXT NOT NULL,
    livemode INTEGER NOT NULL,
    created  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The answer to a request that succeeded, by its idempotency key. Of the request a hash is kept, and no answer
-- holds a credential.
CREATE TABLE api_answers (
    key     TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    status  INTEGER NOT NULL,
    body    TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX api_answers_by_age ON api_answers (created);

-- Providers that a person has to connect first; all others are connected.
CREATE TABLE api_unlinked (
    provider TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE api_connection_requests (
    id       TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    status   TEXT NOT NULL CHECK (status IN ('complete', 'error', 'needs_information', 'pending_auth')),
    wanted   TEXT,
    livemode INTEGER NOT NULL,
    created  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Limits that were set through the API stay as they are: no sum of caps replaces them. The provider `*` is the
-- limit of every provider that has none of its own.
ALTER TABLE limits ADD COLUMN fixed INTEGER NOT NULL DEFAULT 0;
