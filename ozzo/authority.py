"""A small certificate authority for one broker: its root, and the broker's certificate that the root has signed.

The root's key never leaves its folder (mode 600) and is not readable for the broker; nodes get the root's certificate only. Keys
are on the curve P-256, signatures are ECDSA with SHA-256. The broker's certificate lives a year and is made anew when the broker
starts in its last month, or under other names. Profile: RFC 5280; names of servers: RFC 6125 (subject alternative names only).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from grid.errors import Finding, InputError
from ozzo.private import write_private

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

ROOT_DAYS = 3650
SERVER_DAYS = 365
RENEW = timedelta(days=30)
"""A certificate that ends within this time is made anew."""
HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")
"""A host name (RFC 1123 section 2.1), with the underscore that some networks have."""
EARLIER = timedelta(hours=1)
"""Certificates are valid from this long ago, because clocks of nodes differ."""


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Files of the broker's certificate and key, and of the root's certificate."""

    certificate: Path
    key: Path
    root: Path


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _key_text(key: EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives import serialization as form

    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()


def _text(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def wrong_names(names: Iterable[str]) -> list[Finding]:
    """A finding for every name that no certificate can hold: neither an IP address nor a host name."""
    expected = "an IP address or a host name: letters, digits, hyphens and dots, 63 letters a label (an IDN as xn--...)"
    found = []
    for name in names:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            if len(name) > 253 or not HOST_NAME.fullmatch(name):
                found.append(Finding("(command line)", None, "--name", repr(name)[:100], expected))
    return found


def _names(names: Iterable[str]) -> list[x509.GeneralName]:
    from cryptography import x509

    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _signed(
    subject: str,
    key: EllipticCurvePrivateKey,
    issuer: str,
    signer: EllipticCurvePrivateKey,
    days: int,
    names: Iterable[str] | None,
) -> x509.Certificate:
    """A certificate for ``key``: a server's when there are ``names``, else that of a root which signs servers only."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])

    now, root = datetime.now(UTC), names is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=root, path_length=0 if root else None), critical=True)
        .add_extension(_usage(signs=root), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(_names(names)), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _load(certificate: Path, key: Path, what: str) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    """Read a certificate and its key.

    Raises:
        InputError: one of them is missing or broken, or they do not belong together.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(
            [Finding(str(certificate), None, "", f"{error}"[:200], f"{what}, with its key in {key.name}")]
        ) from error
    if not isinstance(private, EllipticCurvePrivateKey) or private.public_key() != read.public_key():
        raise InputError([Finding(str(certificate), None, "", f"a key in {key.name} that is another's", f"the key of {what}")])
    return read, private


def _fits(certificate: x509.Certificate, root: x509.Certificate, names: Iterable[str]) -> bool:
    """True when a server's certificate was signed by ``root``, is for these names and lives long enough."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(root)
        known = set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return set(_names(names)) <= known and certificate.not_valid_after_utc > datetime.now(UTC) + RENEW


def fingerprint(certificate: Path) -> str:
    """SHA-256 of a certificate, as other programs show it (``AB:CD:...``)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    return x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256()).hex(":").upper()


def server_files(folder: Path, title: str, names: Iterable[str]) -> ServerFiles:
    """Root and server certificate in ``folder``, made when they are missing; the server's anew when it no longer fits.

    Args:
        folder: private folder of the authority.
        title: name of the authority, for people.
        names: addresses and host names under which nodes reach the broker.

    Raises:
        InputError: a name is none, what is there is broken, or the root has run out (nodes would have to be enrolled again).
    """
    names = list(names)
    wrong = wrong_names(names)
    if wrong:
        raise InputError(wrong)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root_file, root_key = folder / "ca.pem", folder / "ca.key"
    certificate_file, key_file = folder / "server.pem", folder / "server.key"
    if not root_file.exists() and not root_key.exists():
        key = _new_key()
        write_private(root_key, _key_text(key))
        write_private(root_file, _text(_signed(title, key, title, key, ROOT_DAYS, None)))
    root, signer = _load(root_file, root_key, "the authority's certificate")
    if root.not_valid_after_utc <= datetime.now(UTC) + RENEW:
        found = f"an authority that ends on {root.not_valid_after_utc:%Y-%m-%d}"
        wanted = f"one that lasts; remove the folder {folder}, start the broker and enrol every node again"
        raise InputError([Finding(str(root_file), None, "", found, wanted)])
    if certificate_file.exists():
        present, _ = _load(certificate_file, key_file, "the broker's certificate")
        if _fits(present, root, names):
            return ServerFiles(certificate_file, key_file, root_file)
    key = _new_key()
    write_private(key_file, _key_text(key))
    write_private(certificate_file, _text(_signed("ozzo broker", key, title, signer, SERVER_DAYS, names)))
    return ServerFiles(certificate_file, key_file, root_file)
