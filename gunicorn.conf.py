"""gunicorn reads this by itself: the settings of the web processes."""

import json
import os
import shutil
import tempfile
from http import HTTPStatus

from gunicorn import util
from gunicorn.http import message

bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.setdefault("WEB_CONCURRENCY", "2"))
preload_app = True
graceful_timeout = 5
keepalive = 5
max_requests = 100_000
max_requests_jitter = 10_000
limit_request_line = message.MAX_REQUEST_LINE = 40_960  # 500 symbols in a query; its own bound of 8,190 is no setting
limit_request_field_size = 131_072  # a token of any length gets the 401 that other bad tokens get
limit_request_fields = 64
accesslog = None
control_socket_disable = True  # it would lie in the home folder

# The workers' counters meet here, so that /metrics shows their sum whichever worker answers. prometheus_client
# looks for the variable when it is first imported, so nothing before this line may import it.
_counters = tempfile.mkdtemp(prefix="avo-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _counters


def write_problem(sock, status, reason, message):
    """What gunicorn refuses by itself (a request that is malformed or too long) is a problem document too."""
    title = reason or HTTPStatus(status).phrase
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": f"{title}."}).encode()
    head = f"HTTP/1.1 {status} {title}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
    util.write_nonblock(sock, head.encode("latin1") + b"Content-Length: %d\r\n\r\n" % len(body) + body)


util.write_error = write_problem  # gunicorn has no hook for it


def child_exit(server, worker):
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    shutil.rmtree(_counters, ignore_errors=True)
