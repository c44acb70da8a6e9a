-- migrate:up

-- Where exams are sat: what rosters name in words, as a resource of its own. Nothing refers to it.
CREATE TABLE site (
    site_id text PRIMARY KEY,
    name text NOT NULL CONSTRAINT site_name_is_unique UNIQUE,
    address text NOT NULL,
    tier integer,
    pushed_ms bigint NOT NULL
);
CREATE TABLE room (
    site_id text NOT NULL REFERENCES site ON DELETE CASCADE,
    number smallint NOT NULL,
    name text NOT NULL,
    machines integer NOT NULL CONSTRAINT room_has_machines CHECK (machines > 0),
    spares integer NOT NULL CONSTRAINT spares_are_counted CHECK (spares >= 0),
    layout_rows integer,
    layout_columns integer,
    numbering text,
    CONSTRAINT layout_has_room_for_all_machines CHECK (layout_rows * layout_columns >= machines),
    CONSTRAINT layout_is_whole CHECK (num_nulls(layout_rows, layout_columns, numbering) IN (0, 3)),
    PRIMARY KEY (site_id, name)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON site, room TO liankao_engine;

-- What of a sitting's place the engine chose, so that pushing the same roster again does not take it away.
ALTER TABLE sitting ADD assigned text NOT NULL DEFAULT ''
    CONSTRAINT assigned_is_known CHECK (assigned IN ('', 'seat', 'room_and_seat'));
GRANT UPDATE (assigned) ON sitting TO liankao_engine;

-- migrate:down
REVOKE UPDATE (assigned) ON sitting FROM liankao_engine;
ALTER TABLE sitting DROP assigned;
DROP TABLE room;
DROP TABLE site;
