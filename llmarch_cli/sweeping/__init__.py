"""Searching a grid of designs: every combination of a few values, priced in arrays.

The formulas are the closed form's own. A spec whose fields hold arrays, shaped to broadcast, goes through the same
`parts`, `cache` and `mixing_flops` as any other, so each component is priced once for each combination of the fields
that it has, and what is added up grows only as far as it must.
"""
