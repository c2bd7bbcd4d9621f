"""Agents of dtao_gym: scripted and learned policies, training, evaluation, and the command `dtao`."""
