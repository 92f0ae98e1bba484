-- What grants commit to the budgets of calendar months (UTC). A row is written with the grant. For later months it is
-- written by the next change of the project; until then the commitment is computed, so a month needs no job to begin.
-- `cents`: what is committed. `renewed_cents`: the part of it that comes from a grant of an earlier month. `used_before`:
-- the usage known when the month began, in micro-USD. `used`: the last known usage in the month.
CREATE TABLE commitments (
    project       INTEGER NOT NULL REFERENCES projects (row),
    month         TEXT NOT NULL,
    money         TEXT NOT NULL CHECK (money IN ('real', 'simulated')),
    currency      TEXT NOT NULL,
    cents         INTEGER NOT NULL,
    renewed_cents INTEGER NOT NULL,
    used_before   INTEGER NOT NULL,
    used          INTEGER,
    PRIMARY KEY (project, month)
) STRICT, WITHOUT ROWID;

CREATE INDEX commitments_by_month ON commitments (money, month);

-- `cap_period`: `day`, `month` or `total`. `usage_micro_usd`: the last known usage, which stays when the project ends.
ALTER TABLE projects ADD COLUMN cap_period TEXT NOT NULL DEFAULT 'month' CHECK (cap_period IN ('day', 'month', 'total'));
ALTER TABLE projects ADD COLUMN usage_micro_usd INTEGER;

UPDATE projects SET cap_period = 'total' WHERE money = 'simulated';

-- For a change of the cap: what to return to if the backend refuses it.
ALTER TABLE journal ADD COLUMN was_cap_cents INTEGER;
ALTER TABLE journal ADD COLUMN was_committed_cents INTEGER;

-- The highest time that was ever recorded, in milliseconds since 1970.
CREATE TABLE clock (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    seen_at INTEGER NOT NULL
) STRICT;

INSERT INTO clock VALUES (1, 0);
