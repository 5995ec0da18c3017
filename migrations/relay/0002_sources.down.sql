-- An earlier version counts every member.
ALTER TABLE relay.members DROP COLUMN sources;
