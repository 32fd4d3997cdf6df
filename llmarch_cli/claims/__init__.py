"""Claims: statements about models, checked against measurements."""
