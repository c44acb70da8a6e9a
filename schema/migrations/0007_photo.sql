-- migrate:up

-- Pictures of candidates taken before the paper, every one that arrived: what was taken again replaces nothing here.
CREATE TABLE photo (
    sitting_id text NOT NULL,
    number smallint NOT NULL CONSTRAINT photos_of_a_sitting_are_few CHECK (number BETWEEN 1 AND 8),
    batch_id text NOT NULL,
    digest text NOT NULL,
    jpeg bytea NOT NULL CONSTRAINT photo_is_small CHECK (octet_length(jpeg) BETWEEN 1 AND 40960),
    taken_ms bigint NOT NULL,
    PRIMARY KEY (sitting_id, number),
    CONSTRAINT photo_is_stored_once UNIQUE (sitting_id, digest)
);
ALTER TABLE photo ALTER jpeg SET STORAGE EXTERNAL; -- it is compressed already
CREATE INDEX photo_by_time ON photo (taken_ms);

-- What proctors said of them, and who was let in without one; append-only, the newest of a photo holds.
CREATE TABLE photo_act (
    act_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sitting_id text NOT NULL,
    photo_number smallint NOT NULL, -- what the proctor looked at; 0 where there was none
    act text NOT NULL CONSTRAINT photo_act_is_known CHECK (act IN ('accepted', 'refused', 'waived')),
    proctor text NOT NULL,
    reason text,
    acted_ms bigint NOT NULL,
    CONSTRAINT act_has_a_photo_or_is_a_waiver CHECK (photo_number > 0 OR act = 'waived')
);
CREATE INDEX photo_act_by_sitting ON photo_act (sitting_id, act_number);

-- Nobody changes or deletes evidence; recorder and grader have nothing to do with faces.
GRANT SELECT, INSERT ON photo, photo_act TO liankao_engine;

-- migrate:down
DROP TABLE photo_act;
DROP TABLE photo;
