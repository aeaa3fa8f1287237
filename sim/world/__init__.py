"""The simulated world: nodes, jobs, transfers, batteries, faults and an exact meter, behind ``scheduler.world.World``.

``truth`` holds what the controller cannot know; ``simulated`` lets it happen on SimPy's clock; ``dispatch`` carries a plan's
commands to its jobs; ``meter`` integrates the energy; ``settle`` tells what became of it.
"""

from sim.world.simulated import SimulatedWorld

__all__ = ["SimulatedWorld"]
