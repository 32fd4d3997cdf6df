"""Architecture figures: laid out here from a spec; two files alone know the library that measures and draws.

`shapes` is what stands on a canvas, and `nodes` puts pieces beside and above each other. `sublayer`, `block` and
`model` say what is drawn, `picture` puts models side by side. `measure` knows how wide text is, `canvas` writes the
file, and `inline` an element of a page.
"""
