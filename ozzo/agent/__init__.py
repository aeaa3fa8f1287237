"""The program on a node; light imports only, because it runs on every node.

``python -m ozzo.agent --config FILE`` obeys one controller over MQTT: it keeps a journal of what it accepted, runs jobs as
child processes from its own list of allowed programs, pauses and stops them, keeps the power cap and falls back to its
failsafe cap when the controller is silent.
Rooms: ``config`` (its settings), ``journal`` and ``runs`` (what it accepted and started, on disk), ``node`` (the loop),
``jobs`` and ``entry`` (wishes and what runs), ``child`` (a process that dies with the agent), ``kept``, ``keeper``,
``keeping``, ``folders``, ``cgroup`` (jobs that outlive it), ``power`` with ``rapl``, ``nvml``, ``redfish``, ``dcmi`` (meters),
``limiter`` (caps that hardware holds), ``work`` (a program that jobs may run), ``launch`` (starts a program that dies with the
agent).
"""
