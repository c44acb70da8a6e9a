-- seats_of(batch_id, sites, rooms) -> any number of rows
-- Who sits where with which paper; null for all rooms.
SELECT sitting_id, site, room, seat, state, form FROM sitting
WHERE batch_id = $1 AND ($2::text[] IS NULL OR (site, room) IN (SELECT * FROM unnest($2::text[], $3::text[])))
ORDER BY sitting_id

-- layouts_at(sites) -> any number of rows
-- How machines stand, of the rooms of these sites of which that is known.
SELECT site.name AS site, room.name AS room, layout_rows, layout_columns, numbering
FROM room JOIN site USING (site_id) WHERE site.name = ANY ($1::text[]) AND layout_rows IS NOT NULL

-- put_forms(sitting_ids, forms) -> none
-- Not of who has entered meanwhile.
UPDATE sitting SET form = given.form
FROM unnest($1::text[], $2::smallint[]) AS given (sitting_id, form)
WHERE sitting.sitting_id = given.sitting_id AND sitting.state = 'expected'
