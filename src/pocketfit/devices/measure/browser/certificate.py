"""HTTPS for an address of this host: browsers give threads and a fine clock to no page that came without."""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import ssl
from datetime import UTC, datetime, timedelta

from pocketfit.errors import OptionError, RuntimeMissing

__all__ = ["fingerprint_of", "is_this_host_only", "made_for", "own_address"]

# Of a network set aside for documentation: nothing is sent there, the system only says which way it would go.
_ELSEWHERE = ("192.0.2.1", 9)
_LIFE = timedelta(days=1)


def own_address() -> str:
    """The address by which this host is in its network.

    Raises:
        OptionError: it is in none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(_ELSEWHERE)
        except OSError as error:
            raise OptionError(
                "This host is in no network. Name the address that the phone reaches it by with --address, or "
                "127.0.0.1 for a browser on this host."
            ) from error
        return str(asked.getsockname()[0])


def is_this_host_only(address: str) -> bool:
    """Whether nobody else reaches it; browsers trust such a page without HTTPS."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def made_for(address: str) -> tuple[ssl.SSLContext, str]:
    """A certificate for an address, good for a day, whose keys are forgotten when this process ends.

    Returns:
        What serves it, and its fingerprint.

    Raises:
        RuntimeMissing: trustme is not installed.
    """
    try:
        import trustme
    except ImportError as error:
        raise RuntimeMissing("trustme is not installed: pip install 'pocketfit[browser]'") from error
    now = datetime.now(UTC)
    issuer = trustme.CA(organization_name="Pocketfit, made for one measurement")
    made = issuer.issue_cert(address, not_before=now - timedelta(hours=1), not_after=now + _LIFE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    made.configure_cert(context)
    return context, fingerprint_of(made.cert_chain_pems[0].bytes())


def fingerprint_of(certificate: bytes) -> str:
    """Sha256 of a certificate, in pairs of digits as browsers show it.

    Args:
        certificate: as PEM.
    """
    found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.decode())).hexdigest().upper()
    return ":".join(found[index : index + 2] for index in range(0, len(found), 2))
