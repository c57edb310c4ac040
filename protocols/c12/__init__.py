"""ANSI C12: tables (C12.19), serial link and modem (C12.18, C12.21), network (C12.22)."""
