"""What monitoring costs: CPU time a request, side by side with the alternatives."""
