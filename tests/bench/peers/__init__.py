"""The same work done by Tocsin and by what people use instead, on one machine, in one run."""
