-- seats_of(batch_id, sites, rooms) -> any number of rows
-- Who sits where with which paper; null for all rooms.
SELECT sitting_id, site, room, seat, state, form FROM sitting
WHERE batch_id = $1 AND ($2::text[] IS NULL OR (site, room) IN (SELECT * FROM unnest($2::text[], $3::text[])))
ORDER BY sitting_id

-- put_forms(sitting_ids, forms) -> none
-- Not of who has entered meanwhile.
UPDATE sitting SET form = given.form
FROM unnest($1::text[], $2::smallint[]) AS given (sitting_id, form)
WHERE sitting.sitting_id = given.sitting_id AND sitting.state = 'expected'
