"""Pure rules of the exam: no I/O, no clock, no await."""
