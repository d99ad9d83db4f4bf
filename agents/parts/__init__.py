"""What several learners are built of."""
