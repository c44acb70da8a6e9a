-- held_rights(tables, rights) -> any number of rows
-- Which of these rights the role we are connected as has; a table that is not there gives none.
SELECT asked.table_name, asked.right_name
FROM unnest($1::text[], $2::text[]) AS asked (table_name, right_name)
WHERE to_regclass(asked.table_name) IS NOT NULL
    AND has_any_column_privilege(to_regclass(asked.table_name), asked.right_name)
ORDER BY asked.table_name, asked.right_name
