"""Architecture figures: what is drawn is laid out here from a spec, and one file alone knows the library that draws it.

`shapes` is what stands on a canvas, `nodes` puts pieces beside and above each other, `sublayer`, `block` and `model` say
what is drawn, `picture` puts models side by side, and `canvas` writes the file.
"""
