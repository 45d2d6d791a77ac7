/** Columns that are younger than the tables of objects which exist already. */

/** Adds a column, given as in CREATE TABLE, where the table lacks it. */
export function addColumn(sql: SqlStorage, table: string, column: string): void {
  const [name] = column.split(' ');
  if (sql.exec('SELECT 1 FROM pragma_table_info(?) WHERE name = ?', table, name).toArray().length === 0) {
    sql.exec(`ALTER TABLE ${table} ADD COLUMN ${column}`);
  }
}
