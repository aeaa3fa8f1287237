"""Drivers of meters and limits that need hardware, each against a fake that says what it fakes; caps that hardware holds."""

from __future__ import annotations

import base64
import ctypes
import json
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from grid.errors import HardwareError, InputError
from ozzo.agent.config import RedfishPlace, read_config
from ozzo.agent.dcmi import Dcmi, watts_of
from ozzo.agent.limiter import HardwareCap, limiter_for
from ozzo.agent.nvml import Gpus
from ozzo.agent.power import SlowMeter, Sum, meter_for, probe
from ozzo.agent.redfish import Login, Redfish
from ozzo.commands import CapState, Hello
from ozzo.private import write_private
from tests.ozzo.rig import eventually, run, stop
from tests.ozzo.serving import QuietHandler, serving
from tests.ozzo.test_kept_jobs import NODE, Node, stands
from tests.ozzo.test_power import FakePowercap, settings

FAKE_NVML = r"""
/* A fake of NVIDIA's libnvidia-ml.so.1 for tests: two GPUs in memory, no driver and no hardware behind them. */
#include <string.h>
#include <stdint.h>
static unsigned limit[2] = {400000, 400000};
int locked = 0, broken = 0;
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = broken == 2 ? 0 : 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device) { *device = (void *)(uintptr_t)(i + 1); return 0; }
int nvmlDeviceGetName(void *device, char *name, unsigned size) { strncpy(name, "Fake GPU", size); return 0; }
int nvmlDeviceGetPowerUsage(void *device, unsigned *mw) {
    *mw = 100000 + 1000 * (unsigned)(uintptr_t)device;
    return broken ? 3 : 0; }
int nvmlDeviceGetPowerManagementLimitConstraints(void *device, unsigned *least, unsigned *most) {
    *least = 100000; *most = 400000; return 0; }
int nvmlDeviceSetPowerManagementLimit(void *device, unsigned mw) {
    if (locked == 1) return 4;
    if (!locked) limit[(uintptr_t)device - 1] = mw;
    return 0; }
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *mw) { *mw = limit[(uintptr_t)device - 1]; return 0; }
const char *nvmlErrorString(int code) { return code == 3 ? "Not Supported" : code == 4 ? "Insufficient Permissions" : "Fake"; }
"""


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ctypes.CDLL:
    """The fake library in the place of the driver's, under the real bindings (nvidia-ml-py)."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the fake NVML library")
    import pynvml

    (tmp_path / "fake.c").write_text(FAKE_NVML)
    made = tmp_path / "libfake-nvml.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(made), str(tmp_path / "fake.c")], check=True)
    library = ctypes.CDLL(str(made))
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr("ozzo.agent.nvml.DEVICE", made)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    return library


def switch(library: ctypes.CDLL, name: str, value: int) -> None:
    """Set a switch of the fake."""
    ctypes.c_int.in_dll(library, name).value = value


def test_gpus_tell_their_power_and_take_a_limit(gpus: ctypes.CDLL) -> None:
    """Both cards and the rest are summed; a cap's share is set on each, and clipped at what a card can take."""
    cards = Gpus(0.3)
    assert cards.names == ("Fake GPU", "Fake GPU")
    assert cards.power_kw() == pytest.approx(0.3 + 0.101 + 0.102)
    assert cards.limit(0.8) == pytest.approx(0.8)
    assert cards.limit(5.0) == pytest.approx(0.3 + 2 * 0.4)


def test_gpus_that_do_not_obey_are_told(gpus: ctypes.CDLL) -> None:
    """A share below the least limit, missing rights, a limit that does not stick, no figure, no card: errors in words."""
    cards = Gpus(0.0)
    with pytest.raises(HardwareError, match="cannot be held to 50 W, only to 100 W"):
        cards.limit(0.1)
    for locked, told in ((1, "Insufficient Permissions"), (2, "300 W was set, 400 W is in force")):
        switch(gpus, "locked", locked)
        with pytest.raises(HardwareError, match=told):
            cards.limit(0.6)
    switch(gpus, "broken", 1)
    assert cards.power_kw() is None
    with pytest.raises(HardwareError, match="Not Supported"):
        cards.read_kw()
    switch(gpus, "broken", 2)
    with pytest.raises(HardwareError, match="no GPU"):
        Gpus(0.0)


def test_processors_and_gpus_are_one_node(gpus: ctypes.CDLL, tmp_path: Path) -> None:
    """Auto and rapl+nvml count both, and the rest once; the probe names the cards."""
    fake = FakePowercap(tmp_path / "powercap")
    for power in ("auto", "rapl+nvml"):
        meter = meter_for(settings(power=power, rest_kw=0.05), print, fake.root)
        assert isinstance(meter, Sum)
        assert meter.source == "rapl+nvml"
        assert meter.power_kw() is None
        fake.set(0, 0)
        assert meter.power_kw() == pytest.approx(0.05 + 0.101 + 0.102)
    assert dict(probe(fake.root, "none"))["nvml"] == "Fake GPU, Fake GPU: 203 W now"
    assert limiter_for(settings(cap_by="nvml"), print) is not None


def test_without_the_library_nvml_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bindings, no driver: the probe says which, and a cap falls back to freezing."""
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    notes: list[str] = []
    assert "nvidia-ml-py is not installed" in dict(probe(Path("/nowhere"), "none"))["nvml"]
    assert limiter_for(settings(cap_by="nvml"), notes.append) is None
    assert "held by freezing" in notes[0]


class FakeController(QuietHandler):
    """A fake of the Redfish service of a machine (shapes of DMTF's EnvironmentMetrics 1.3 and Power 1.7); no machine is there."""

    legacy = False
    deaf = False
    garbage: ClassVar[dict[str, bytes]] = {}
    limit_w: float | None = None
    patches: ClassVar[list[dict[str, Any]]] = []

    def _resources(self) -> dict[str, Any]:
        root = "/redfish/v1/Chassis"
        kind = "Power" if self.legacy else "EnvironmentMetrics"
        found: dict[str, Any] = {
            root: {"Members": [{"@odata.id": f"{root}/enclosure"}, {"@odata.id": f"{root}/1"}]},
            f"{root}/enclosure": {"Id": "enclosure", "EnvironmentMetrics": {"@odata.id": f"{root}/enclosure/missing"}},
            f"{root}/1": {"Id": "1", kind: {"@odata.id": f"{root}/1/{kind}"}},
        }
        if self.legacy:
            control = {
                "PowerConsumedWatts": 344,
                "PowerLimit": {"LimitInWatts": FakeController.limit_w, "LimitException": "NoAction"},
            }
            return found | {f"{root}/1/Power": {"Id": "Power", "PowerControl": [control]}}
        limit = {"SetPoint": FakeController.limit_w, "AllowableMin": 200, "AllowableMax": 800, "ControlMode": "Automatic"}
        if FakeController.limit_w is None:
            limit |= {"SetPoint": 800, "ControlMode": "Disabled"}
        return found | {f"{root}/1/EnvironmentMetrics": {"PowerWatts": {"Reading": 374.5}, "PowerLimitWatts": limit}}

    def _answer(self, code: int, body: bytes = b"") -> None:
        self.send_response(code)
        self.send_header("ETag", 'W/"7"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _allowed(self) -> bool:
        return self.headers["Authorization"] == "Basic " + base64.b64encode(b"ozzo:s3cret").decode()

    def do_GET(self) -> None:  # noqa: N802 (the name that http.server calls)
        """A resource, or what a test wants in its place."""
        if not self._allowed():
            self._answer(401)
        elif self.path in self.garbage:
            self._answer(200, self.garbage[self.path])
        else:
            found = self._resources().get(self.path)
            self._answer(404) if found is None else self._answer(200, json.dumps(found).encode())

    def do_PATCH(self) -> None:  # noqa: N802 (the name that http.server calls)
        """A new limit; a deaf controller says yes and does nothing."""
        change = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._allowed() or self.headers["If-Match"] != 'W/"7"':
            self._answer(412)
            return
        self.patches.append(change)
        if not self.deaf:
            legacy = change.get("PowerControl", [{}])[0].get("PowerLimit", {}).get("LimitInWatts")
            FakeController.limit_w = legacy if self.legacy else change["PowerLimitWatts"]["SetPoint"]
        self._answer(200 if self.legacy else 204)


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Redfish]]:
    """Makes clients of a fake controller on loopback."""
    monkeypatch.setattr("ozzo.agent.redfish.SETTLE_S", 0.3)
    made: list[Redfish] = []
    with serving(FakeController) as url:

        def make(password: str = "s3cret", **changes: Any) -> Redfish:
            FakeController.limit_w = None
            FakeController.patches.clear()
            monkeypatch.setattr(FakeController, "garbage", {})
            for name, value in changes.items():
                monkeypatch.setattr(FakeController, name, value)
            made.append(Redfish(Login(url, "ozzo", password)))
            return made[-1]

        yield make
        for client in made:
            client.close()


@pytest.mark.parametrize(("legacy", "power_kw"), [(False, 0.3745), (True, 0.344)])
def test_redfish_tells_power_and_takes_a_limit(controller: Callable[..., Redfish], legacy: bool, power_kw: float) -> None:
    """The chassis that tells power is found; a limit is patched with the ETag, and read back; both generations of the model."""
    machine = controller(legacy=legacy)
    assert machine.read_kw() == pytest.approx(power_kw)
    assert machine.limit(0.6007) == pytest.approx(0.6)
    assert FakeController.limit_w == 600
    change = {"PowerControl": [{"PowerLimit": {"LimitInWatts": 600}}]}
    assert FakeController.patches == [change if legacy else {"PowerLimitWatts": {"SetPoint": 600, "ControlMode": "Automatic"}}]
    if not legacy:
        assert machine.limit(5.0) == pytest.approx(0.8)
        with pytest.raises(HardwareError, match="cannot be held to 100 W, only to 200 W"):
            machine.limit(0.1)


METRICS = "/redfish/v1/Chassis/1/EnvironmentMetrics"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"deaf": True}, "a limit of 600 W was set, inf W is in force"),
        ({"password": "wrong"}, "answered 401"),
        ({"garbage": {METRICS: b"[]"}}, "no JSON object"),
        ({"garbage": {METRICS: b"<html>"}}, "no JSON"),
        ({"garbage": {METRICS: b'{"PowerWatts": {"Reading": null}}'}}, "no power limit"),
        ({"garbage": {"/redfish/v1/Chassis": b'{"Members": []}'}}, "no chassis tells"),
        ({"garbage": {"/redfish/v1/Chassis": b'{"Members": [{"@odata.id": "/\\u0001"}]}'}}, "(?i)url"),
        (
            {"garbage": {"/redfish/v1/Chassis": b'{"Members": [{"@odata.id": "http://192.0.2.1/x"}]}'}},
            "no path on this controller",
        ),
        ({"garbage": {"/redfish/v1/Chassis": b'{"Members": [{"@odata.id": "//192.0.2.1/x"}]}'}}, "no path on this controller"),
    ],
)
def test_redfish_troubles_are_told(controller: Callable[..., Redfish], changes: dict[str, Any], told: str) -> None:
    """A controller that refuses, tells nonsense, does nothing, or leads elsewhere: one error in words, never the password."""
    machine = controller(**changes)
    with pytest.raises(HardwareError, match=told) as caught:
        machine.limit(0.6)
    assert "s3cret" not in str(caught.value)


def test_a_controller_that_is_not_there_is_told() -> None:
    """No answer is an error that names the address."""
    with pytest.raises(HardwareError, match=r"127\.0\.0\.1:9"):
        Redfish(Login("http://127.0.0.1:9", "ozzo", "s3cret")).read_kw()


@pytest.mark.parametrize("url", ["http://192.0.2.1", "ftp://127.0.0.1", "https://u:p@h", "https://h/redfish", "https://[", ""])
def test_redfish_goes_beyond_loopback_with_tls_only(url: str) -> None:
    """The settings refuse an address without TLS, with a password in it, or with a path."""
    with pytest.raises(ValidationError, match="expected"):
        RedfishPlace(url=url, credentials_file="f")


def test_settings_of_a_controller(tmp_path: Path) -> None:
    """Files beside the settings are found from there; missing parts, open files and wrong ones are findings without secrets."""
    text = '{"scenario": "s", "node": "n", "journal": "j", "programs": {}, "power": "redfish"'
    place = ', "redfish": {"url": "https://bmc.example", "credentials_file": "bmc.json"}}'
    write_private(tmp_path / "agent.json", text + place)
    write_private(tmp_path / "bmc.json", '{"user": "ozzo", "password": "s3cret"}')
    login = read_config(tmp_path).redfish_login()
    assert (login.url, login.user, login.password) == ("https://bmc.example", "ozzo", "s3cret")
    assert "s3cret" not in repr(login)
    write_private(tmp_path / "bmc.json", '["ozzo", "s3cret"]')
    with pytest.raises(InputError, match=r"bmc\.json") as caught:
        read_config(tmp_path).redfish_login()
    assert "s3cret" not in str(caught.value)
    write_private(tmp_path / "agent.json", text + "}")
    with pytest.raises(InputError, match="redfish"):
        read_config(tmp_path)
    write_private(tmp_path / "agent.json", text + place.replace("url", "uri"))
    with pytest.raises(InputError, match="did you mean 'url'"):
        read_config(tmp_path)


PRINTED = """
    Instantaneous power reading:                   332 Watts
    Minimum during sampling period:                 68 Watts
    Average power reading over sample period:      348 Watts
    Sampling period:                          00000001 Seconds.
    Power reading state is:                   activated

"""


@contextmanager
def fake_ipmitool(folder: Path, body: str) -> Iterator[Dcmi]:
    """A fake of the program: it checks its arguments and prints what ipmitool prints; no controller is behind it."""
    path = folder / "ipmitool"
    path.write_text(f'#!/bin/sh\n[ "$*" = "dcmi power reading" ] || exit 9\n{body}\n')
    path.chmod(stat.S_IRWXU)
    yield Dcmi(str(path))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (f"cat <<'END'{PRINTED}END", None),
        (f"cat <<'END'{PRINTED.replace('activated', 'deactivated')}END", "not activated"),
        ("echo 'DCMI request failed because: Invalid command (c1)' >&2; exit 1", "Invalid command"),
        ("echo nothing", "no power reading"),
        ("sleep 5", "no answer"),
    ],
)
def test_the_controllers_meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, told: str | None) -> None:
    """The reading of an activated meter in kW; anything else is an error in words; it is called without a shell."""
    monkeypatch.setattr("ozzo.agent.dcmi.TIMEOUT_S", 0.5 if "sleep" in body else 10.0)
    with fake_ipmitool(tmp_path, body) as meter:
        if told is None:
            assert meter.read_kw() == pytest.approx(0.332)
            return
        with pytest.raises(HardwareError, match=told):
            meter.read_kw()
    with pytest.raises(HardwareError, match="no program"):
        Dcmi(str(tmp_path / "none")).read_kw()
    assert watts_of(PRINTED) == 332


def test_a_slow_meter_never_makes_the_agent_wait() -> None:
    """The first call begins to read; the figure is there later; trouble is told once for each reason, and is no figure."""
    notes: list[str] = []
    go, answers = threading.Semaphore(0), iter([0.4, None, None, 0.5])

    def read_kw() -> float:
        go.acquire()
        answer = next(answers, 0.6)
        if answer is None:
            raise HardwareError("away")
        return answer

    meter = SlowMeter(read_kw, "fake", notes.append, ask_s=0.0)
    assert meter.power_kw() is None
    go.release()
    eventually(lambda: meter.power_kw() == 0.4, "the first figure")
    for _ in range(3):
        go.release()
    eventually(lambda: meter.power_kw() == 0.5, "the next figure")
    assert notes == ["power by fake: away"]
    meter.close()
    go.release()


class FakeLimiter:
    """A limiter that a test plays: what it reads back, or why it fails."""

    source = "fake"

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.reads: Callable[[float], float] = lambda cap_kw: cap_kw

    def limit(self, cap_kw: float) -> float:
        """See ``Limiter``."""
        self.asked.append(cap_kw)
        return self.reads(cap_kw)


def test_the_hardware_is_believed_only_when_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cap is held once it was read back; not a higher one, not a failed one (tried again), and not above its measured cap."""
    monkeypatch.setattr("ozzo.agent.limiter.AGAIN_S", 0.05)
    limiter = FakeLimiter()
    notes: list[str] = []
    cap = HardwareCap(limiter, lambda: None, notes.append)
    cap.want(None)
    assert not cap.holds(None)
    cap.want(0.5)
    eventually(lambda: cap.holds(0.5), "the cap")
    assert not cap.holds(0.4)
    for power_kw in (0.6, 0.6, 0.4, 0.6, 0.6):
        cap.saw(power_kw)
    assert cap.holds(0.5)  # never three in a row
    cap.saw(0.6)
    assert not cap.holds(0.5)
    limiter.reads = lambda cap_kw: cap_kw + 0.1
    cap.want(0.3)
    eventually(lambda: limiter.asked.count(0.3) >= 2, "another try")
    assert not cap.holds(0.3)
    limiter.reads = lambda cap_kw: cap_kw
    eventually(lambda: cap.holds(0.3), "the cap after all")
    cap.close()
    assert [note.split(": ", 1)[1] for note in notes] == [
        "the node draws 0.6 kW under a hardware cap of 0.5 kW; jobs are frozen instead",
        "0.4 kW is in force where 0.3 kW was asked for; jobs are frozen instead",
    ]


def test_a_job_goes_on_under_a_cap_that_its_processor_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a fake powercap tree: the limit is written, the job above the cap runs on; where the limit fails it stands still."""
    fake = FakePowercap(tmp_path / "powercap")
    monkeypatch.setattr("ozzo.agent.node.limiter_for", lambda config, note: limiter_for(config, note, fake.root))
    home = Node(tmp_path, "none", cap_by="rapl", rest_kw=0.1, idle_kw=0.1)
    home.start()
    pid = int(home.rig.ask(NODE, run("j", "sleep", "600", power_kw=0.4)).measured["pid"])
    home.rig.ask(NODE, CapState(cap_kw=0.3))
    eventually(lambda: fake.limit_uw(0, 0) == fake.limit_uw(1, 0) == 100_000_000, "the limits")
    eventually(lambda: not stands(pid), "a job that goes on")
    assert home.rig.ask(NODE, CapState(cap_kw=0.3)).measured == {"cap_kw": 0.3, "failsafe": 0.0, "held": 0.0, "hardware": 1.0}
    told = home.rig.ask(NODE, CapState(cap_kw=0.05))  # less than the rest of the node: no processor can do that
    assert (told.measured["hardware"], told.measured["held"]) == (0.0, 1.0)
    assert stands(pid)
    eventually(lambda: any("leaves the processors nothing" in note for note in home.notes), "the reason")
    home.rig.send(home.rig.command(NODE, Hello()))
    home.rig.ask(NODE, stop("j"))
    home.leave()
    assert fake.limit_uw(0, 0) == 100_000_000  # it stays when the agent leaves
