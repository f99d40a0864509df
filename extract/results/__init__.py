"""What is left of a run: outcomes, totals, the Run and its manifest."""
