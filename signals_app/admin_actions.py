"""What an operator may do to the live stream from its admin page."""

from django.http import HttpRequest

from avo_project.live_state_admin import LiveAction
from signals_app.conf import read_conf
from signals_app.stream import SignalStream


def _preview_trim(request: HttpRequest) -> str:
    stream, keep = SignalStream.connect(), read_conf().soft_cap
    return f"The stream holds {stream.length()} entries. It is trimmed to about {keep}; nothing unhandled goes."


def _trim(request: HttpRequest) -> str:
    return f"{SignalStream.connect().trim()} entries were trimmed."


ACTIONS = (LiveAction("trim", "Trim the stream", "trim_stream", _preview_trim, _trim),)
