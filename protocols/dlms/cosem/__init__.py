"""COSEM interface classes as data-driven objects (IEC 62056-6-2, the Blue Book)."""
