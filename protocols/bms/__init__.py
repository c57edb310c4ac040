"""Battery management systems: what sits in a battery and is spoken to over a serial line."""
