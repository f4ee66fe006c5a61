"""16 processes hammer one subject: the most they got in any rolling window, and how much of the limit they could use.

SECONDS (60) is how long.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> None:
    from tests.end_to_end.hammering import hammer
    from tests.end_to_end.throttled_web import OwnRedis

    with tempfile.TemporaryDirectory(prefix="avo-bench-") as folder:
        redis = OwnRedis(Path(folder))
        redis.start()
        try:
            done = hammer(redis.socket, float(os.environ.get("SECONDS", "60")))
        finally:
            redis.kill()
    print(f"{done} (target: never over the limit, >= 95 %)")
    print(f"{done.hits / done.seconds:,.0f} decisions a second by 16 processes")


if __name__ == "__main__":
    main()
