"""What a model costs, by two engines that share no arithmetic: `closed_form` and `measured`."""
