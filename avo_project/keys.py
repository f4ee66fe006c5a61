"""Redis keys of the project itself, each in the Redis of the role that it belongs to."""


def history(role: str, step_seconds: int) -> str:
    """Stream: one sample of the role's figures a step, entry id ``<start of the step, Unix ms>-1``, fields name ->
    decimal. 24 h of steps of 10 s, 30 days of steps of 600 s, cut exactly at each entry."""
    return f"avo:{{history}}:{role}:{step_seconds}"


PROBES = {
    "default": "avo:{macro}:probe",
    "regime": "avo:{regime}:probe",
    "signals": "{signals:live}:probe",
    "outreach": "{outreach}:probe",
    "throttling": "throttle:probe",
}
"""By alias, string, TTL one second: written by ``GET /readyz`` where the role's own keys are."""

ACL = ("avo:{history}:*", "evalsha time xadd xrange xrevrange")
"""The keys and commands that the Redis user of every role needs for them."""
