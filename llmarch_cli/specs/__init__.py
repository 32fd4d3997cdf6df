"""Specs: the record, its YAML files, changes to a spec and differences between two."""
