"""Power of a whole machine, and its limit, by Redfish: HTTPS to the management controller.

Two places, in this order (DMTF DSP0268, data model): ``EnvironmentMetrics`` of a chassis with ``PowerWatts.Reading`` and
``PowerLimitWatts`` (``SetPoint``, ``ControlMode``, ``AllowableMin``, ``AllowableMax``), and the older ``Power`` with
``PowerControl[0]`` (``PowerConsumedWatts``, ``PowerLimit.LimitInWatts``). Changes are PATCHes with the ETag of what was read
(DSP0266, "PATCH (update)"), and are read again afterwards. A controller may take a second to answer, so this runs in threads.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from grid.errors import HardwareError

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 10.0
SETTLE_S = 5.0
"""For how long a new limit is read again until it is in force (a controller may answer 202 and work on it)."""
ROUNDED_W = 1.0


@dataclass(frozen=True, slots=True)
class Login:
    """Where the controller is and as whom to speak to it.

    Attributes:
        url: ``https://HOST``; ``http`` on loopback only (the settings see to that).
        user, password: HTTP basic authentication.
        ca_file: root that signed the controller's certificate; those of the system when empty.
        chassis: path of the chassis, such as ``/redfish/v1/Chassis/1``; the first one that tells power when empty.
    """

    url: str
    user: str
    password: str = field(repr=False)
    ca_file: str = ""
    chassis: str = ""


class Redfish:
    """A machine behind its controller; a meter and a limiter. Use it from one thread."""

    source = "redfish"

    def __init__(self, login: Login) -> None:
        """Nothing is asked yet."""
        self._login = login
        self._client: httpx.Client | None = None
        self._place: tuple[str, str] | None = None

    def read_kw(self) -> float:
        """What the machine draws, kW.

        Raises:
            HardwareError: no controller there, it refuses us, or it tells no power.
        """
        kind, path = self._find()
        told, _ = self._get(path)
        return _power_w(kind, told) * 1e-3

    def limit(self, cap_kw: float) -> float:
        """Set the machine's limit; the cap that was read back, kW.

        Raises:
            HardwareError: it has none, the cap is below its range, or another one is in force afterwards.
        """
        kind, path = self._find()
        told, tag = self._get(path)
        least_w, most_w = _range_w(kind, told)
        wanted_w = min(int(cap_kw * 1e3), int(most_w))
        if wanted_w < least_w:
            raise HardwareError(f"{path}: the machine cannot be held to {wanted_w} W, only to {least_w:g} W")
        if kind == "EnvironmentMetrics":
            change: dict[str, Any] = {"PowerLimitWatts": {"SetPoint": wanted_w}}
            if told["PowerLimitWatts"].get("ControlMode") in {"Disabled", "Manual"}:
                change["PowerLimitWatts"]["ControlMode"] = "Automatic"
        else:
            change = {"PowerControl": [{"PowerLimit": {"LimitInWatts": wanted_w}}]}
        self._ask("PATCH", path, change, {"If-Match": tag} if tag else {})
        until = time.monotonic() + SETTLE_S
        while abs((read_w := _limit_w(kind, self._get(path)[0])) - wanted_w) > ROUNDED_W:
            if time.monotonic() > until:
                raise HardwareError(f"{path}: a limit of {wanted_w} W was set, {read_w:g} W is in force")
            time.sleep(0.2)
        return read_w * 1e-3

    def _find(self) -> tuple[str, str]:
        """Kind and path of what tells power, looked for once.

        Raises:
            HardwareError: no chassis tells any.
        """
        if self._place is None:
            chassis = [self._login.chassis] if self._login.chassis else _members(self._get("/redfish/v1/Chassis")[0])
            why = f"{self._login.url}: no chassis tells its power"
            for path in chassis:
                try:
                    self._place = self._place_of(path)
                except HardwareError as error:
                    why = str(error)  # another chassis may do
                if self._place is not None:
                    return self._place
            raise HardwareError(why)
        return self._place

    def _place_of(self, chassis: str) -> tuple[str, str] | None:
        """Kind and path of what tells the power of a chassis, None when nothing does."""
        told, _ = self._get(chassis)
        for kind, there in (("EnvironmentMetrics", "PowerWatts"), ("Power", "PowerControl")):
            link = told[kind].get("@odata.id") if isinstance(told.get(kind), dict) else None
            if isinstance(link, str) and self._get(link)[0].get(there):
                return kind, link
        return None

    def _get(self, path: str) -> tuple[dict[str, Any], str]:
        return self._ask("GET", path, None, {})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> tuple[dict[str, Any], str]:
        """Ask; the object in the answer (empty when there is none) and its ETag.

        Raises:
            HardwareError: no answer, a refusal, or something else than a JSON object. No password is in it.
        """
        import httpx

        if not path.startswith("/") or path.startswith("//"):  # a link may not lead the password elsewhere
            raise HardwareError(f"{self._login.url}: {path[:100]!r} is no path on this controller")
        try:
            if self._client is None:
                self._client = self._connect()
            answer = self._client.request(method, path, json=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise HardwareError(f"{self._login.url}: {error or type(error).__name__}") from error
        if not answer.is_success:
            raise HardwareError(f"{self._login.url}: {method} {path} was answered {answer.status_code}")
        if not answer.content:
            return {}, ""
        try:
            told = answer.json()
        except ValueError as error:
            raise HardwareError(f"{self._login.url}: {path} is no JSON") from error
        if not isinstance(told, dict):
            raise HardwareError(f"{self._login.url}: {path} is no JSON object")
        return told, str(answer.headers.get("ETag") or told.get("@odata.etag") or "")

    def _connect(self) -> httpx.Client:
        import ssl

        import httpx

        login = self._login
        context = ssl.create_default_context(cafile=login.ca_file or None) if urlsplit(login.url).scheme == "https" else False
        return httpx.Client(base_url=login.url, auth=(login.user, login.password), verify=context, timeout=TIMEOUT_S)

    def close(self) -> None:
        """Hang up."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _members(told: dict[str, Any]) -> list[str]:
    """Paths of the members of a collection."""
    rows = told.get("Members")
    return (
        [str(row["@odata.id"]) for row in rows if isinstance(row, dict) and "@odata.id" in row] if isinstance(rows, list) else []
    )


def _number(value: object, what: str) -> float:
    """A number that is one.

    Raises:
        HardwareError: it is not (null stands for: not known, or no limit).
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HardwareError(f"the controller tells no {what} (it says {value!r:.50})")
    return float(value)


def _part(kind: str, told: dict[str, Any]) -> dict[str, Any]:
    """``PowerLimitWatts``, or ``PowerLimit`` of the first ``PowerControl``; empty when there is none."""
    rows = told.get("PowerControl")
    first = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    found = told.get("PowerLimitWatts") if kind == "EnvironmentMetrics" else first.get("PowerLimit")
    return found if isinstance(found, dict) else {}


def _power_w(kind: str, told: dict[str, Any]) -> float:
    if kind == "EnvironmentMetrics":
        found = told.get("PowerWatts")
        return _number(found.get("Reading") if isinstance(found, dict) else None, "power")
    rows = told.get("PowerControl")
    first = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    return _number(first.get("PowerConsumedWatts"), "power")


def _limit_w(kind: str, told: dict[str, Any]) -> float:
    """The limit in force; no limit is one without bound."""
    part = _part(kind, told)
    if kind == "EnvironmentMetrics" and part.get("ControlMode") == "Disabled":
        return float("inf")
    value = part.get("SetPoint" if kind == "EnvironmentMetrics" else "LimitInWatts")
    return float("inf") if value is None else _number(value, "limit")


def _range_w(kind: str, told: dict[str, Any]) -> tuple[float, float]:
    """Lowest and highest limit that the machine takes, as far as it tells.

    Raises:
        HardwareError: it has no limit that could be set.
    """
    part = _part(kind, told)
    if not part:
        raise HardwareError("the controller has no power limit")
    least, most = part.get("AllowableMin"), part.get("AllowableMax")
    return (0.0 if least is None else _number(least, "least limit"), 1e9 if most is None else _number(most, "highest limit"))
