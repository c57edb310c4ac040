"""The packet limit as a policer: what is too much for a connection is dropped.

pyroute2 has no words for a set that limits each flow, so this speaks to ``nft``, and where the
kernel has no nftables for IPv4 (User-Mode Linux), to ``iptables-legacy`` and its hashlimit. The
rules live in the router's namespace, where a drop is a loss; on the sender's own way out it would
be an error that the sender is told of.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netem.addresses import AddressPlan
from netem.lab import Direction, LabError
from netem.namespaces import Namespace
from netem.profiles import LinkProfile, PacketRate

FEWEST_FLOWS: Final = 65_536
FLOWS_EACH: Final = 8
"""Connections of one concentrator within a minute that are told apart."""
_FLOW_TIMEOUT_S: Final = 60
_TABLE: Final = "meterstorm"
_TIMEOUT_S: Final = 30


@dataclass(frozen=True, slots=True)
class Rule:
    """The limit of one link class in one direction, ``interface`` being where packets come in."""

    category: int
    direction: Direction
    interface: str
    prefix: str
    limit: PacketRate
    flows: int

    @property
    def name(self) -> str:
        """Name of its counter."""
        return f"{self.direction}{self.category}"


def rules(
    profiles: Sequence[LinkProfile], addresses: AddressPlan, interfaces: Mapping[Direction, str]
) -> Sequence[Rule]:
    """Return the rules that ``profiles``, one for each link class, call for."""
    found = []
    for category, profile in enumerate(profiles):
        flows = max(FEWEST_FLOWS, FLOWS_EACH * addresses.size_of(category))
        for direction, interface in interfaces.items():
            limit = profile.way(direction).packet_rate
            if limit is not None and addresses.size_of(category):
                prefix = addresses.prefix(category)
                found.append(Rule(category, direction, interface, prefix, limit, flows))
    return found


class Policer:
    """The policer of a router namespace; every method blocks on a child process."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._rules: Sequence[Rule] = ()
        self._is_legacy = False
        self._before: dict[tuple[int, Direction], int] = {}

    def install(self, wanted: Sequence[Rule]) -> None:
        """Replace the rules by ``wanted``; connections have a full burst again.

        Raises:
            LabError: neither nft nor iptables-legacy can do this here.
        """
        self._before = dict(self.dropped())
        if not self._is_legacy:
            try:
                self._run(["nft", "-f", "-"], nft_script(wanted))
                self._rules = wanted
                return
            except LabError as error:
                if self._rules:
                    raise
                refused = error
        try:
            self._run(["iptables-legacy-restore"], iptables_script(wanted))
        except LabError as error:
            raise LabError(f"{refused.reason}; {error.reason}", error.mend) from error
        self._is_legacy = True
        self._rules = wanted

    def dropped(self) -> Mapping[tuple[int, Direction], int]:
        """Return how many packets were dropped, by link class and direction."""
        total = dict(self._before)
        if not self._rules:
            return total
        counts = self._legacy_counts() if self._is_legacy else self._nft_counts()
        for rule in self._rules:
            key = rule.category, rule.direction
            total[key] = total.get(key, 0) + counts.get(rule.name, 0)
        return total

    def _nft_counts(self) -> Mapping[str, int]:
        answer = json.loads(self._run(["nft", "-j", "list", "counters", "table", "inet", _TABLE]))
        counters = [part["counter"] for part in answer["nftables"] if "counter" in part]
        return {counter["name"]: int(counter["packets"]) for counter in counters}

    def _legacy_counts(self) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        for line in self._run(["iptables-legacy-save", "-c", "-t", "raw"]).splitlines():
            # [packets:octets] -A PREROUTING ... --comment NAME ...
            words = line.split()
            if "--comment" in words:
                name = words[words.index("--comment") + 1].strip('"')
                counts[name] = counts.get(name, 0) + int(words[0].strip("[]").split(":")[0])
        return counts

    def _run(self, command: Sequence[str], script: str = "") -> str:
        """Run a command in the router's namespace and return what it prints."""
        program = shutil.which(command[0], path="/usr/sbin:/sbin:/usr/bin:/bin")
        mend = (
            "install the package nftables (an ordinary user cannot load its modules: as root,"
            " modprobe nf_tables), or let packets wait: limit = shape"
        )
        if program is None:
            raise LabError(f"there is no {command[0]}", mend)
        try:
            with self._namespace.entered():
                # The child is born in the namespace that this thread is in.
                child = subprocess.run(
                    [program, *command[1:]],
                    input=script,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=_TIMEOUT_S,
                )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{command[0]} did not answer within {_TIMEOUT_S} s", mend) from error
        if child.returncode:
            said = " ".join(child.stderr.split())[:300]
            raise LabError(f"{command[0]} refuses the packet limit: {said}", mend)
        return child.stdout


def nft_script(wanted: Sequence[Rule]) -> str:
    """Return what to give ``nft -f -``: the whole table anew, in one transaction."""
    parts = [f"table inet {_TABLE}", f"delete table inet {_TABLE}", f"table inet {_TABLE} {{"]
    body = []
    for rule in wanted:
        name, limit = rule.name, rule.limit
        shape = "{ type ipv4_addr . inet_service . ipv4_addr . inet_service; flags dynamic,timeout;"
        size = f"timeout {_FLOW_TIMEOUT_S}s; size {rule.flows}; }}"
        parts += [f"counter {name} {{ }}", f"set {name}tcp {shape} {size}"]
        parts.append(
            f"set {name}rest {{ type ipv4_addr . ipv4_addr . inet_proto; flags dynamic,timeout;"
            f" {size}"
        )
        side = "saddr" if rule.direction == "up" else "daddr"
        match = f'iifname "{rule.interface}" ip {side} {rule.prefix}'
        over = f"limit rate over {limit.per_second}/second burst"
        body.append(
            f"{match} meta l4proto tcp update @{name}tcp {{ ip saddr . tcp sport . ip daddr ."
            f" tcp dport {over} {limit.burst} packets }} counter name {name} drop"
        )
        body.append(
            f"{match} meta l4proto != tcp update @{name}rest {{ ip saddr . ip daddr . ip protocol"
            f" {over} {limit.burst_other} packets }} counter name {name} drop"
        )
    hook = "type filter hook prerouting priority raw; policy accept;"
    return "\n".join([*parts, "chain prerouting {", hook, *body, "}", "}"]) + "\n"


def iptables_script(wanted: Sequence[Rule]) -> str:
    """Return what to give ``iptables-legacy-restore``: the whole raw table anew."""
    lines = ["*raw", ":PREROUTING ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"]
    for rule in wanted:
        side = "-s" if rule.direction == "up" else "-d"
        limits = (
            ("t", "-p tcp", rule.limit.burst, "srcip,srcport,dstip,dstport"),
            ("r", "! -p tcp", rule.limit.burst_other, "srcip,dstip"),
        )
        lines.extend(
            f"-A PREROUTING -i {rule.interface} {side} {rule.prefix} {protocol} -m hashlimit"
            f" --hashlimit-above {rule.limit.per_second}/sec --hashlimit-burst {burst}"
            f" --hashlimit-mode {mode} --hashlimit-name {rule.name}{kind}"
            f" --hashlimit-htable-max {rule.flows}"
            f" --hashlimit-htable-expire {_FLOW_TIMEOUT_S * 1000}"
            f" -m comment --comment {rule.name} -j DROP"
            for kind, protocol, burst, mode in limits
        )
    return "\n".join([*lines, "COMMIT"]) + "\n"
