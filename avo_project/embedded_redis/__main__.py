"""``python -m avo_project.embedded_redis status|stop DATA_DIR``."""

import sys

from avo_project.embedded_redis.server import main
from avo_project.runtime.closed_pipe import exit_on_closed_pipe

if __name__ == "__main__":
    with exit_on_closed_pipe():
        sys.exit(main())
