"""What `audiostyle doctor` looks at: this machine, and the servers that the settings name."""
