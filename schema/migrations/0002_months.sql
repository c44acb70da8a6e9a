-- migrate:up

-- Leases: each recorder says that it lives in a row of its own, and holds partitions by name.
CREATE TABLE recorder (
    owner text PRIMARY KEY,
    alive_until timestamptz NOT NULL
);
UPDATE recording SET leased_by = '';
ALTER TABLE recording DROP COLUMN leased_until;

-- The tables that only grow, by month (UTC). The months themselves are made ahead by a recorder; what finds none lies
-- in the default partition. Rows there are now go into their months: this copies them, and takes their space twice.
ALTER TABLE response_history RENAME TO response_history_before;
ALTER TABLE response_history_before
    ALTER sitting_id DROP NOT NULL,
    ALTER item DROP NOT NULL,
    ALTER seq DROP NOT NULL,
    ALTER value DROP NOT NULL,
    ALTER saved_ms DROP NOT NULL,
    ALTER generation DROP NOT NULL,
    ALTER position DROP NOT NULL; -- their names are needed
ALTER INDEX response_history_by_sitting RENAME TO response_history_before_by_sitting;
CREATE TABLE response_history (
    sitting_id text NOT NULL,
    item text NOT NULL,
    seq bigint NOT NULL,
    value text NOT NULL,
    saved_ms bigint NOT NULL,
    generation bigint NOT NULL,
    position bigint NOT NULL
) PARTITION BY RANGE (saved_ms);
CREATE INDEX response_history_by_sitting ON response_history (sitting_id);
CREATE TABLE response_history_default PARTITION OF response_history DEFAULT;

ALTER TABLE sitting_event RENAME TO sitting_event_before;
ALTER TABLE sitting_event_before
    ALTER sitting_id DROP NOT NULL,
    ALTER kind DROP NOT NULL,
    ALTER at_ms DROP NOT NULL,
    ALTER epoch DROP NOT NULL,
    ALTER generation DROP NOT NULL,
    ALTER position DROP NOT NULL; -- their names are needed
ALTER INDEX sitting_event_by_sitting RENAME TO sitting_event_before_by_sitting;
CREATE TABLE sitting_event (
    sitting_id text NOT NULL,
    kind text NOT NULL,
    at_ms bigint NOT NULL,
    epoch bigint NOT NULL,
    generation bigint NOT NULL,
    position bigint NOT NULL
) PARTITION BY RANGE (at_ms);
CREATE INDEX sitting_event_by_sitting ON sitting_event (sitting_id);
CREATE TABLE sitting_event_default PARTITION OF sitting_event DEFAULT;

DO $$
DECLARE
    month timestamptz;
BEGIN
    FOR month IN
        SELECT DISTINCT date_trunc('month', to_timestamp(saved_ms / 1000), 'UTC')
        FROM response_history_before WHERE saved_ms BETWEEN 0 AND 253402300799000
    LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF response_history FOR VALUES FROM (%s) TO (%s)',
            'response_history_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM'),
            (extract(epoch FROM month) * 1000)::bigint,
            (extract(epoch FROM (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC') * 1000)::bigint
        );
    END LOOP;
    FOR month IN
        SELECT DISTINCT date_trunc('month', to_timestamp(at_ms / 1000), 'UTC')
        FROM sitting_event_before WHERE at_ms BETWEEN 0 AND 253402300799000
    LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF sitting_event FOR VALUES FROM (%s) TO (%s)',
            'sitting_event_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM'),
            (extract(epoch FROM month) * 1000)::bigint,
            (extract(epoch FROM (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC') * 1000)::bigint
        );
    END LOOP;
END
$$;
INSERT INTO response_history SELECT * FROM response_history_before;
DROP TABLE response_history_before;
INSERT INTO sitting_event SELECT * FROM sitting_event_before;
DROP TABLE sitting_event_before;

-- migrate:down
ALTER TABLE response_history RENAME TO response_history_by_month;
ALTER INDEX response_history_by_sitting RENAME TO response_history_by_month_by_sitting;
CREATE TABLE response_history (LIKE response_history_by_month);
INSERT INTO response_history SELECT * FROM response_history_by_month;
DROP TABLE response_history_by_month;
CREATE INDEX response_history_by_sitting ON response_history (sitting_id);

ALTER TABLE sitting_event RENAME TO sitting_event_by_month;
ALTER INDEX sitting_event_by_sitting RENAME TO sitting_event_by_month_by_sitting;
CREATE TABLE sitting_event (LIKE sitting_event_by_month);
INSERT INTO sitting_event SELECT * FROM sitting_event_by_month;
DROP TABLE sitting_event_by_month;
CREATE INDEX sitting_event_by_sitting ON sitting_event (sitting_id);

ALTER TABLE recording ADD COLUMN leased_until timestamptz NOT NULL DEFAULT '-infinity';
UPDATE recording SET leased_by = '';
DROP TABLE recorder;
