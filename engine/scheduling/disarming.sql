-- sittings_of(batch_id) -> any number of rows
-- Everybody on the roster, and whether they had come.
SELECT sitting_id, candidate_id, state FROM sitting WHERE batch_id = $1 ORDER BY sitting_id

-- undo_arming(batch_id, disarmed_ms, armed_ids, old_ids, new_ids, new_partitions) -> one row
-- What only the tables' owner may: destroy seals and keys, and give every sitting another id. The sealed digests.
SELECT undo_arming($1, $2, $3::text[], $4::text[], $5::text[], $6::smallint[])
