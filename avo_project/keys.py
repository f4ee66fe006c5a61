"""Redis keys of the project itself, each in the Redis of the role that it belongs to."""


def history(role: str, step_seconds: int) -> str:
    """Stream: one sample of the role's figures a step, entry id ``<start of the step, Unix ms>-1``, fields name ->
    decimal. 24 h of steps of 10 s, 30 days of steps of 600 s, cut exactly at each entry."""
    return f"avo:{{history}}:{role}:{step_seconds}"


ACL = ("avo:{history}:*", "evalsha time xadd xrange xrevrange")
"""The keys and commands that the Redis user of every role needs for them."""
