"""Tocsin's REST API: people manage tasks here and read the logs of their attempts."""
