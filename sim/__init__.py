"""Would it work: the simulated world, the rehearsal of a plan, reports (floor 3, imports ``scheduler`` and ``grid``)."""
