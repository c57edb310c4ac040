"""The HTTP API of billing: bills, statistics and exports for whoever has the token."""
