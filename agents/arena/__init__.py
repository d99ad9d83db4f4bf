"""Head to head: contenders meet under equal conditions, and the difference comes with an interval."""
