"""Faces of a battery layer for tests, certificates for them, and somebody who asks."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import TypeAdapter

from harness.bal.faces.config import FaceConfig
from harness.bal.faces.serving import OpenFace, open_faces
from harness.bal.service import BatteryLayer
from harness.bal.tls import TlsFiles
from protocols.batteries import DIALECTS, BatteryClient, ClientEvent, Request


@asynccontextmanager
async def open_face(
    layer: BatteryLayer, until: trio.Event | None = None, **config: Any
) -> AsyncIterator[OpenFace]:
    """Serve one face of a layer for the length of the block, or ``until`` something happens."""
    parsed: FaceConfig = TypeAdapter(FaceConfig).validate_python({"port": 0, **config})
    (face,) = await open_faces([parsed])
    over = trio.Event() if until is None else until

    async def serve() -> None:
        async with trio.open_nursery() as serving:
            serving.start_soon(face.run, layer)
            await over.wait()
            serving.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield face
        nursery.cancel_scope.cancel()


class Asker:
    """Somebody who speaks a dialect, over one connection."""

    def __init__(self, stream: trio.abc.Stream, speaks: str) -> None:
        self.stream = stream
        self._client = BatteryClient(DIALECTS[speaks], timeout_s=60.0)

    async def ask(self, request: Request, *, piecemeal: bool = False) -> ClientEvent:
        """Return what came of a request; ``piecemeal``: sent octet by octet."""
        self._client.ask(request, now=trio.current_time())
        octets = self._client.data_to_send()
        for at in range(len(octets)) if piecemeal else ():
            await self.stream.send_all(octets[at : at + 1])
            await trio.lowlevel.checkpoint()
        if not piecemeal:
            await self.stream.send_all(octets)
        while (event := self._client.next_event()) is None:
            data = await self.stream.receive_some(4_096)
            self._client.receive_data(bytes(data)) if data else self._client.receive_eof()
        return event


@asynccontextmanager
async def asking(face: OpenFace, speaks: str) -> AsyncIterator[Asker]:
    async with await trio.open_tcp_stream("127.0.0.1", face.port) as stream:
        yield Asker(stream, speaks)


class Authority:
    """Signs certificates for 127.0.0.1, good for a day."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.file = folder / f"{name}.pem"
        made = self._signed(self._name, self._key.public_key(), is_authority=True)
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def files(self, name: str, trusts: Authority | None = None) -> TlsFiles:
        """Return who ``name`` is: signed by this authority, trusting one (this one if None)."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, secret = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        made = self._signed(_name(name), key.public_key(), is_authority=False)
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        secret.touch(mode=0o600)
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return TlsFiles(certificate=certificate, key=secret, authorities=(trusts or self).file)

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, is_authority: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
