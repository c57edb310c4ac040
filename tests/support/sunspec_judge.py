"""The SunSpec Alliance's own client against a battery: ``python sunspec_judge.py ADDRESS PORT``.

It finds the models, reads them, commands the power on its standard input's lines (watts), and
prints one JSON line for each: what the battery said before the first and after every command.
Nothing of ours is imported here.
"""

from __future__ import annotations

import json
import sys

from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

POINTS = {
    802: ("V", "A", "W", "SoC", "AHRtg", "AChaMax", "ADisChaMax", "ChaSt"),
    713: ("WHRtg", "WHAvail", "SoC"),
    704: ("WSetEna", "WSetMod", "WSet"),
}


def shown(device: SunSpecModbusClientDeviceTCP) -> dict[str, object]:
    models = [number for number in device.models if isinstance(number, int)]
    values: dict[str, object] = {"models": models}
    for number, names in POINTS.items():
        model = device.models[number][0]
        model.read()
        values |= {f"{number}.{name}": model.points[name].cvalue for name in names}
    values["name"] = device.models[1][0].points["SN"].cvalue
    return values


def tell(values: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")


def main() -> None:
    address, port = sys.argv[1:]
    device = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr=address, ipport=int(port), timeout=20)
    device.scan()
    tell(shown(device))
    for line in sys.stdin:
        controls = device.models[704][0]
        controls.points["WSetEna"].cvalue = 1
        controls.points["WSetMod"].cvalue = 1
        controls.points["WSet"].cvalue = float(line)
        refused = ""
        try:
            controls.write()
        except Exception as error:
            refused = str(error)
        tell(shown(device) | {"refused": refused})
    device.disconnect()


if __name__ == "__main__":
    main()
