"""The paper's tables and figures, made again, in pieces that an interrupted run goes on from."""
