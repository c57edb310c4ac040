"""An association that was accepted: what was agreed, what serves it, and who has proved what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.dlms.apdu import ActionResult
from protocols.dlms.ciphering import Envelope, Protection, can_carry, overhead
from protocols.dlms.cosem.association_ln import AssociationStatus, Partners, association_ln
from protocols.dlms.cosem.base import ActionOutcome, Caller
from protocols.dlms.cosem.device import DeviceView, LogicalDevice
from protocols.dlms.data import Data, DataType, octet_string
from protocols.dlms.security import SecurityError
from protocols.dlms.server.events import Pair
from protocols.dlms.server.opening import Agreement
from protocols.dlms.server.services import ServiceMachine
from protocols.dlms.wrapper import MAX_APDU_SIZE

SECURITY_SETUP: Final = bytes.fromhex("00002b0000ff")
"""0-0:43.0.0.255; the association refers to it where the device has one."""


@dataclass(slots=True)
class Proof:
    """What a client and we prove to each other before it is served: HLS, passes three and four.

    Attributes:
        agreement: what was agreed.
        challenge: what the client has to answer; empty where nothing is to be proved.
        done: whether it has, or need not.
    """

    agreement: Agreement
    challenge: bytes
    done: bool

    def status(self) -> AssociationStatus:
        """Return what the association object says of itself."""
        return AssociationStatus.ASSOCIATED if self.done else AssociationStatus.ASSOCIATION_PENDING

    def reply_to_hls(self, parameters: Data, _caller: Caller) -> ActionOutcome:
        """Check the answer to our challenge and answer the client's (Green Book 9.2.7.4)."""
        cipher = self.agreement.cipher
        if self.done or cipher is None:
            return ActionOutcome(ActionResult.READ_WRITE_DENIED)
        answer = parameters.value
        if parameters.type is not DataType.OCTET_STRING or not isinstance(answer, bytes):
            return ActionOutcome(ActionResult.TYPE_UNMATCHED)
        try:
            cipher.check_answer(self.challenge, answer)
        except SecurityError:
            return ActionOutcome(ActionResult.OTHER_REASON)
        self.done = True
        proof = cipher.answer(self.agreement.challenge)
        return ActionOutcome(ActionResult.SUCCESS, octet_string(proof))


@dataclass(frozen=True, slots=True)
class Standing:
    """One association, from its AARE to its end: its wPorts, and what serves its requests."""

    pair: Pair
    agreement: Agreement
    proof: Proof
    services: ServiceMachine

    @classmethod
    def of(
        cls,
        pair: Pair,
        agreement: Agreement,
        challenge: bytes,
        device: LogicalDevice,
        *,
        max_receive_pdu_size: int,
        transfer_size: int,
    ) -> Standing:
        """Return an association to ``device``; without a challenge nothing is to be proved."""
        proof = Proof(agreement, challenge, done=not challenge)
        partners = Partners(
            pair.client_sap,
            pair.server_sap,
            agreement.context,
            agreement.mechanism,
            agreement.conformance,
            max_receive_pdu_size,
            agreement.max_send_pdu_size,
            SECURITY_SETUP if device.find(SECURITY_SETUP) else b"",
        )
        shown = association_ln(
            device,
            agreement.level,
            partners,
            status=proof.status,
            reply_to_hls=proof.reply_to_hls,
        )
        view = DeviceView(device, shown, agreement.level)
        services = ServiceMachine(view, agreement.conformance, limit=transfer_size)
        return cls(pair, agreement, proof, services)

    def caller(self, now: float, counter: int | None) -> Caller:
        """Return who asks, with the counter it asks under."""
        return Caller(self.pair.client_sap, self.agreement.level, now, counter)

    def room(self, envelope: Envelope) -> int:
        """Return how many octets an answer in ``envelope`` may have."""
        return min(self.agreement.max_send_pdu_size, MAX_APDU_SIZE) - overhead(envelope)

    def seal(self, octets: bytes, envelope: Envelope, protection: Protection) -> bytes:
        """Return ``octets`` protected; raises `LocalProtocolError` if no counter is left."""
        if not can_carry(envelope, octets):
            return octets
        assert self.agreement.cipher is not None  # only a cipher opens an envelope
        return self.agreement.cipher.seal(octets, envelope, protection)[0]
