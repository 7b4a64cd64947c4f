"""The stages of audiostyle. No stage imports another: they meet only at artifacts."""
