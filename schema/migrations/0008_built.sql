-- The number of the building of each partition in Redis that was ordered last: an older Redis put back is known by it.

-- migrate:up
ALTER TABLE recording ADD COLUMN built bigint NOT NULL DEFAULT 0;

-- migrate:down
ALTER TABLE recording DROP COLUMN built;
