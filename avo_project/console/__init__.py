"""The operator console: live pages, actions, history, health strip and explanations of all four roles."""
