"""``ozzo bench``: the optimiser beside plain HiGHS and CP-SAT on the same instances, every solver in a process of its own.

``run`` decides what is run and judges it, ``process`` runs a child and watches it, ``child`` is that process, ``cpsat`` the
rival in whole numbers, ``rows`` the results as a table and as JSON, ``curve`` the growth of cost with the number of jobs.
"""
