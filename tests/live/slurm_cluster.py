"""A real Slurm cluster on loopback: munged, slurmctld and virtual nodes of this machine, in a folder of its own."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

NEEDED = ("munged", "slurmctld", "slurmd", "scontrol", "squeue", "sinfo", "sbatch", "scancel")
CORES = 2


def missing() -> list[str]:
    """Programs that are not on this machine."""
    return [name for name in NEEDED if where(name) is None]


def where(name: str) -> str | None:
    """Path of a program, also where only root looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Return when ``condition`` holds; fail when it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds:g} s for {what}"
        time.sleep(0.1)


class SlurmCluster:
    """A cluster of ``nodes`` nodes with two cores each and one partition, ``main``; a context manager."""

    def __init__(self, folder: Path, nodes: int = 4) -> None:
        self.folder, self.nodes = folder, nodes
        self.conf = folder / "slurm.conf"
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        (self.folder / "state").mkdir()
        self.conf.write_text(self._text(_free_ports(self.nodes + 1)))
        self._munge()
        self._start("slurmctld", "-D", "-f", str(self.conf))
        for i in range(self.nodes):
            self._start("slurmd", "-D", "-N", f"n{i}", "-f", str(self.conf))
        wait_for(lambda: f"idle {self.nodes}" in self.run("sinfo", "-h", "-o", "%T %D", check=False), "all nodes idle")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.run("scancel", "--full", "--signal=KILL", "--partition=main", check=False)
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in self._daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        pid = self.folder / "munged.pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)

    def run(self, program: str, *arguments: str, check: bool = True) -> str:
        """Output of one of Slurm's programs."""
        path = where(program)
        assert path is not None
        done = subprocess.run(
            [path, *arguments], env=self._environment(), capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def submit(self, *arguments: str, seconds: int = 60) -> int:
        """Number of a new job that sleeps."""
        told = self.run("sbatch", "--parsable", "--output=/dev/null", *arguments, "--wrap", f"sleep {seconds}")
        return int(told.strip())

    def state(self, job: int) -> str:
        """State of a job in words, empty when it is gone."""
        return self.run("squeue", "-h", "-o", "%T", "-j", str(job), check=False).strip()

    def _environment(self) -> dict[str, str]:
        return os.environ | {"SLURM_CONF": str(self.conf)}

    def _start(self, program: str, *arguments: str) -> None:
        path = where(program)
        assert path is not None
        with (self.folder / f"{program}-{len(self._daemons)}.err").open("wb") as errors:
            self._daemons.append(
                subprocess.Popen([path, *arguments], env=self._environment(), stdout=subprocess.DEVNULL, stderr=errors)
            )

    def _munge(self) -> None:
        path, key = where("munged"), self.folder / "munge.key"
        assert path is not None
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        names = {"socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log", "seed-file": "munged.seed"}
        files = [f"--{option}={self.folder / name}" for option, name in names.items()]
        subprocess.run([path, "--force", f"--key-file={key}", *files], check=True, capture_output=True, timeout=30)

    def _text(self, ports: list[int]) -> str:
        host, user, folder = socket.gethostname().split(".")[0], getpass.getuser(), self.folder
        lines = [
            "ClusterName=ozzo",
            f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmUser={user}",
            f"SlurmdUser={user}",
            "AuthType=auth/munge",
            "CryptoType=crypto/munge",
            f"AuthInfo=socket={folder}/munge.socket",
            "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny",
            f"SlurmctldPort={ports[0]}",
            f"StateSaveLocation={folder}/state",
            f"SlurmdSpoolDir={folder}/spool-%n",
            f"SlurmctldPidFile={folder}/slurmctld.pid",
            f"SlurmdPidFile={folder}/slurmd-%n.pid",
            f"SlurmctldLogFile={folder}/slurmctld.log",
            f"SlurmdLogFile={folder}/slurmd-%n.log",
            "ProctrackType=proctrack/pgid",
            "TaskPlugin=task/none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core",
            "SchedulerParameters=bf_interval=1,sched_interval=2,batch_sched_delay=0",
            "MpiDefault=none",
            "ReturnToService=2",
            "KillWait=2",
            "JobAcctGatherType=jobacct_gather/none",
            "AccountingStorageType=accounting_storage/none",
        ]
        for i in range(self.nodes):
            where_from = f"NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1 + i]}"
            lines.append(f"NodeName=n{i} {where_from} CPUs={CORES} RealMemory=100 State=UNKNOWN")
        lines.append("PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP")
        return "\n".join(lines) + "\n"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
