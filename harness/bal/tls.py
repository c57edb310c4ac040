"""TLS between nodes: both ends show a certificate, and trust those whom a file names.

Nothing is taken for granted: certificates, keys and authorities come from files, there are no
defaults, and the authorities of the system are not asked.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class TlsFiles(BaseModel):
    """Who one is, and whom one trusts: PEM files."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    certificate: Path
    """Our own, with the chain that leads to it."""
    key: Path
    """Its private key, without a password."""
    authorities: Path
    """Those who have signed the certificates that are trusted."""
    server_name: str | None = None
    """Name or address that must stand in the certificate of a server; that of its host if None."""


@lru_cache(maxsize=64)
def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return what a client needs. Raises `OSError`: a file is not there or is no good."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, files)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return what a server needs that lets in only who shows a certificate; see above."""
    return _context(ssl.PROTOCOL_TLS_SERVER, files)


def _context(role: int, files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(role)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    with _failing(files.certificate, files.key):
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    with _failing(files.authorities):
        context.load_verify_locations(files.authorities)
    return context


@contextmanager
def _failing(*paths: Path) -> Iterator[None]:
    """Name the files that OpenSSL does not name."""
    names = " and ".join(map(str, paths))
    try:
        yield
    except (OSError, ValueError) as error:
        raise OSError(f"{names}: {error}; give PEM files without a password") from error


def _no_password() -> str:
    # Else OpenSSL would ask for one at the terminal, and wait.
    return ""
