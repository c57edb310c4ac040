"""Block machines: numbers from 1, one after the other, no more than the limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlms.apdu import DataAccessResult
from protocols.dlms.blocks import Block, BlockError, BlockReceiver, BlockSender, Transfer


@given(payload=st.binary(max_size=300), size=st.integers(1, 70), transfer=st.sampled_from(Transfer))
def test_what_is_cut_is_put_together_again(payload: bytes, size: int, transfer: Transfer) -> None:
    sender = BlockSender(transfer, payload, size)
    receiver = BlockReceiver(transfer, limit=300)
    block = sender.first()
    numbers = [block.number]
    while (whole := receiver.receive(block)) is None:
        assert not sender.finished
        block = sender.acknowledged(block.number)
        numbers.append(block.number)
    assert whole == payload
    assert sender.finished
    assert receiver.finished
    assert numbers == list(range(1, max(1, -(-len(payload) // size)) + 1))


@pytest.mark.parametrize(
    ("number", "what"), [(0, "before the first"), (1, "repeated"), (3, "skipped")]
)
def test_a_block_out_of_turn_ends_the_reception(number: int, what: str) -> None:
    # Green Book 9.4.6.4: the block number must be the next one; data-block-number-invalid.
    receiver = BlockReceiver(Transfer.GET)
    receiver.receive(Block(1, False, b"one"))
    with pytest.raises(BlockError) as caught:
        receiver.receive(Block(number, False, b"two"))
    assert caught.value.result is DataAccessResult.DATA_BLOCK_NUMBER_INVALID, what
    with pytest.raises(BlockError) as after:
        receiver.receive(Block(2, True, b"two"))
    assert after.value.result is DataAccessResult.NO_LONG_GET_IN_PROGRESS


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_wrong_acknowledgement_is_refused(number: int) -> None:
    sender = BlockSender(Transfer.GET, b"x" * 50, 10)
    sender.first()
    sender.acknowledged(1)
    with pytest.raises(BlockError) as caught:
        sender.acknowledged(number)
    assert caught.value.result is DataAccessResult.DATA_BLOCK_NUMBER_INVALID
    assert sender.number == 2  # a refused acknowledgement moves nothing


@pytest.mark.parametrize(
    ("transfer", "aborted", "over"),
    [
        (
            Transfer.GET,
            DataAccessResult.LONG_GET_ABORTED,
            DataAccessResult.NO_LONG_GET_IN_PROGRESS,
        ),
        (
            Transfer.SET,
            DataAccessResult.LONG_SET_ABORTED,
            DataAccessResult.NO_LONG_SET_IN_PROGRESS,
        ),
    ],
)
def test_each_transfer_has_its_own_results(
    transfer: Transfer, aborted: DataAccessResult, over: DataAccessResult
) -> None:
    receiver = BlockReceiver(transfer, limit=10)
    receiver.receive(Block(1, False, b"x" * 10))
    with pytest.raises(BlockError) as too_much:
        receiver.receive(Block(2, False, b"x"))
    assert too_much.value.result is aborted
    sender = BlockSender(transfer, b"x", 1)
    sender.first()
    with pytest.raises(BlockError) as nothing_left:
        sender.acknowledged(1)
    assert nothing_left.value.result is over


def test_a_block_needs_room() -> None:
    with pytest.raises(ValueError, match="block size 0"):
        BlockSender(Transfer.GET, b"x", 0)
