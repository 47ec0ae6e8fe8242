"""Which tables the vault's database has, and since when: rows of ids and ciphertext."""

VERSION = 2
SCHEMA = (
    "CREATE TABLE head (place INTEGER PRIMARY KEY CHECK (place = 0), sealed BLOB NOT NULL) STRICT",
    "CREATE TABLE person (person BLOB PRIMARY KEY, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE template (person BLOB NOT NULL REFERENCES person, template BLOB NOT NULL, "
    "trunk BLOB NOT NULL, dim INTEGER NOT NULL, row INTEGER NOT NULL, sealed BLOB NOT NULL, "
    "PRIMARY KEY (person, template)) STRICT, WITHOUT ROWID",
    "CREATE TABLE tombstone (epoch INTEGER NOT NULL, digest BLOB NOT NULL, "
    "PRIMARY KEY (epoch, digest)) STRICT, WITHOUT ROWID",
    "CREATE TABLE labels (person BLOB NOT NULL, template BLOB NOT NULL, sealed BLOB NOT NULL, "
    "PRIMARY KEY (person, template), FOREIGN KEY (person, template) REFERENCES template) "
    "STRICT, WITHOUT ROWID",
)
COLUMNS = {
    "person": ("person", "sealed"),
    "template": ("person", "template", "trunk", "dim", "row", "sealed"),
    "tombstone": ("epoch", "digest"),
    "labels": ("person", "template", "sealed"),
}
SINCE = {"labels": 2}  # the version in which a table came; the others were always there
KEYS = {"person": 1, "template": 2, "tombstone": 2, "labels": 2}  # columns of the primary key
IDS = {"person": 1, "template": 2, "labels": 2}  # of them, so many name somebody


def statement(table: str) -> str:
    """What makes ``table``."""
    return next(line for line in SCHEMA if line.startswith(f"CREATE TABLE {table} "))
