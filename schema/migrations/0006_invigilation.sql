-- migrate:up

-- What happened in a room beside the answers: a candidate's page left and looked at again, acts of proctors. Append-only.
CREATE TABLE room_event (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id text NOT NULL,
    sitting_id text NOT NULL,
    event_id text NOT NULL,
    kind text NOT NULL,
    at_ms bigint NOT NULL,
    recorded_ms bigint NOT NULL,
    away_ms bigint,
    proctor text,
    reason text,
    key_id text,
    CONSTRAINT room_event_is_recorded_once UNIQUE (sitting_id, event_id)
);
CREATE INDEX room_event_by_batch ON room_event (batch_id, number);
-- A room's seats are looked up again and again, also in a batch of tens of thousands.
CREATE INDEX sitting_by_room ON sitting (batch_id, site, room);

GRANT SELECT, INSERT ON room_event TO liankao_engine;

-- migrate:down
DROP INDEX sitting_by_room;
DROP TABLE room_event;
