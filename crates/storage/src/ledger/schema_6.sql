-- Room for several workspaces in one ledger, for other kinds of cards than projects, and for real and simulated money side
-- by side. `-` is the one workspace that a ledger has so far. `service_provider` is the part of `service` before the slash.
-- `op` is the id that the caller of an operation has chosen, so that it can ask later whether the operation was recorded.
ALTER TABLE projects ADD COLUMN workspace TEXT NOT NULL DEFAULT '-';
ALTER TABLE projects ADD COLUMN money TEXT NOT NULL DEFAULT 'simulated' CHECK (money IN ('real', 'simulated'));
ALTER TABLE projects ADD COLUMN kind TEXT NOT NULL DEFAULT 'project';
ALTER TABLE projects ADD COLUMN service_provider TEXT NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN workspace TEXT NOT NULL DEFAULT '-';
ALTER TABLE journal ADD COLUMN op TEXT;

UPDATE projects SET money = 'real' WHERE backend <> 'simulated';
UPDATE projects SET service_provider = substr(service, 1, instr(service, '/') - 1);
UPDATE journal SET op = 'entry-' || entry;

CREATE UNIQUE INDEX one_entry_per_operation ON journal (op);
