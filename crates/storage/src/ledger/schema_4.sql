-- `expires_at`: when a running process tears the project down, in milliseconds since 1970. `session`: the host session
-- that provisioned it, if the session tears its projects down. `kept`: whether the user exempted it from that.
ALTER TABLE projects ADD COLUMN expires_at INTEGER;
ALTER TABLE projects ADD COLUMN session TEXT;
ALTER TABLE projects ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;

CREATE INDEX leased_projects ON projects (expires_at) WHERE expires_at IS NOT NULL AND status NOT IN ('failed', 'torn_down');
