"""The project's settings with the bench's own routes beside the project's."""

from avo_project.settings import *  # noqa: F403

ROOT_URLCONF = "bench_routes"
