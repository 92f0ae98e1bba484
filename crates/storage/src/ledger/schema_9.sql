-- What an approval covers is shown as a whole: `subject` has what the older columns do not, and `terms` is the hash of
-- everything. `service_provider` is the part of `service` before the slash. `form_sent_at` tells how fast an answer came.
-- A denial holds back the provider's requests until `quiet_until`; `quiet_ms` is how long, and the next denial doubles it.
-- Requests with ids of four characters are dropped.
DELETE FROM approvals;

ALTER TABLE approvals ADD COLUMN service_provider TEXT NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN subject TEXT NOT NULL DEFAULT '{}';
ALTER TABLE approvals ADD COLUMN form_sent_at INTEGER;
ALTER TABLE approvals ADD COLUMN quiet_ms INTEGER;
ALTER TABLE approvals ADD COLUMN quiet_until INTEGER;

CREATE INDEX approvals_by_provider ON approvals (workspace, service_provider, decided_at) WHERE decided_at IS NOT NULL;

-- The forms of the last hour, which are counted by workspace.
CREATE TABLE approval_forms (
    row       INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL,
    sent_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX approval_forms_by_workspace ON approval_forms (workspace, sent_at);
