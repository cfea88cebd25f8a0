//! What is asked of the system's own tables: columns, keys, open transactions, rights.

/// The database that is meant: the one named by a parameter, or the address's own.
pub(super) const SCHEMA: &str = "COALESCE(CONVERT(? USING utf8), DATABASE())";
pub(super) const COLUMNS: &str = "\
SELECT c.TABLE_SCHEMA, c.TABLE_NAME, t.TABLE_TYPE = 'VIEW', COALESCE(e.TRANSACTIONS, 'YES') <> 'YES', c.COLUMN_NAME, \
  c.DATA_TYPE, c.COLUMN_TYPE, c.IS_NULLABLE = 'NO', COALESCE(c.GENERATION_EXPRESSION, '') <> '', c.CHARACTER_SET_NAME, \
  c.COLLATION_NAME \
FROM information_schema.COLUMNS c JOIN information_schema.TABLES t \
    ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME AND t.TABLE_TYPE <> 'SEQUENCE' \
  LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE WHERE c.TABLE_SCHEMA = ";
/// Unique indexes, column by column, the primary key first; and whether a null or a mere prefix makes one useless as a key.
pub(super) const KEYS: &str = "\
SELECT c.TABLE_NAME, c.INDEX_NAME, c.COLUMN_NAME, c.COLUMN_NAME IS NULL OR c.SUB_PART IS NOT NULL OR c.NULLABLE = 'YES' \
FROM information_schema.STATISTICS c WHERE c.NON_UNIQUE = 0 AND c.TABLE_SCHEMA = ";
/// The time, and for how many seconds the oldest transaction and the oldest running statement have been there.
pub(super) const OPEN: &str = "\
SELECT CAST(UTC_TIMESTAMP(6) AS CHAR), \
  (SELECT MAX(TIMESTAMPDIFF(SECOND, trx_started, NOW())) + 1 FROM information_schema.INNODB_TRX), \
  (SELECT MAX(TIME) + 1 FROM information_schema.PROCESSLIST WHERE COMMAND IN ('Query', 'Execute') AND ID <> CONNECTION_ID())";
/// What the login may do: with columns, with tables, with the database and with the server.
pub(super) const RIGHTS: &str = "\
SELECT TABLE_NAME, COLUMN_NAME, PRIVILEGES FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {schema} \
UNION ALL SELECT TABLE_NAME, NULL, PRIVILEGE_TYPE FROM information_schema.TABLE_PRIVILEGES WHERE TABLE_SCHEMA = {schema} AND {mine} \
UNION ALL SELECT '', NULL, PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES WHERE {schema} LIKE TABLE_SCHEMA AND {mine} \
UNION ALL SELECT '', NULL, PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE {mine}";
pub(super) const MINE: &str = "GRANTEE = CONCAT('''', LEFT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER()) - \
  CHAR_LENGTH(SUBSTRING_INDEX(CURRENT_USER(), '@', -1)) - 1), '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')";
