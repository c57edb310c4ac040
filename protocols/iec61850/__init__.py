"""Batteries in the information model of IEC 61850-7-420, as data."""

from protocols.iec61850.battery import Attribute, BatteryPicture, attributes, values

__all__ = ["Attribute", "BatteryPicture", "attributes", "values"]
