"""The cost of a model, by two engines that share no arithmetic: `closed_form` and `measured`."""
