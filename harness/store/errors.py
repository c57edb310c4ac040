"""What a store says when it cannot do what was asked: where, what, and how to mend it."""

from __future__ import annotations


class StoreError(Exception):
    """Base of the family: the store refused or failed; nothing of the call was stored.

    The one exception: after `StoreUnavailableError` the call may or may not have been stored;
    repeating it is safe, because `Store.put` is idempotent.

    Attributes:
        where: path or address of the store, without any password.
        mend: what a person can do about it.
    """

    def __init__(self, message: str, *, where: str, mend: str) -> None:
        super().__init__(f"store {where}: {message}; {mend}")
        self.where = where
        self.mend = mend


class StoreLockedError(StoreError):
    """The store is already open for writing, by this process or by another."""


class StoreFullError(StoreError):
    """There is no room left for what was to be stored."""


class StoreUnavailableError(StoreError):
    """The server is away or hung up. Repeat the call: it reconnects and is idempotent."""


class StoreSchemaError(StoreError):
    """What is there is not a store, or a store of other registers, or there is none."""


class CommandError(StoreError):
    """A command to be added exists already, or one to be updated does not exist."""
