from pathlib import Path

import pytest

from avo_project.embedded_redis.folder import ServerFolder


@pytest.fixture
def folder(tmp_path: Path) -> ServerFolder:
    """The data folder of an embedded server that has not started yet."""
    found = ServerFolder.of(tmp_path / "data")
    found.prepare()
    return found
