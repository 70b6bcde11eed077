"""The role `send`: claims announced executions, posts them and records what came of it."""
