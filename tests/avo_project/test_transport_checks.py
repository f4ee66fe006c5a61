"""``check --deploy`` on the URLs of other servers, as settings.py reads them."""

import json
from pathlib import Path
from typing import Any

import pytest

from avo_project import checks
from avo_project.environment import Environment

CASES = json.loads((Path(__file__).parent / "data" / "transport_urls.json").read_text())


@pytest.mark.parametrize(("variable", "url", "expected"), CASES, ids=lambda value: str(value))
def test_each_url(
    variable: str, url: str, expected: str | None, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, url)
    environment = Environment()
    if variable == "EMAIL_URL":
        for name, value in environment.mail(default=tmp_path / "mail").items():
            setattr(settings, name, value)
    elif variable == "DATABASE_URL":
        monkeypatch.setitem(settings.DATABASES, "default", environment.database(default=tmp_path / "db.sqlite3"))
    elif variable == "PUBLIC_URL":
        settings.OUTREACH = {**settings.OUTREACH, "PUBLIC_URL": url}
    elif variable == "SIGNALS_ALERT_URL":
        settings.SIGNALS = {**settings.SIGNALS, "ALERT_URL": url}
    else:
        settings.THROTTLING = {**settings.THROTTLING, variable: environment.http_url(variable)}
    found = [
        *checks.token_keys_come_by_https(None),
        *checks.secrets_are_encrypted_on_their_way(None),
    ]
    assert [message.id for message in found] == [expected] * (expected is not None)
    assert "sesame" not in repr(found)
    assert all(message.hint and message.hint.endswith(".") for message in found)
