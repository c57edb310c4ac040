"""An emulated ANSI C12.19 meter: its table images, and what answers requests for them."""
