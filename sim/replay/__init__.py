"""Replay: any trace of jobs against any carbon intensity or price, under any policy, without a scenario document.

``signal`` integrates a step signal exactly, ``batch`` holds jobs, signals and the answer (intervals in which jobs run),
``waits`` says how long a job may wait, ``policies`` has one file a policy and a registry, ``kernels`` and ``kernels_capacity``
are compiled code, ``measure`` weighs an answer and proves the bounds of perfect foresight, ``run`` is the way in.
"""
