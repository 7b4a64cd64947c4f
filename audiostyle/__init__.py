"""What the stages share: spectrograms, audio files, the network, artifacts, the registry."""
