-- Which backends may spend real money for a workspace, as a person has recorded it. `address` is the canonical path of the
-- Stripe CLI, or the base of Stripe's API. A later record for the same backend replaces the earlier one.
CREATE TABLE connections (
    workspace      TEXT NOT NULL,
    backend        TEXT NOT NULL,
    address        TEXT NOT NULL,
    key_file       TEXT,
    terms_accepted INTEGER NOT NULL,
    recorded_by    TEXT NOT NULL,
    recorded_at    INTEGER NOT NULL,
    PRIMARY KEY (workspace, backend)
) STRICT, WITHOUT ROWID;
