-- find_sittings(sitting_ids) -> one row per known sitting
-- Which of them PostgreSQL knows, those of undone armings included.
SELECT sitting_id FROM sitting WHERE sitting_id = ANY ($1::text[])
UNION ALL SELECT sitting_id FROM withdrawn_sitting WHERE sitting_id = ANY ($1::text[])
ORDER BY sitting_id
