"""The closed loop: the live controller itself in simulated time, planning again and again from what it may know then.

``settings`` says how; ``known`` is what a controller knows at a moment (submitted jobs, the window it plans); ``revise`` its
forecasts; ``views`` are the worlds that shadow, pilot and live controllers act on; ``pilot`` parts the work between the
controller and the baseline; ``run`` is the loop; ``figures`` tells what came of it; ``surf`` makes a month of real jobs.
"""

from sim.loop.run import run_loop
from sim.loop.settings import Foresight, LoopResult, LoopSettings, Mode

__all__ = ["Foresight", "LoopResult", "LoopSettings", "Mode", "run_loop"]
