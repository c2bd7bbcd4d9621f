"""Pictures of an episode: a table for the terminal, a figure for the eye."""


class MarketPicture:
    def start(self, episodes): ...
    def add(self, episodes): ...
    def ansi(self):
        return "table"

    def rgb_array(self):
        import numpy as np

        return np.zeros((600, 800, 3), np.uint8)
