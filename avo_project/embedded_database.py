"""Automatic migration of a new database on the first connection, so that every command works in a fresh clone.

The SQLite file of the data folder is also migrated after an upgrade. An empty PostgreSQL database (DATABASE_URL) gets
its tables once; later migrations are up to its operator, and ``/readyz`` reports missing ones.
"""

import fcntl
import logging
import zlib
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)


_POSTGRESQL_LOCK = 0x41564F  # an arbitrary number that no other program on the database uses


def migrate_on_first_connection(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Receiver of ``connection_created``."""
    database = settings.DATA_DIR / "db.sqlite3"
    if connection.vendor == "sqlite" and connection.settings_dict["NAME"] in (database, str(database)):
        _migrate(connection, database)
    if connection.vendor == "postgresql" and connection.alias == DEFAULT_DB_ALIAS and _is_empty(connection):
        _create_tables(connection)


def limit_lock_waits(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Receiver of ``connection_created`` in web processes. A statement, because poolers reject the startup option."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {round(settings.LOCK_WAIT_SECONDS * 1000)}")


def _is_empty(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('django_migrations') IS NULL")
        return bool(cursor.fetchone()[0])


def _create_tables(connection: BaseDatabaseWrapper) -> None:
    """Creates the tables in one transaction, so that other connections see none of them, and wait, or all."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_POSTGRESQL_LOCK])
        if _is_empty(connection):
            logger.info("creating the tables of an empty PostgreSQL database")
            call_command("migrate", interactive=False, verbosity=0)


def _migrate(connection: BaseDatabaseWrapper, database: Path) -> None:
    """Migrates when the schema version in SQLite's ``user_version``, which is cheap to read, has changed."""
    wanted = _schema_version()
    if _version_of(connection) == wanted:
        return
    with (settings.DATA_DIR / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _version_of(connection) != wanted:
            logger.info("migrating %s", database)
            call_command("migrate", interactive=False, verbosity=0)
            with connection.cursor() as cursor:
                cursor.execute(f"PRAGMA user_version = {wanted}")


def _version_of(connection: BaseDatabaseWrapper) -> int:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA user_version")
        return int(cursor.fetchone()[0])


def _schema_version() -> int:
    """A positive 31-bit number that changes whenever a migration is added or renamed in any app."""
    folders = sorted(Path(config.path, "migrations") for config in apps.get_app_configs())
    names = [f"{folder.parent.name}/{file.name}" for folder in folders for file in sorted(folder.glob("[0-9]*.py"))]
    return zlib.crc32("\n".join(names).encode()) & 0x7FFFFFFF or 1
