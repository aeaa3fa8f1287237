"""Experiments: a sweep over scenarios, policies, parameters and seeds, carried out by many processes, and what it tells.

A sweep file (``sweep_file``) names the runs (``design``); each run plans a scenario and carries the plan out in one simulated
world (``one_run``), in a pool of processes (``pool``, ``worker``) or on a Dask cluster (``dask_engine``). Every finished run is
a file at once (``store``), so a sweep that was killed goes on where it was (``sweep``). ``stats`` holds the statistics and
``analysis`` applies them to a sweep's table.
"""
