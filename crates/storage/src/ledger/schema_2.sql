-- What a backend must remember between two processes: ids of its own, limits that it set. Never a credential.
CREATE TABLE notes (
    backend TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (backend, key)
) STRICT, WITHOUT ROWID;
