"""Benches of real processes on servers of their own. They report; they do not judge."""
