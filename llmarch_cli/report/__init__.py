"""From profiles to tables (`comparison`, `sheet`, `overview`), and from tables to text (`render`)."""
