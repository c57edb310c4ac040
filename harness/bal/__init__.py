"""The battery abstraction layer: batteries of every kind behind one face, joined and divided."""
