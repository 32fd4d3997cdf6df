"""Architecture drawings. Layout is done here, from a spec; matplotlib only measures text and writes files.

`shapes` are what is drawn, and `nodes` arrange them. `sublayer`, `block` and `model` build the nodes of one model, and
`picture` puts models side by side. `measure` gives the width of text, `canvas` writes a file, and `inline` an element
of an HTML page.
"""
