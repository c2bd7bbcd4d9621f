"""Code of the commands `dtao train`, `dtao evaluate` and `dtao probe`."""
