"""Tocsin's dispatcher: `scheduler` emits what is due, `sender` posts it."""
