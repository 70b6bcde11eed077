"""The fault matrix: real faults, done to all of Tocsin under load, and what becomes of it.

`rows/` holds the faults, a module for each part that is hit; `rows/__init__.py` lists them. `fault` says what a
row is. `run` lets one happen on a `scene`: servers, processes (`parts`), `lines` between them, the `load`.
`recovery` says when all is well again. Then it is judged: `verdict` I1 to I3, by what was `owed`, `attempts` and
`cases`; `secrecy` I4, in what `evidence`, its `firehose` and its `watch` have kept; `notes` I5. The `book` keeps
`results`, of which `table` is made.
A `soak` lets the rows' faults happen by chance, as `blows`, and is judged as a row is: `soak_results`.
"""
