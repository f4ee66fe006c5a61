"""The operator console: system status, live pages, charts, audited actions and explanations of all roles."""
