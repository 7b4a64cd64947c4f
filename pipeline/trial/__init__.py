"""A page in the browser to try transfers on: `audiostyle try`."""
