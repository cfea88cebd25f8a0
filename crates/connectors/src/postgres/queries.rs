//! What is asked of the system's own tables: columns, keys, open transactions, rights.

/// Columns of tables and views that the login may read or write.
pub(super) const COLUMNS: &str = "\
SELECT c.relname, (c.relkind IN ('v', 'm'))::text, a.attname, format_type(a.atttypid, a.atttypmod), \
  CASE WHEN b.typtype = 'e' THEN 'enum' WHEN b.typnamespace = 'pg_catalog'::regnamespace THEN b.typname ELSE '' END, \
  a.attnotnull::text, (a.attgenerated <> '' OR a.attidentity = 'a')::text, \
  (a.atttypmod <> -1 OR t.typtype = 'd')::text, coalesce(l.collisdeterministic, true)::text, \
  (SELECT string_agg(e.enumlabel, chr(31) ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = b.oid) \
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
  JOIN pg_type t ON t.oid = a.atttypid \
  JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END \
  LEFT JOIN pg_collation l ON l.oid = a.attcollation \
WHERE n.nspname = $1 AND ($2::text IS NULL OR c.relname = $2) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
  AND a.attnum > 0 AND NOT a.attisdropped \
  AND (has_column_privilege(c.oid, a.attnum, 'SELECT') OR has_column_privilege(c.oid, a.attnum, 'UPDATE')) \
ORDER BY c.relname, a.attnum";

/// Unique keys without nulls, column by column, the primary key first.
pub(super) const KEYS: &str = "\
SELECT c.relname, i.indexrelid::text, a.attname \
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place) \
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum \
WHERE n.nspname = $1 AND ($2::text IS NULL OR c.relname = $2) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL \
  AND i.indexprs IS NULL AND k.place <= i.indnkeyatts \
  AND NOT EXISTS (SELECT FROM pg_attribute x WHERE x.attrelid = c.oid AND x.attnum = ANY (i.indkey::int2[]) AND NOT x.attnotnull) \
ORDER BY c.relname, i.indisprimary DESC, i.indexrelid, k.place";

/// The server's time; since when the oldest transaction of this database is open; whether some are hidden; the oldest prepared one.
pub(super) const OPEN: &str = "\
SELECT clock_timestamp()::text, min(xact_start)::text, \
  coalesce(bool_or(backend_type IS NULL), false)::text, \
  (SELECT min(prepared)::text FROM pg_prepared_xacts WHERE database = current_database()) \
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// What the login may do: column by column, table by table, and with the database.
pub(super) const RIGHTS: &str = "\
SELECT c.relname, a.attname::text, r.verb FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
  CROSS JOIN (VALUES ('SELECT'), ('UPDATE'), ('INSERT')) AS r (verb) \
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_column_privilege(c.oid, a.attnum, r.verb) \
UNION ALL \
SELECT c.relname, NULL, r.verb FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
  CROSS JOIN (VALUES ('DELETE'), ('TRUNCATE')) AS r (verb) \
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(c.oid, r.verb) \
UNION ALL SELECT '', NULL, 'SUPERUSER' FROM pg_roles WHERE rolname = current_user AND rolsuper \
ORDER BY 1, 2, 3";
