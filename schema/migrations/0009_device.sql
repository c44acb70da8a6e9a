-- migrate:up

-- The newest check of each machine in each device check.
CREATE TABLE device_check (
    site text NOT NULL,
    room text NOT NULL,
    seat text NOT NULL,
    batch_id text NOT NULL,
    checked_ms bigint NOT NULL,
    checks integer NOT NULL DEFAULT 1,
    verdict text NOT NULL CONSTRAINT device_verdict_is_known CHECK (verdict IN ('ok', 'weak', 'fail')),
    measured jsonb NOT NULL,
    findings jsonb NOT NULL,
    CONSTRAINT machine_is_kept_once_per_batch PRIMARY KEY (site, room, seat, batch_id)
);
GRANT SELECT, INSERT, UPDATE ON device_check TO liankao_engine;

-- migrate:down
DROP TABLE device_check;
