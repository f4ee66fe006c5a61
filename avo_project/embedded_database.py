"""The SQLite file of the data folder brings its own tables, so that any command works in a fresh clone.

Another database (DATABASE_URL) is migrated by its operator, as always.
"""

import fcntl
import logging
import zlib
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)


def migrate_on_first_connection(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Receiver of ``connection_created``. The schema's stamp is SQLite's ``user_version``: a cheap look."""
    database = settings.DATA_DIR / "db.sqlite3"
    if connection.vendor != "sqlite" or connection.settings_dict["NAME"] not in (database, str(database)):
        return
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
