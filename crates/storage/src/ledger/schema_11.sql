-- How often each project was rotated in the last hour is asked before every rotation by an agent.
CREATE INDEX rotations ON audit (project, at) WHERE action = 'rotate' AND outcome = 'intended';
