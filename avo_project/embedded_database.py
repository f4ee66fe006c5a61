"""A fresh database gets its tables from whoever connects first, so that each command works alone in a fresh clone.

The SQLite file of the data folder is also brought up to date after an upgrade. PostgreSQL (DATABASE_URL) gets its
tables while it has none; from then on its operator migrates it, as always, and ``/readyz`` says when that is due.
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


_POSTGRESQL_LOCK = 0x41564F  # any number that no other program on that database uses


def migrate_on_first_connection(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Receiver of ``connection_created``."""
    database = settings.DATA_DIR / "db.sqlite3"
    if connection.vendor == "sqlite" and connection.settings_dict["NAME"] in (database, str(database)):
        _bring_up_to_date(connection, database)
    if connection.vendor == "postgresql" and connection.alias == DEFAULT_DB_ALIAS and _is_empty(connection):
        _fill(connection)


def limit_lock_waits(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Receiver of ``connection_created`` where requests are served. By a statement: poolers refuse the start option."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {round(settings.LOCK_WAIT_SECONDS * 1000)}")


def _is_empty(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('django_migrations') IS NULL")
        return bool(cursor.fetchone()[0])


def _fill(connection: BaseDatabaseWrapper) -> None:
    """In one transaction: whoever connects meanwhile sees no table and waits for the lock, or sees all of them."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_POSTGRESQL_LOCK])
        if _is_empty(connection):
            logger.info("making the tables of an empty PostgreSQL database")
            call_command("migrate", interactive=False, verbosity=0)


def _bring_up_to_date(connection: BaseDatabaseWrapper, database: Path) -> None:
    """The schema's stamp is SQLite's ``user_version``: a cheap look."""
    wanted = _schema_stamp()
    if _stamp_of(connection) == wanted:
        return
    with (settings.DATA_DIR / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _stamp_of(connection) != wanted:
            logger.info("bringing %s up to date", database)
            call_command("migrate", interactive=False, verbosity=0)
            with connection.cursor() as cursor:
                cursor.execute(f"PRAGMA user_version = {wanted}")


def _stamp_of(connection: BaseDatabaseWrapper) -> int:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA user_version")
        return int(cursor.fetchone()[0])


def _schema_stamp() -> int:
    """A positive 31-bit number that changes whenever a migration is added or renamed in any app."""
    folders = sorted(Path(config.path, "migrations") for config in apps.get_app_configs())
    names = [f"{folder.parent.name}/{file.name}" for folder in folders for file in sorted(folder.glob("[0-9]*.py"))]
    return zlib.crc32("\n".join(names).encode()) & 0x7FFFFFFF or 1
