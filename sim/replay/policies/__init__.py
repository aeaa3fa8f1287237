"""Policies of the replay, one file each; ``registry`` knows them by name.

A policy is a frozen dataclass with a few words about itself (``base.Policy``) and ``runs(batch) -> Runs``: it sees all jobs and
the signals as arrays and answers with the intervals in which each job runs. What it may know is said by ``knows`` and kept by
the policy
itself: one that knows the past looks at the signal up to the moment of its decision only. How to add one: docs/researcher.md.
"""
