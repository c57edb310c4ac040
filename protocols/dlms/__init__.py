"""DLMS/COSEM: wrapper, A-XDR, APDUs, security, associations, interface classes."""
