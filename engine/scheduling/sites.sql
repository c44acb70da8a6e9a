-- lock_site(site_id) -> at most one row
-- One site, held against other pushes of it and against seatings until the transaction ends.
SELECT * FROM site WHERE site_id = $1 FOR NO KEY UPDATE

-- site_named(name, site_id) -> at most one row
-- Another site with this name.
SELECT site_id FROM site WHERE name = $1 AND site_id <> $2

-- put_site(site_id, name, address, tier, pushed_ms) -> none
-- A new site, or its new version.
INSERT INTO site (site_id, name, address, tier, pushed_ms) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (site_id) DO UPDATE SET
    name = excluded.name, address = excluded.address, tier = excluded.tier, pushed_ms = excluded.pushed_ms

-- remove_rooms(site_id) -> none
-- All rooms of a site, before its new ones are put.
DELETE FROM room WHERE site_id = $1

-- put_rooms(site_id, numbers, names, machines, spares, layout_rows, layout_columns, numberings) -> none
-- The rooms of a site in their order.
INSERT INTO room (site_id, number, name, machines, spares, layout_rows, layout_columns, numbering)
SELECT $1, number, name, machines, spares, layout_rows, layout_columns, numbering
FROM unnest($2::smallint[], $3::text[], $4::int[], $5::int[], $6::int[], $7::int[], $8::text[])
    AS pushed (number, name, machines, spares, layout_rows, layout_columns, numbering)

-- find_site(site_id) -> at most one row
-- One site as it was pushed.
SELECT * FROM site WHERE site_id = $1

-- sites_after(after, sites_max) -> up to sites_max rows
-- A page of sites in the order of their ids.
SELECT * FROM site WHERE site_id > $1 ORDER BY site_id LIMIT $2

-- lock_sites(names, site_ids) -> any number of rows
-- Sites by the names that rosters write, or by id; held, so that two batches are not given one machine.
SELECT * FROM site WHERE name = ANY ($1::text[]) OR site_id = ANY ($2::text[]) ORDER BY site_id FOR NO KEY UPDATE

-- rooms_of(site_ids) -> any number of rows
-- Their rooms, in the order in which they were pushed.
SELECT * FROM room WHERE site_id = ANY ($1::text[]) ORDER BY site_id, number

-- remove_site(site_id) -> at most one row
-- A site and its rooms; rosters that name it stay as they are.
DELETE FROM site WHERE site_id = $1 RETURNING site_id
