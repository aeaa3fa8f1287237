"""Power of a whole machine by its management controller: IPMI DCMI, asked with ``ipmitool`` (Debian package ``ipmitool``).

``ipmitool dcmi power reading`` is the command "Get Power Reading" of the DCMI 1.5 specification, section 6.6.1. It may take a
second, so it is asked from a thread (``ozzo.agent.power.SlowMeter``).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from grid.errors import HardwareError

TIMEOUT_S = 10.0
PLACES = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
WATTS = re.compile(r"^\s*Instantaneous power reading:\s*(\d+)\s*Watts\s*$", re.MULTILINE)
STATE = re.compile(r"^\s*Power reading state is:\s*(\w+)\s*$", re.MULTILINE)


def find_ipmitool() -> str | None:
    """Path of the program, or None when it is not installed."""
    return shutil.which("ipmitool", path=os.pathsep.join(PLACES))


def watts_of(text: str) -> float:
    """The reading in what ``ipmitool`` printed, W.

    Raises:
        HardwareError: there is none, or the controller says that it does not measure.
    """
    watts, state = WATTS.search(text), STATE.search(text)
    if watts is None:
        raise HardwareError(f"no power reading in {' '.join(text.split())[:200]!r}")
    if state is None or state.group(1) != "activated":
        raise HardwareError("the controller's power reading is not activated")
    return float(watts.group(1))


@dataclass(frozen=True, slots=True)
class Dcmi:
    """The management controller of this machine.

    Attributes:
        program: path of ``ipmitool``.
    """

    program: str

    @property
    def source(self) -> str:
        """What measures."""
        return "dcmi"

    def read_kw(self) -> float:
        """Ask it; kW.

        Raises:
            HardwareError: no program, no controller, no rights, no answer in time, or none that is a reading.
        """
        if not Path(self.program).is_file():
            raise HardwareError(f"no program {self.program}")
        argv = [self.program, "dcmi", "power", "reading"]
        env = {"PATH": os.defpath, "LANG": "C.UTF-8", "LC_ALL": "C"}
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TIMEOUT_S, env=env)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            raise HardwareError(f"ipmitool gave no answer in {TIMEOUT_S:g} s") from error
        except (OSError, UnicodeDecodeError) as error:
            raise HardwareError(f"ipmitool: {error}") from error
        if done.returncode:
            raise HardwareError(f"ipmitool ended with code {done.returncode}: {' '.join(done.stderr.split())[:200]}")
        return watts_of(done.stdout) * 1e-3
