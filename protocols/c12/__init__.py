"""ANSI C12: tables (C12.19), the serial link and modem (C12.18, C12.21) and the network (C12.22)."""
