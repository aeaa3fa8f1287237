"""Room of the energy core: many sites metered at once, and traces run through a cluster, in compiled code.

The physics are those of the simulated world (``sim.world.meter``, ``sim.world.battery_control``), which stays the judge of plans;
tests hold the two together to 1e-9. What is left out here: other assets of sites (biogas, generators), and anything that reacts
to the metered energy, because the load of every site is known before it is metered. Limits of contracts are those of a connection
that ``grid.contracts.book.ContractBook.connection`` has made.

``layout`` turns sites into arrays, ``kernel`` meters them, ``meter`` is the way in. ``fifo`` runs a trace first come, first
served (``fifo_kernel``), and ``shares`` gives every job its part of the energy; ``nodes`` says what a node draws.

A kernel here calls nothing outside its own file, which numba watches. The import below names the folder of compiled code before
numba is imported.
"""

import scheduler.optimiser.large  # noqa: F401
