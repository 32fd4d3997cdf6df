"""Specs: the record, reading and writing YAML, changes and differences."""
