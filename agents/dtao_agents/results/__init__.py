"""The published results: trainings, the arena, RESULTS.md and the pretrained policies."""
