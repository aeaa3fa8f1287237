"""The simulated world: SimPy processes for nodes, jobs, links and faults, exact energy between events."""
