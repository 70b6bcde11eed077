"""The scheduler on a virtual clock, with seeded faults, held against what tasks owe. `run.py` says how."""
