-- When a project is to be torn down by whoever is running then, in milliseconds since 1970; the host session that
-- provisioned it, if that session gives back what it took; and whether a person said that it stays all the same.
ALTER TABLE projects ADD COLUMN expires_at INTEGER;
ALTER TABLE projects ADD COLUMN session TEXT;
ALTER TABLE projects ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;

CREATE INDEX leased_projects ON projects (expires_at) WHERE expires_at IS NOT NULL AND status NOT IN ('failed', 'torn_down');
