"""What a registration loads, loaded before processes are forked: MLflow's writing of a model."""

import tempfile
from pathlib import Path

import torch

from audiostyle.mlflow_client import mlflow

torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as _folder:
    mlflow.pytorch.save_model(
        torch.nn.Linear(1, 1),
        Path(_folder) / "model",
        input_example=torch.zeros(2, 1).numpy(),
        serialization_format="pt2",
        pip_requirements=["torch", "numpy"],
    )
