"""Speaking with a Kubernetes API server through the official client: lists in pages, single objects, merge patches.

Credentials are those of a kubeconfig file or of the pod that this runs in. TLS is always verified. Objects stay dictionaries as
the server sends them, so a server that is newer than the client is read too. Errors are told by what can be done about them::

    KubernetesError
    |-- NotThere    404: the object is gone, or the API is not served
    |-- Outdated    409: somebody else changed the object since it was read
    `-- Unsure      no reply, 429 or 5xx to a change: it may have taken effect; read again before trying again

Sources: Kubernetes, "API Concepts" (``limit`` and ``continue``, 410 Gone, ``resourceVersion``), "Organizing Cluster Access Using
kubeconfig Files", "Accessing the Kubernetes API from a Pod".
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from grid.errors import Finding, InputError
from ozzo.address import is_loopback
from ozzo.engines.queue import EngineError

PAGE = 500
"""Objects in one answer of a list."""
TRIES = 5
"""How often something is tried that may go well next time."""
WAIT_S = 0.1
"""Pause before the second try; doubled before each later one."""
LONGEST_WAIT_S = 10.0
"""Most that a server's ``Retry-After`` is heeded."""
TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""Where a pod finds its credentials."""


class KubernetesError(EngineError):
    """The API server did not do, or did not tell, what it was asked."""


class NotThere(KubernetesError):
    """404."""


class Outdated(KubernetesError):
    """409."""


class Unsure(KubernetesError):
    """Nobody knows whether it was done.

    Attributes:
        wait_s: how long the server asks to wait.
    """

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def pause(attempt: int, wait_s: float = 0.0) -> None:
    """Wait before another try, longer each time, and at least ``wait_s`` (up to a limit)."""
    time.sleep(min(LONGEST_WAIT_S, max(wait_s, WAIT_S * 2**attempt)))


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a cluster.

    Attributes:
        kubeconfig: file, or None: the one that ``KUBECONFIG`` names, else ``~/.kube/config``, else the credentials of the pod.
        context: of the file, or None for its current one.
        timeout_s: longest wait for an answer.
        page: objects in one answer of a list.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    timeout_s: float = 30.0
    page: int = PAGE


class KubernetesApi:
    """An API server.

    Attributes:
        host: its address.
    """

    def __init__(self, access: Access) -> None:
        """Read the credentials; nothing is asked yet.

        Raises:
            InputError: the kubeconfig cannot be used, or would give up safety.
            KubernetesError: the client library is not installed.
        """
        try:
            from kubernetes.client import ApiClient
        except ImportError as error:
            raise KubernetesError("the Kubernetes client is not installed (pip install 'ozzo[kubernetes]')") from error
        self._access = access
        configuration = _configuration(access)
        self.host = str(configuration.host)
        self._client = ApiClient(configuration)

    def close(self) -> None:
        """Close its connections."""
        self._client.rest_client.close()

    def get(self, path: str) -> dict[str, Any]:
        """An object.

        Raises:
            NotThere: there is none.
            KubernetesError: the server refused or did not answer.
        """
        return self._patiently(path, {})

    def items(self, path: str, **selectors: str) -> list[dict[str, Any]]:
        """All objects of a list, page by page; from the start again when the server has forgotten where we were (410 Gone).

        Args:
            path: of the list.
            selectors: ``labelSelector`` and the like.

        Raises:
            NotThere: the API is not served.
            KubernetesError: the server refused or did not answer.
        """
        for _ in range(TRIES):
            found: list[dict[str, Any]] = []
            query = {"limit": str(self._access.page), **selectors}
            try:
                while True:
                    answer = self._patiently(path, query)
                    found += _list_of(answer, path)
                    token = (answer.get("metadata") or {}).get("continue")
                    if not token:
                        return found
                    query["continue"] = token
            except _Gone:
                continue
        raise KubernetesError(f"{path}: the list changed faster than it could be read ({TRIES} times 410 Gone)")

    def patch(self, path: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge a change into an object (RFC 7386); one with ``metadata.resourceVersion`` only into that version of it.

        Raises:
            NotThere, Outdated, Unsure: see the module.
            KubernetesError: the server refused.
        """
        return self._call("PATCH", path, {}, change)

    def _patiently(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Read; what may go well next time is tried again."""
        for attempt in range(TRIES):
            try:
                return self._call("GET", path, query)
            except Unsure as error:
                if attempt == TRIES - 1:
                    raise
                pause(attempt, error.wait_s)
        raise KubernetesError(f"{path}: not tried")

    def _call(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        headers = {"Accept": "application/json"} | ({"Content-Type": "application/merge-patch+json"} if body else {})
        request = self._client.param_serialize(
            method, path, query_params=list(query.items()), header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            reply = self._client.call_api(*request, _request_timeout=(self._access.timeout_s, self._access.timeout_s))
            text = reply.read()
        except ApiException as error:  # the client's word for TLS that could not be verified
            raise KubernetesError(f"{self.host}: {' '.join(str(error.reason).split())}") from error
        except urllib3.exceptions.HTTPError as error:
            raise Unsure(f"{self.host}{path}: {_plainly(error, self._access.timeout_s)}") from error
        if not 200 <= reply.status < 300:
            raise _refusal(method, path, int(reply.status), text, reply.headers.get("Retry-After"))
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise KubernetesError(f"{path}: the answer is no JSON; is {self.host} an API server?") from error
        if not isinstance(answer, dict):
            raise KubernetesError(f"{path}: the answer is no object; is {self.host} an API server?")
        return answer


class _Gone(KubernetesError):
    """410: a position in a list that the server has forgotten."""


def _list_of(answer: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    items = answer.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise KubernetesError(f"{path}: the answer is no list of objects")
    return items


def _plainly(error: Exception, timeout_s: float) -> str:
    """A failure of the connection in words; the library's own name the address of an object in memory."""
    name = type(error).__name__
    return f"no answer in {timeout_s:g} s" if "Timeout" in name else f"no connection, or it broke ({name})"


def _refusal(method: str, path: str, status: int, text: bytes, retry_after: str | None) -> KubernetesError:
    """A reply that is no success, as an error: the server's words (``Status.message``) and what they mean."""
    try:
        said = str(json.loads(text)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        said = text[:200].decode("utf-8", "replace").strip()
    told = f"{method} {path}: {status} {said}".strip()
    if status == 401:
        return KubernetesError(f"{told} (the credentials are not accepted: expired, or of another cluster?)")
    if status == 403:
        return KubernetesError(f"{told} (docs/operator.md, 'A Kubernetes cluster', lists the rights that ozzo needs)")
    if status == 429 or status >= 500:
        wait = float(retry_after) if retry_after and retry_after.isdigit() else 0.0
        return Unsure(told, wait)
    return {404: NotThere, 409: Outdated, 410: _Gone}.get(status, KubernetesError)(told)


def _configuration(access: Access) -> Any:
    """The client's configuration, checked: TLS verified, no credentials in clear text beyond this machine."""
    from kubernetes import config
    from kubernetes.client import Configuration

    made = Configuration()
    source = str(access.kubeconfig or os.environ.get("KUBECONFIG") or Path.home() / ".kube/config")
    files = [Path(part) for part in source.split(os.pathsep) if part]  # KUBECONFIG may name several
    in_pod = access.kubeconfig is None and not any(file.exists() for file in files) and TOKEN.exists()
    try:
        if in_pod:
            source = "the pod's own credentials"
            config.load_incluster_config(client_configuration=made)
        else:
            _check_files(files)
            config.load_kube_config(source, access.context, client_configuration=made, persist_config=False)
    except (config.ConfigException, LookupError, TypeError, ValueError, OSError) as error:
        raise _unusable(source, "", str(error), "a kubeconfig, or a context of it, that can be used") from error
    address = urlsplit(str(made.host))
    if not made.verify_ssl:
        raise _unusable(
            source, "insecure-skip-tls-verify", "true", "a server whose certificate is verified (certificate-authority)"
        )
    if address.scheme != "https" and not is_loopback(address.hostname or ""):
        raise _unusable(source, "server", str(made.host), "https:// (plain http only on loopback, such as kubectl proxy)")
    made.retries = False
    return made


def _check_files(files: list[Path]) -> None:
    """Refuse what the client would read but not handle safely, everything at once."""
    import yaml

    findings: list[Finding] = []
    for file in files:
        try:
            told = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a text file"
            findings.append(
                Finding(str(file), None, "", reason, "a kubeconfig file (--kubeconfig, KUBECONFIG or ~/.kube/config)")
            )
            continue
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            findings.append(Finding(str(file), mark.line + 1 if mark else None, "", "no YAML", "a kubeconfig file"))
            continue
        if not isinstance(told, dict):
            found = "an empty file" if told is None else f"a {type(told).__name__}"
            findings.append(Finding(str(file), None, "", found, "a kubeconfig: apiVersion, clusters, contexts, users"))
            continue
        users = told.get("users")
        findings += [
            Finding(str(file), None, f"users.{user.get('name')}.user", "auth-provider", "a token, a certificate or exec")
            for user in (users if isinstance(users, list) else [])
            if isinstance(user, dict) and "auth-provider" in (user.get("user") or {})
        ]  # the client refreshes such a token without verifying TLS when no certificate of the issuer is given
    if findings:
        raise InputError(findings)


def _unusable(file: str, field: str, found: str, expected: str) -> InputError:
    return InputError([Finding(file, None, field, " ".join(found.split())[:200], expected)])
