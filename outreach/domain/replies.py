"""Replies of servers by whose fault they are: what each class means for the touch and for its inbox."""

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass

from outreach.domain.reply_rules import HTTP, RULES, ReplyClass, Stage
from outreach.domain.reservation import HoldReason, Kind, Outcome

# RFC 2034, 4: an enhanced code starts the text of a reply line; elsewhere it is ordinary text. Cisco writes "#5.1.0".
_ENHANCED = re.compile(r"(?:^#?|\(#)[245]\.(\d{1,3}\.\d{1,3})\b", re.MULTILINE)  # qmail writes (#5.7.1)
_ADDRESSES = re.compile(r"\S+@\S+|https?://\S+")
_NAMED_TIME = re.compile(r"(?:again|retry|wait|list\w*).{0,20}?\b(\d{1,5}) ?(s\b|sec|min|h\b|hour)")
_LONGEST_SECONDS = 86_400.0
_TRY_AGAIN = frozenset({408, 409, 425, 429})
_UNIT_SECONDS = {"s": 1, "sec": 1, "min": 60, "h": 3600, "hour": 3600}


@dataclass(frozen=True, slots=True)
class Action:
    """The outcome of a permanent and of a temporary refusal. ``hold``: why the lane is then held, by permanent and
    temporary refusals; ``counts``: whether several refusals in a row hold the lane."""

    permanent: Kind
    temporary: Kind
    hold: tuple[HoldReason, HoldReason] | None = None
    counts: bool = False


ACTIONS: Mapping[ReplyClass, Action] = {
    ReplyClass.RECIPIENT_GONE: Action("suppress", "retry"),
    ReplyClass.MAILBOX_FULL: Action("retry", "retry"),
    ReplyClass.CONTENT: Action("give_up", "retry"),
    ReplyClass.RECIPIENT_POLICY: Action("give_up", "retry"),
    ReplyClass.SENDER_QUOTA: Action("hold", "hold", hold=("quota", "throttle")),
    ReplyClass.SENDER_REPUTATION: Action("pause", "hold", hold=("reputation", "reputation")),
    ReplyClass.SERVER: Action("retry", "retry", hold=("server", "server"), counts=True),
    ReplyClass.GREYLIST: Action("retry", "retry"),
    ReplyClass.LOGIN: Action("pause", "pause"),
    ReplyClass.CONFIGURATION: Action("pause", "pause"),
}


def classify_reply(stage: Stage, code: int, text: str) -> ReplyClass:
    """The class of a refusal: that of the first rule which applies."""
    enhanced = _ENHANCED.search(text)
    words = _ADDRESSES.sub(" ", " ".join(_ENHANCED.sub("", text).split())).casefold()
    subject = enhanced[1] if enhanced else ""
    return next(rule.reply_class for rule in RULES if rule.applies(stage, str(code), subject, words))


def refusal(stage: Stage, code: int, text: str, detail: str, retry_after_seconds: float | None = None) -> Outcome:
    """The outcome of a refusal with ``text`` at ``stage``. ``retry_after_seconds``: when the server said so; otherwise
    a time that the text names."""
    reply_class = classify_reply(stage, code, text)
    action = ACTIONS[reply_class]
    is_permanent = _is_permanent(stage, code)
    kind = action.permanent if is_permanent else action.temporary
    if retry_after_seconds and reply_class is ReplyClass.SERVER:  # the server as a whole, not one touch
        kind = "hold"
    return Outcome(
        kind,
        code,
        detail,
        retry_after_seconds=_named_seconds(text) if retry_after_seconds is None else retry_after_seconds,
        is_inbox_failure=kind == "retry" and action.counts,
        reply_class=reply_class,
        hold=action.hold[0 if is_permanent else 1] if kind == "hold" and action.hold else None,
    )


def no_answer(what: str, *, handed_over: bool) -> Outcome:
    """The outcome without a valid reply; ``handed_over``: whether the message may have reached the server."""
    if handed_over:
        return Outcome("unknown", detail=f"no answer after the message was handed over: {what}")
    detail = f"no answer before the message was handed over: {what}"
    return Outcome("retry", detail=detail, is_inbox_failure=True, reply_class=ReplyClass.SERVER)


def misconfigured(what: str, reply_class: ReplyClass = ReplyClass.CONFIGURATION) -> Outcome:
    """The outcome of a fault that an operator must fix before anything can be sent."""
    return Outcome("pause", detail=what, reply_class=reply_class)


def retry_after_seconds(value: str, now: float) -> float | None:
    """Seconds from a Retry-After header (RFC 9110, 10.2.3: a number or a date) at ``now`` (Unix seconds), at most a
    day; None when it is unreadable."""
    try:
        if value.isascii() and value.isdigit():
            return min(float(value), _LONGEST_SECONDS)
        seconds = email.utils.parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), _LONGEST_SECONDS)


def _is_permanent(stage: Stage, code: int) -> bool:
    return code < 500 and code not in _TRY_AGAIN if stage in HTTP else code >= 500


def _named_seconds(text: str) -> float | None:
    found = _NAMED_TIME.search(text.casefold())
    return None if found is None else min(float(found[1]) * _UNIT_SECONDS[found[2]], _LONGEST_SECONDS)
