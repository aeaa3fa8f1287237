"""What jobs do, by their own word: ``python jobs_here.py now FILE`` and ``python jobs_here.py sum FILE``; FILE is the witness's.

``now``: each of their processes on this machine with node, name, process id, and whether it is frozen (by its cgroup's own word,
or stopped by a signal). ``sum``: starts and ends; exit code 1 when a job ended twice on a node, or was started and neither ended
nor was stopped (a later plan may leave a job out that can no longer be in time, and stops it).
"""

import sys
from collections import Counter
from pathlib import Path


def frozen(process: Path) -> bool:
    """True when a process cannot run: its cgroup v2 is frozen, or it is stopped (state T)."""
    state = (process / "stat").read_text().rpartition(")")[2].split()[0]
    for line in (process / "cgroup").read_text().splitlines():
        number, _, folder = line.split(":", 2)
        for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified") if number == "0" else ():
            events = Path(root + folder) / "cgroup.events"
            if events.is_file() and "frozen 1" in events.read_text():
                return True
    return state == "T"


def look(file: str) -> None:
    """Print the processes of the jobs that write into ``file``."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                words = (process / "environ").read_bytes().split(b"\0")
                told = dict(word.decode(errors="replace").split("=", 1) for word in words if word.startswith(b"OZZO_"))
                if "OZZO_JOB" in told and file.encode() in (process / "cmdline").read_bytes().split(b"\0"):
                    state = "frozen" if frozen(process) else "running"
                    found.append(f"  {told.get('OZZO_NODE', '?'):20} {told['OZZO_JOB']:24} process {process.name:>7} {state}")
            except OSError:  # it has ended meanwhile
                continue
    print("\n".join(sorted(found)) or "  no job runs here")


def sum_up(file: Path) -> int:
    """Print starts and ends of each job; the number of jobs that were doubled or lost."""
    starts: Counter[tuple[str, str]] = Counter()
    ends: Counter[tuple[str, str]] = Counter()
    stopped = set()
    for line in file.read_text().splitlines():
        what, job, node, _ = line.split()
        if what == "stopped":
            stopped.add(job)
        else:
            (starts if what == "start" else ends)[job, node] += 1
    doubled = [key for key in ends if ends[key] > 1]
    jobs = Counter({job: 0 for job, _ in starts})
    jobs.update(job for job, _ in ends.elements())
    lost = [job for job, count in jobs.items() if count == 0 and job not in stopped]
    print(f"{len(jobs)} jobs started, {sum(starts.values())} starts, {sum(ends.values())} ends")
    print(f"stopped by a later plan: {sum(jobs[job] == 0 for job in stopped)}")
    print(f"doubled: {len(doubled)} {doubled or ''}")
    print(f"lost: {len(lost)} {lost or ''}")
    return len(doubled) + len(lost)


if __name__ == "__main__":
    if sys.argv[1] == "sum":
        sys.exit(1 if sum_up(Path(sys.argv[2])) else 0)
    look(sys.argv[2])
