"""Evaluation of policies: on evaluation seeds, in the arena, on real prices."""
