-- Times are milliseconds since 1970, amounts are cents. A project is live while its status is neither
-- `failed` nor `torn_down`; rows are never deleted, so history stays.
CREATE TABLE projects (
    row         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    provider    TEXT NOT NULL,
    service     TEXT NOT NULL,
    backend     TEXT NOT NULL,
    resource    TEXT,
    status      TEXT NOT NULL,
    cap_cents   INTEGER NOT NULL CHECK (cap_cents > 0),
    key_version INTEGER NOT NULL,
    env_file    TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX one_live_project_per_name ON projects (name) WHERE status NOT IN ('failed', 'torn_down');
CREATE INDEX live_projects ON projects (row, cap_cents) WHERE status NOT IN ('failed', 'torn_down');
CREATE INDEX torn_down_projects ON projects (row) WHERE status = 'torn_down';
CREATE INDEX projects_by_name ON projects (name, row);

-- Which credential goes into which variable. `held` while the project is live: no two projects write one variable.
CREATE TABLE deliveries (
    project    INTEGER NOT NULL REFERENCES projects (row),
    position   INTEGER NOT NULL,
    env_file   TEXT NOT NULL,
    env_var    TEXT NOT NULL,
    credential TEXT,
    held       INTEGER NOT NULL,
    PRIMARY KEY (project, position)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX one_holder_per_variable ON deliveries (env_file, env_var) WHERE held = 1;

-- Every credential that was ever delivered: enough to recognise it, not enough to use it.
CREATE TABLE credentials (
    project     INTEGER NOT NULL REFERENCES projects (row),
    key_version INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    mask        TEXT NOT NULL,
    length      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (project, key_version, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX credentials_by_fingerprint ON credentials (fingerprint);

-- What was begun. An entry without an outcome is a question whose answer may have been lost.
CREATE TABLE journal (
    entry       INTEGER PRIMARY KEY,
    project     INTEGER NOT NULL REFERENCES projects (row),
    operation   TEXT NOT NULL,
    was_status  TEXT NOT NULL,
    was_version INTEGER NOT NULL,
    opened_at   INTEGER NOT NULL,
    closed_at   INTEGER,
    outcome     TEXT
) STRICT;

CREATE UNIQUE INDEX one_open_entry_per_project ON journal (project) WHERE outcome IS NULL;

-- Each row's hash covers the row and the hash before it; the head is kept apart, so that a cut end shows.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    door    TEXT NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    project TEXT,
    name    TEXT,
    outcome TEXT NOT NULL,
    detail  TEXT NOT NULL,
    hash    TEXT NOT NULL
) STRICT;

CREATE TABLE audit_head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    seq  INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;

INSERT INTO audit_head VALUES (1, 0, '');
