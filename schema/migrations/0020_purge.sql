-- migrate:up

-- Batches that were erased when their time had come: what is left of them.
CREATE TABLE purge (
    batch_id text NOT NULL,
    purged_ms bigint NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (batch_id, purged_ms)
);

-- migrate:down
DROP TABLE purge;
