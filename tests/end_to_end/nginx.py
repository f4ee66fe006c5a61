"""nginx in front of a web server, with only what a plain ``proxy_pass`` does."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.system import eventually, free_port

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 512; }}
http {{
	access_log off;
	client_body_temp_path {folder}/body;
	proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	server {{
		listen 127.0.0.1:{port};
		location / {{ proxy_pass http://127.0.0.1:{behind}; }}
	}}
}}
"""


@contextmanager
def nginx(folder: Path, behind: int) -> Iterator[int]:
    """Its port. Skips the test where there is no nginx, and fails it in CI."""
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        outcome = pytest.fail if os.environ.get("CI") else pytest.skip
        outcome("nginx is not on the PATH: apt-get install nginx-light")
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, behind=behind))
    process = subprocess.Popen([binary, "-p", str(folder), "-e", "stderr", "-c", str(configuration)])
    try:
        eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/livez"))
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)
