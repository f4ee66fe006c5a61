#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from django.core.management import execute_from_command_line

from avo_project.runtime.closed_pipe import exit_on_closed_pipe

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avo_project.settings")
    with exit_on_closed_pipe():
        execute_from_command_line(sys.argv)
