"""Search a grid of designs: all combinations of the given field values, computed as arrays.

The formulas are those of the closed-form engine. The fields of a spec hold arrays that broadcast against each other,
and its `parts`, `cache` and `mixing` compute with them as with numbers. Each component is therefore computed once
per combination of its own fields, and sums only grow to the shape that they need.
"""
