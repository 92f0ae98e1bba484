-- One ledger for all workspaces of a user. `device`, `inode` and `born` (nanoseconds since 1970) tell the registered folder
-- from another one at the same path; they are null where they are not known. A workspace that is detached has lost its
-- path to a later folder; its projects stay listed. `audit.workspace` is null for rows that belong to no workspace, and
-- the hash of a row covers it where it is not null.
CREATE TABLE workspaces (
    id            TEXT PRIMARY KEY,
    path          TEXT NOT NULL,
    device        INTEGER,
    inode         INTEGER,
    born          INTEGER,
    registered_at INTEGER NOT NULL,
    detached_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX one_workspace_per_path ON workspaces (path) WHERE detached_at IS NULL;

ALTER TABLE audit ADD COLUMN workspace TEXT;

DROP INDEX one_live_project_per_name;
DROP INDEX live_projects;
DROP INDEX torn_down_projects;
DROP INDEX projects_by_name;
DROP INDEX approvals_by_name;

CREATE UNIQUE INDEX one_live_project_per_name ON projects (workspace, name) WHERE status NOT IN ('failed', 'torn_down');
CREATE INDEX live_projects ON projects (workspace, row) WHERE status NOT IN ('failed', 'torn_down');
CREATE INDEX live_money ON projects (money, cap_cents) WHERE status NOT IN ('failed', 'torn_down');
CREATE INDEX torn_down_projects ON projects (workspace, row) WHERE status = 'torn_down';
CREATE INDEX projects_by_name ON projects (workspace, name, row);
CREATE INDEX approvals_by_name ON approvals (workspace, name, row);
