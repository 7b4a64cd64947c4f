"""What the stages of audiostyle share: spectrograms, audio files, the network, artifacts, the registry."""
