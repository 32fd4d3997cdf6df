"""Tables from profiles (`comparison`, `sheet`, `overview`), output formats (`formats`) and plots (`plots`)."""
