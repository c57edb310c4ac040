"""The recipe for Wireshark's keys gives every node's under the key id that its messages name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from emulator.identity import concentrator_name
from protocols.c12.plugin.naming import key_id_of, title_of

PAGE: Final = Path(__file__).parent.parent / "docs/howto/read-a-capture.md"
METERS: Final = (0, 8, 9, 253, 254, 255)


def test_the_recipe_writes_the_keys_by_key_id(tmp_path: Path) -> None:
    found = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    provisioning = tmp_path / "runs/latest/provisioning"
    provisioning.mkdir(parents=True)
    relay, other = (title_of(concentrator_name(number)).hex() for number in (0, 1))
    (provisioning / "concentrators.csv").write_text(
        f"system_title,encryption_key\n{relay},{'00' * 16}\n{other},{'ff' * 16}\n"
    )
    lines = [f"{meter},{relay if meter < 255 else other},{meter:032x}" for meter in METERS]
    (provisioning / "nodes.csv").write_text(
        "\n".join(["meter,behind,encryption_key", *lines, ""]), encoding="utf-8"
    )
    environment = {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", found[1]], cwd=tmp_path, env=environment, check=True)
    profile = tmp_path / ".config/wireshark/profiles/ansi-fleet"
    assert (profile / "c1222_decryption_table").read_text().splitlines() == [
        f'"0",{"00" * 16}',
        *(
            f'"{key_id_of(title_of(b"MST%013d" % (meter + 1))):x}",{meter:032x}'
            for meter in METERS
            if meter < 255
        ),
    ]
